#include "src/model/config/text_prompts.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/json.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// Lists of the same length.
constexpr std::string_view kNamesKey = "gemma.prompts.names";
constexpr std::string_view kWordsKey = "gemma.prompts.words";
constexpr std::string_view kDefaultKey = "gemma.prompts.default";

bool Has(std::string_view name, const TextPrompts& prompts) {
  return std::any_of(prompts.all.begin(), prompts.all.end(),
                     [&](const TextPrompt& p) { return p.name == name; });
}

// Adds prompts, or replaces those of the same name.
class PromptSetter {
 public:
  explicit PromptSetter(TextPrompts& prompts) : prompts_(prompts) {
    for (const TextPrompt& prompt : prompts.all) {
      places_.emplace(prompt.name, places_.size());
    }
  }

  void Set(std::string_view name, std::string words) {
    const auto [place, inserted] =
        places_.try_emplace(std::string(name), prompts_.all.size());
    if (inserted) prompts_.all.push_back({std::string(name), ""});
    prompts_.all[place->second].words = std::move(words);
  }

 private:
  TextPrompts& prompts_;
  std::unordered_map<std::string, size_t> places_;  // in prompts_.all
};

absl::StatusOr<TextPrompts> FromJson(const Json& json) {
  TextPrompts prompts;
  GEMMA_ASSIGN_OR_RETURN(const auto stated, json.Object("prompts"));
  PromptSetter setter(prompts);
  if (stated.has_value()) {
    for (const auto& [name, value] : stated->Members()) {
      std::string words;
      GEMMA_RETURN_IF_ERROR(value.Get(words));
      setter.Set(name, std::move(words));
    }
  }
  GEMMA_RETURN_IF_ERROR(json.Read("default_prompt_name", prompts.default_name));
  if (!prompts.default_name.empty() && !Has(prompts.default_name, prompts)) {
    return json.Find("default_prompt_name")
        ->Unexpected("null or one of the names in 'prompts'");
  }
  return prompts;
}

absl::StatusOr<TextPrompts> FromGguf(const GgufMetadata& metadata) {
  std::vector<std::string_view> names;
  std::vector<std::string_view> words;
  GEMMA_RETURN_IF_ERROR(metadata.Read(kNamesKey, names));
  GEMMA_RETURN_IF_ERROR(metadata.Read(kWordsKey, words));
  if (names.size() != words.size()) {
    return absl::InvalidArgumentError(FormatText(
        "%s: key '%s' has %u elements, wanted as many as '%s', which has %u",
        metadata.path(), kWordsKey, words.size(), kNamesKey, names.size()));
  }
  TextPrompts prompts;
  PromptSetter setter(prompts);
  for (size_t i = 0; i < names.size(); ++i) {
    setter.Set(names[i], std::string(words[i]));
  }
  GEMMA_RETURN_IF_ERROR(metadata.Read(kDefaultKey, prompts.default_name));
  if (!prompts.default_name.empty() && !Has(prompts.default_name, prompts)) {
    return absl::InvalidArgumentError(
        FormatText("%s: key '%s' is %s, wanted one of '%s'", metadata.path(),
                   kDefaultKey, Quoted(prompts.default_name), kNamesKey));
  }
  return prompts;
}

}  // namespace

absl::StatusOr<std::optional<TextPrompts>> ReadTextPrompts(
    const Checkpoint& checkpoint) {
  if (checkpoint.prompts_config.has_value()) {
    return FromJson(*checkpoint.prompts_config);
  }
  if (checkpoint.metadata.has_value() && checkpoint.metadata->Has(kNamesKey)) {
    return FromGguf(*checkpoint.metadata);
  }
  return std::nullopt;
}

void DescribeTextPrompts(const TextPrompts& prompts, GgufFileWriter& out) {
  std::vector<std::string_view> names;
  std::vector<std::string_view> words;
  for (const TextPrompt& prompt : prompts.all) {
    names.push_back(prompt.name);
    words.push_back(prompt.words);
  }
  out.SetStrings(kNamesKey, names);
  out.SetStrings(kWordsKey, words);
  if (!prompts.default_name.empty()) {
    out.SetString(kDefaultKey, prompts.default_name);
  }
}

}  // namespace gemma::internal

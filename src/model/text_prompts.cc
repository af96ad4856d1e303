#include "src/model/text_prompts.h"

#include <algorithm>
#include <string_view>
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

TextPrompt* Find(std::string_view name, TextPrompts& prompts) {
  const auto found =
      std::find_if(prompts.all.begin(), prompts.all.end(),
                   [&](const TextPrompt& p) { return p.name == name; });
  return found != prompts.all.end() ? &*found : nullptr;
}

void Set(std::string_view name, std::string words, TextPrompts& prompts) {
  if (TextPrompt* prompt = Find(name, prompts); prompt != nullptr) {
    prompt->words = std::move(words);
  } else {
    prompts.all.push_back({std::string(name), std::move(words)});
  }
}

absl::StatusOr<TextPrompts> FromJson(const Json& json) {
  TextPrompts prompts = {{{"query", ""}, {"document", ""}}, ""};
  GEMMA_ASSIGN_OR_RETURN(const auto stated, json.Object("prompts"));
  if (stated.has_value()) {
    for (const auto& [name, value] : stated->Members()) {
      std::string words;
      GEMMA_RETURN_IF_ERROR(value.Get(words));
      Set(name, std::move(words), prompts);
    }
  }
  GEMMA_RETURN_IF_ERROR(json.Read("default_prompt_name", prompts.default_name));
  if (!prompts.default_name.empty() &&
      Find(prompts.default_name, prompts) == nullptr) {
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
  for (size_t i = 0; i < names.size(); ++i) {
    Set(names[i], std::string(words[i]), prompts);
  }
  GEMMA_RETURN_IF_ERROR(metadata.Read(kDefaultKey, prompts.default_name));
  if (!prompts.default_name.empty() &&
      Find(prompts.default_name, prompts) == nullptr) {
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

#include "tools/gemma/chat/chat_settings.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "src/base/internal.h"
#include "src/base/json.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/nearest.h"
#include "tools/gemma/words/habits.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kStop = "stop";
constexpr std::string_view kMaxTokens = "max-tokens";

std::string Dump(const OrderedJson& json) {
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

// Whether /set shows the option. An option that may be repeated has no single
// value; only `stop` is shown, as a JSON array.
bool IsSetting(const AnswerOption& option) {
  return !option.is_repeated() || option.name() == kStop;
}

// Options of the command that a running chat cannot change.
constexpr std::string_view kSetAtStart[] = {
    "ablate",
    "activations",
    "cache-type",
    "chat",
    "chat-template",
    "chunk",
    "decode-threads",
    "deterministic",
    "guard",
    "guard-policy",
    "guard-policy-file",
    "guard-threshold",
    "guard-wording",
    "ignore-memory",
    "logit-bias",
    "lora",
    "quantize",
    "recurrent-window",
    "sae-type",
    "simd",
    "steer",
    "threads",
    "tools",
};

// What does here what a setting of Ollama does.
struct SettingHint {
  std::string_view name;
  std::string_view hint;
};

constexpr SettingHint kSettingHints[] = {
    {"template", "--chat-template FILE sets it at the start"},
    {"num_thread", "--threads N sets it at the start"},
    {"think", "/think on lets the model think first"},
    {"nothink", "/think off"},
    {"quiet", "/set verbose off"},
    {"wordwrap", "lines break between words on every terminal that can"},
    {"nowordwrap", "--markdown off and a pipe leave the text as it is"},
    {"format", "gemma run --format json answers in JSON"},
    {"history", "GEMMA_HISTORY names the file of typed lines"},
    {"nohistory", "GEMMA_HISTORY= keeps no typed lines"},
    {"model", "/model NAME goes on with another model"},
};

std::string HintOnSetting(std::string_view name) {
  for (const SettingHint& hint : kSettingHints) {
    if (hint.name == name) return std::string(hint.hint);
  }
  for (const std::string_view option : kSetAtStart) {
    if (option == name) {
      return absl::StrCat("--", name, " sets it at the start");
    }
  }
  return OptionHint(absl::StrCat("--", name), "chat", {});
}

absl::StatusOr<const AnswerOption*> Find(std::string_view name) {
  const AnswerOption* option = FindAnswerOption(name);
  if (option != nullptr && IsSetting(*option)) return option;
  if (const std::string hint = HintOnSetting(name); !hint.empty()) {
    return WithCure(
        absl::InvalidArgumentError(absl::StrCat("no setting '", name, "'")),
        hint);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no setting '", name, "'",
                   DidYouMean(name, AllSettingNames()), " (/set lists them)"));
}

std::string ValueOf(const AnswerOption& option, const AnswerOptions& options) {
  if (option.name() == kStop) return Dump(OrderedJson(options.stop));
  if (option.name() == kMaxTokens && options.max_tokens == 0) return "";
  return option.Get(options);
}

// Replaces the options by `changed` if those are valid.
absl::Status Accept(AnswerOptions changed, AnswerOptions* options) {
  const absl::Status status = Validate(changed, SettingLabel);
  // Not a usage error, because the command line is right.
  if (!status.ok()) return absl::InvalidArgumentError(status.message());
  *options = std::move(changed);
  return absl::OkStatus();
}

absl::Status BadStop(std::string_view value, std::string_view wanted) {
  return absl::InvalidArgumentError(
      absl::StrCat("stop: '", value, "' is not ", wanted));
}

absl::Status SetStop(std::string_view value, AnswerOptions* options) {
  std::vector<std::string> stop;
  if (value.empty() || (value[0] != '"' && value[0] != '[')) {
    stop.push_back(Unescaped(value));
  } else {
    constexpr std::string_view kWanted =
        "a string or an array of strings in JSON";
    const absl::StatusOr<internal::Json> json =
        internal::Json::Parse(value, "stop");
    if (!json.ok()) return BadStop(value, kWanted);
    if (json->is_string()) stop.emplace_back();
    const absl::Status status =
        json->is_string() ? json->Get(stop[0]) : json->Get(stop);
    if (!status.ok()) return BadStop(value, kWanted);
  }
  AnswerOptions changed = *options;
  changed.stop = std::move(stop);
  return Accept(std::move(changed), options);
}

}  // namespace

std::vector<std::string> SettingNames() {
  std::vector<std::string> names;
  for (const AnswerOption& option : AllAnswerOptions()) {
    if (IsSetting(option)) names.emplace_back(option.name());
  }
  return names;
}

std::vector<std::string> AllSettingNames() {
  std::vector<std::string> names = SettingNames();
  for (const std::string_view name :
       {kContextSetting, kPolicySetting, kVerboseSetting, kMarkdownSetting}) {
    names.emplace_back(name);
  }
  return names;
}

std::string OwnSetting(std::string_view name) {
  const std::vector<std::string> all = AllSettingNames();
  const std::string dashes = absl::StrReplaceAll(name, {{"_", "-"}});
  const std::string_view option = OwnOption(absl::StrCat("--", name));
  for (const std::string_view own :
       {std::string_view(dashes), absl::StripPrefix(option, "--")}) {
    if (std::find(all.begin(), all.end(), own) != all.end()) {
      return std::string(own);
    }
  }
  return std::string(name);
}

std::vector<std::pair<std::string, std::string>> Settings(
    const AnswerOptions& options) {
  std::vector<std::pair<std::string, std::string>> settings;
  for (const AnswerOption& option : AllAnswerOptions()) {
    if (!IsSetting(option)) continue;
    settings.emplace_back(option.name(), ValueOf(option, options));
  }
  return settings;
}

absl::Status ChangeSetting(std::string_view name, std::string_view value,
                           AnswerOptions* options) {
  GEMMA_ASSIGN_OR_RETURN(const AnswerOption* option, Find(name));
  if (name == kStop) return SetStop(value, options);
  AnswerOptions changed = *options;
  GEMMA_RETURN_IF_ERROR(option->Set(value, &changed, SettingLabel));
  return Accept(std::move(changed), options);
}

absl::Status CopySetting(std::string_view name, const AnswerOptions& from,
                         AnswerOptions* options) {
  GEMMA_ASSIGN_OR_RETURN(const AnswerOption* option, Find(name));
  option->Copy(from, options);
  return absl::OkStatus();
}

}  // namespace gemma::tools

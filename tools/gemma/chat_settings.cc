#include "tools/gemma/chat_settings.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "tools/gemma/nearest.h"
#include "tools/gemma/text.h"

namespace gemma::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kStop = "stop";
constexpr std::string_view kMaxTokens = "max-tokens";

// The options of the command line, which know names, values and ranges. They
// parse into `options`.
void AddSettings(CLI::App& app, AnswerOptions* options) {
  app.set_help_flag();  // is none
  AddAnswerOptions(app, options, std::string(kChatMaxTokens));
}

absl::Status CheckName(std::string_view name) {
  const std::vector<std::string> names = SettingNames();
  for (const std::string& known : names) {
    if (known == name) return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("no setting '", name, "'",
                                                 DidYouMean(name, names),
                                                 " (/set lists them)"));
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Makes `changed` the options, if they are in range.
absl::Status Accept(AnswerOptions changed, AnswerOptions* options) {
  const absl::Status status = Validate(changed);
  // Not a usage error, for which the command line would have to be wrong.
  if (!status.ok()) return absl::InvalidArgumentError(status.message());
  *options = std::move(changed);
  return absl::OkStatus();
}

absl::Status BadStop(std::string_view value, std::string_view wanted) {
  return absl::InvalidArgumentError(
      absl::StrCat("--stop: '", value, "' is not ", wanted));
}

absl::Status SetStop(std::string_view value, AnswerOptions* options) {
  std::vector<std::string> stop;
  if (value.empty() || (value[0] != '"' && value[0] != '[')) {
    stop.emplace_back(value);
  } else {
    constexpr std::string_view kWanted = "a text or an array of texts in JSON";
    const Json json = Json::parse(value, nullptr, /*allow_exceptions=*/false);
    if (!json.is_string() && !json.is_array()) return BadStop(value, kWanted);
    for (const Json& text : json.is_array() ? json : Json::array({json})) {
      if (!text.is_string()) return BadStop(value, kWanted);
      stop.push_back(text.get<std::string>());
    }
  }
  AnswerOptions changed = *options;
  changed.stop = std::move(stop);
  return Accept(std::move(changed), options);
}

}  // namespace

std::vector<std::string> SettingNames() {
  std::vector<std::string> names;
  for (const auto& [name, value] : Settings(AnswerOptions())) {
    names.push_back(name);
  }
  return names;
}

std::vector<std::pair<std::string, std::string>> Settings(
    const AnswerOptions& options) {
  AnswerOptions copy = options;
  CLI::App app;
  AddSettings(app, &copy);
  std::vector<std::pair<std::string, std::string>> settings;
  for (const CLI::Option* option : app.get_options()) {
    const std::string& name = option->get_lnames()[0];
    // What may be repeated has no one value, but for that in JSON.
    if (option->get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll &&
        name != kStop) {
      continue;
    }
    std::string value = option->get_default_str();
    if (name == kStop) value = Dump(Json(options.stop));
    if (name == kMaxTokens) {
      value = options.max_tokens == 0 ? "" : absl::StrCat(options.max_tokens);
    }
    settings.emplace_back(name, std::move(value));
  }
  return settings;
}

absl::Status ChangeSetting(std::string_view name, std::string_view value,
                           AnswerOptions* options) {
  if (absl::Status status = CheckName(name); !status.ok()) return status;
  if (name == kStop) return SetStop(value, options);
  AnswerOptions changed = *options;
  CLI::App app;
  AddSettings(app, &changed);
  try {
    app.parse(std::vector<std::string>{absl::StrCat("--", name, "=", value)});
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  return Accept(std::move(changed), options);
}

absl::Status CopySetting(std::string_view name, const AnswerOptions& from,
                         AnswerOptions* options) {
  if (absl::Status status = CheckName(name); !status.ok()) return status;
  if (name == kMaxTokens) {
    options->max_tokens = from.max_tokens;
    return absl::OkStatus();
  }
  for (const auto& [known, value] : Settings(from)) {
    if (known == name) return ChangeSetting(name, value, options);
  }
  return absl::OkStatus();
}

}  // namespace gemma::tools

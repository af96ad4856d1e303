// /set: the settings of answers, and those of the chat itself.

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/chat/chat_command.h"
#include "tools/gemma/chat/chat_loop.h"
#include "tools/gemma/chat/chat_settings.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/terminal_text.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kSeedSetting = "seed";

absl::Status Wrong(std::string_view name, std::string_view value,
                   std::string_view wanted) {
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": '", value, "' is not ", wanted));
}

}  // namespace

std::string_view NameOf(ContextPolicy policy) {
  return policy == ContextPolicy::kError ? "error" : "drop-oldest-turns";
}

std::optional<ContextPolicy> ParseContextPolicy(std::string_view name) {
  for (const ContextPolicy policy :
       {ContextPolicy::kError, ContextPolicy::kDropOldestTurns}) {
    if (NameOf(policy) == name) return policy;
  }
  return std::nullopt;
}

absl::Status ChatLoop::Set(const std::string& argument) {
  if (argument.empty()) {
    std::string text;
    for (const auto& [name, value] : AllSettings()) {
      absl::StrAppend(&text, name, ": ", value, "\n");
    }
    Tell(text);
    return absl::OkStatus();
  }
  const auto [word, value] = SplitWord(argument);
  const std::string name(word);
  GEMMA_RETURN_IF_ERROR(SetOne(name, value));
  const bool is_reset = value.empty() && name != kVerboseSetting;
  if (!is_reset && !reader_->is_interactive()) return absl::OkStatus();
  for (const auto& [known, now] : AllSettings()) {
    if (known != name) continue;
    Remark(absl::StrCat(name,
                        is_reset ? " is reset to its value at the start" : "",
                        ": ", now));
  }
  return absl::OkStatus();
}

absl::Status ChatLoop::SetOne(std::string_view name, std::string_view value) {
  if (name == kContextSetting) return SetContext(value);
  if (name == kPolicySetting) return SetPolicy(value);
  if (name == kVerboseSetting) return SetVerbose(value);
  if (name == kMarkdownSetting) return SetMarkdown(value);
  GEMMA_RETURN_IF_ERROR(value.empty()
                            ? CopySetting(name, first_settings_, &settings_)
                            : ChangeSetting(name, value, &settings_));
  if (name == kSeedSetting) conversation_.RestartSeeds();
  return absl::OkStatus();
}

absl::Status ChatLoop::SetContext(std::string_view value) {
  size_t tokens = first_context_;
  if (!value.empty()) {
    const std::string wanted =
        ParseTokens(value, 1, kMaxSessionTokens, &tokens);
    if (!wanted.empty()) return Wrong(kContextSetting, value, wanted);
  }
  GEMMA_ASSIGN_OR_RETURN(Session session, model_->NewSession(tokens));
  conversation_.ReplaceSession(std::move(session));
  const size_t turns = conversation_.turns().size();
  if (turns > 0) {
    Remark(absl::StrCat("the model reads ",
                        turns == 1 ? "the turn" : "the turns",
                        " again with the next message"));
  }
  return absl::OkStatus();
}

absl::Status ChatLoop::SetPolicy(std::string_view value) {
  if (value.empty()) {
    conversation_.set_policy(first_policy_);
    return absl::OkStatus();
  }
  const std::optional<ContextPolicy> policy = ParseContextPolicy(value);
  if (!policy.has_value()) {
    return Wrong(kPolicySetting, value, "one of error|drop-oldest-turns");
  }
  conversation_.set_policy(*policy);
  return absl::OkStatus();
}

absl::Status ChatLoop::SetVerbose(std::string_view value) {
  // As in Ollama, the name alone turns it on.
  if (!value.empty() && value != "on" && value != "off") {
    return Wrong(kVerboseSetting, value, "on or off");
  }
  verbose_ = value != "off";
  return absl::OkStatus();
}

absl::Status ChatLoop::SetMarkdown(std::string_view value) {
  if (!value.empty() && value != "on" && value != "off") {
    return Wrong(kMarkdownSetting, value, "on or off");
  }
  settings_.markdown = value.empty() ? first_settings_.markdown : value;
  return absl::OkStatus();
}

std::vector<std::pair<std::string, std::string>> ChatLoop::AllSettings() const {
  std::vector<std::pair<std::string, std::string>> all = Settings(settings_);
  for (auto& [name, value] : all) {
    if (value.empty()) value = kSetMaxTokens;
  }
  const auto add = [&all](std::string_view name, std::string_view value) {
    all.emplace_back(name, value);
  };
  add(kContextSetting,
      absl::StrCat(conversation_.session().options().max_tokens));
  add(kPolicySetting, NameOf(conversation_.policy()));
  add(kVerboseSetting, verbose_ ? "on" : "off");
  add(kMarkdownSetting, settings_.markdown);
  return all;
}

}  // namespace gemma::tools

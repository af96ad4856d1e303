#include "tools/gemma/answer/run_options.h"

#include <string>
#include <string_view>

#include "src/base/status_macros.h"
#include "tools/gemma/answer/prompt.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

// An error if an option contradicts those that fill a gap.
absl::Status CheckFill(const RunOptions& options) {
  GEMMA_RETURN_IF_ERROR(Validate(options.fill));
  const std::string_view asked_by = options.fill.asked_by();
  if (asked_by.empty()) return absl::OkStatus();
  const std::string prompt = options.prompt.asked_by();
  if (!prompt.empty()) return Exclude(std::string(asked_by), prompt);
  const char* other = options.chat                   ? "--chat"
                      : options.turns.think          ? "--think"
                      : !options.turns.tools.empty() ? "--tools"
                      : !options.system.empty()      ? "--system"
                      : !options.batch.input.empty() ? "--batch"
                      : !options.guard.model.empty() ? "--guard"
                      : options.parse_control        ? "--parse-control"
                                                     : nullptr;
  if (other == nullptr) return absl::OkStatus();
  return Exclude(std::string(asked_by), other);
}

}  // namespace

absl::Status CheckRun(const RunOptions& options) {
  const bool scored = options.wanted.num_alternatives.has_value();
  if (!options.batch.input.empty()) {
    // The lines are JSON with and without --json.
    if (scored) return Exclude("--batch", "--logprobs");
    if (options.lists_tokens) return Exclude("--batch", "--list-tokens");
  }
  if (scored && options.format != "json") {
    return Needs("--logprobs", "--json");
  }
  if (options.lists_tokens && options.format != "json") {
    return Needs("--list-tokens", "--json");
  }
  if (options.chat && options.raw) {
    return Exclude("--chat", "--raw");
  }
  if (options.raw && !options.system.empty()) {
    return OptionError({"--system", "--raw"},
                       "--system needs a chat, but --raw turns it off");
  }
  GEMMA_RETURN_IF_ERROR(CheckChatTemplate(
      options.model, options.chat, options.raw, !options.system.empty()));
  if (!options.batch.input.empty()) {
    const std::string prompt = options.prompt.asked_by();
    if (!prompt.empty()) return Exclude("--batch", prompt);
    if (!options.steering.empty()) {
      return OptionError({"--batch", "--steer", "--ablate"},
                         "--batch excludes --steer and --ablate");
    }
  }
  GEMMA_RETURN_IF_ERROR(WithOptions(
      AsUsageError(CheckUtf8(options.system, "--system")), {"--system"}));
  GEMMA_RETURN_IF_ERROR(CheckFill(options));
  GEMMA_RETURN_IF_ERROR(Validate(options.guard));
  GEMMA_RETURN_IF_ERROR(Validate(options.steering));
  return Validate(options.answer, FlagLabel);
}

bool TakesStdin(const RunOptions& options) {
  for (const std::string_view path :
       {std::string_view(options.guard.policy.file),
        std::string_view(options.grammar.schema),
        std::string_view(options.turns.tools)}) {
    if (path == kStdinArgument) return true;
  }
  return false;
}

}  // namespace gemma::tools

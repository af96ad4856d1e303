#include "tools/gemma/answer.h"

#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "tools/gemma/errors.h"
#include "tools/gemma/files.h"
#include "tools/gemma/progress.h"
#include "tools/gemma/signals.h"

namespace gemma::tools {
namespace {

// Between two of these an interrupt is heard and the progress line moves.
constexpr size_t kPrefillTokens = 128;

// Appends all of `prompt` but its last token, with which Generate begins.
absl::Status Prefill(Session& session, absl::Span<const TokenId> prompt) {
  Progress progress("reading the prompt", "tok");
  for (size_t at = 0; at + 1 < prompt.size();) {
    if (Interrupted()) return InterruptedError();
    const size_t count = std::min(kPrefillTokens, prompt.size() - 1 - at);
    GEMMA_TOOLS_RETURN_IF_ERROR(
        session.Forward(prompt.subspan(at, count)).status());
    at += count;
    progress.Update(at, prompt.size());
  }
  return absl::OkStatus();
}

std::string_view Name(StopReason reason) {
  switch (reason) {
    case StopReason::kStopToken:
      return "the model ended it";
    case StopReason::kStopString:
      return "ended by --stop";
    case StopReason::kMaxTokens:
      return "ended by --max-tokens";
    case StopReason::kContextFull:
      return "ended because the context is full (--context)";
    case StopReason::kCancelled:
      return "interrupted";
  }
  return "";
}

}  // namespace

absl::StatusOr<Answer> StreamAnswer(Session& session,
                                    absl::Span<const TokenId> prompt,
                                    const AnswerOptions& options) {
  Stopwatch stopwatch;
  GEMMA_TOOLS_RETURN_IF_ERROR(Prefill(session, prompt));
  const double prefill_seconds = stopwatch.seconds();

  GenerateOptions generate;
  generate.max_new_tokens = options.max_tokens;
  generate.sampling = options.sampling;
  generate.stop_strings = options.stop;
  generate.cancelled = Interrupted;
  if (options.speculate == "off") generate.speculation = Speculation::kOff;
  Answer answer;
  absl::Status written;
  const auto on_text = [&](std::string_view text) {
    answer.text.append(text);
    written = WriteOutput(text);
    return written.ok();
  };
  absl::StatusOr<GenerateStats> stats =
      Generate(session, prompt.last(1), generate, on_text);
  GEMMA_TOOLS_RETURN_IF_ERROR(stats.status());
  GEMMA_TOOLS_RETURN_IF_ERROR(written);
  if (!absl::EndsWith(answer.text, "\n")) {
    GEMMA_TOOLS_RETURN_IF_ERROR(WriteOutput("\n"));
  }
  answer.stats = *stats;
  answer.stats.prompt_tokens = prompt.size();
  answer.stats.prefill_seconds += prefill_seconds;
  return answer;
}

std::string StatsLine(const GenerateStats& stats) {
  const double prompt_rate =
      stats.prefill_seconds > 0
          ? static_cast<double>(stats.prompt_tokens) / stats.prefill_seconds
          : 0;
  std::string guessed;
  if (stats.drafted_tokens > 0) {
    guessed = absl::StrFormat(", %d of %d guessed right", stats.accepted_tokens,
                              stats.drafted_tokens);
  }
  return absl::StrFormat(
      "prompt: %d tokens, %.1f tok/s; answer: %d tokens, %.1f tok/s%s; %s",
      stats.prompt_tokens, prompt_rate, stats.new_tokens,
      stats.decode_tokens_per_second(), guessed, Name(stats.stop_reason));
}

}  // namespace gemma::tools

// Generates and writes one answer of a model.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/gemma.h"
#include "tools/gemma/answer/answer_options.h"
#include "tools/gemma/answer/verdict.h"

namespace gemma::tools {

struct Answer {
  std::string text;
  std::string thoughts;              // before the text, or before calls
  std::vector<ToolCall> tool_calls;  // the model waits for their results
  bool has_markers = false;          // see ParsedAnswer
  GenerateStats stats;
  std::vector<ScoredToken> tokens;         // of the answer; see WantedScores
  std::vector<ScoredToken> prompt_tokens;  // empty unless scored
  std::vector<Verdict> verdicts;           // the guard's; see guard.h
};

// The log-probabilities to return with an answer.
struct WantedScores {
  std::optional<size_t> num_alternatives;  // nullopt: no log-probabilities
  bool of_prompt = false;                  // also those of the prompt's tokens
};

// Converts the options for Generate. A timeout starts at this call.
GenerateOptions ToGenerateOptions(const AnswerOptions& options);

// Appends `prompt` to the session, which must have room for it, and shows a
// progress line. Then streams the answer to standard output through an
// AnswerDisplay, and adds a newline if the answer does not end with one (see
// AnswerOptions::as_is). Calls of tools follow, as lines of JSON. While the
// prompt is read, an interrupt is an InterruptedError and a timeout is
// DeadlineExceeded. After that, they end the answer with StopReason::kCancelled
// or kDeadline.
absl::StatusOr<Answer> StreamAnswer(Session& session,
                                    absl::Span<const TokenId> prompt,
                                    const AnswerOptions& options);

// Writes an answer that is complete, as StreamAnswer does.
absl::Status WriteAnswer(const Answer& answer, const AnswerOptions& options);

// Like StreamAnswer, but writes no output and also returns the tokens.
absl::StatusOr<Answer> GatherAnswer(Session& session,
                                    absl::Span<const TokenId> prompt,
                                    const AnswerOptions& options,
                                    const WantedScores& wanted);

// All that an answer says: its thoughts, its text and its calls.
std::string AllText(const ParsedAnswer& answer);

// Such as "prompt: 12 tokens, 120.1 tok/s; answer: 35 tokens, 29.3 tok/s,
// speculation 8 of 9 right; the model ended it". `label` names the option that
// ended the answer.
std::string StatsLine(const GenerateStats& stats, OptionLabel label);

// The mark after an answer that ended too early, such as "[cut at 256 tokens:
// --max-tokens]", or "". `context`: tokens that the context holds. `label`
// names the option that allows more.
std::string CutMark(const GenerateStats& stats, size_t context,
                    OptionLabel label);

// Says on standard error if the answer ended too early, and whether it then
// lacks the form that was asked for. Then prints the StatsLine with `verbose`
// or on a terminal. `quiet`: only with `verbose`, and without the first.
// `context` is as for CutMark.
void NoteAnswer(const Answer& answer, const AnswerOptions& options,
                size_t context, bool verbose, bool quiet);

// Default of --max-tokens for completions. A base model often does not end its
// text.
inline constexpr size_t kMaxCompletionTokens = 256;

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_H_

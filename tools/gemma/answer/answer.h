// One answer of the model.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/gemma.h"
#include "tools/gemma/answer/answer_options.h"
#include "tools/gemma/answer/verdict.h"

namespace gemma::tools {

struct Answer {
  std::string text;
  GenerateStats stats;
  std::vector<ScoredToken> tokens;         // of the answer; see WantedScores
  std::vector<ScoredToken> prompt_tokens;  // if they are scored
  std::vector<Verdict> verdicts;           // of a guard; see guard.h
};

// Which log-probabilities an answer shall have.
struct WantedScores {
  std::optional<size_t> num_alternatives;  // none: no log-probabilities
  bool of_prompt = false;
};

// What the options mean for the library; a timeout begins now.
GenerateOptions ToGenerateOptions(const AnswerOptions& options);

// Appends `prompt` to the session, which must have room for it, with a progress
// line, and streams the answer, followed by a line end if it has none, see
// AnswerOptions. An interrupt while the prompt is read is an InterruptedError,
// a timeout DeadlineExceeded; afterwards they end the answer with
// StopReason::kCancelled or kDeadline.
absl::StatusOr<Answer> StreamAnswer(Session& session,
                                    absl::Span<const TokenId> prompt,
                                    const AnswerOptions& options);

// Writes the text of an answer, followed by a line end as above.
absl::Status WriteAnswer(const Answer& answer, const AnswerOptions& options);

// As StreamAnswer, but writes nothing and returns the tokens as well.
absl::StatusOr<Answer> GatherAnswer(Session& session,
                                    absl::Span<const TokenId> prompt,
                                    const AnswerOptions& options,
                                    const WantedScores& wanted);

// "prompt: 12 tokens, 120.1 tok/s; answer: 35 tokens, 29.3 tok/s, 8 of 9
// guessed right; the model ended it".
std::string StatsLine(const GenerateStats& stats);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_H_

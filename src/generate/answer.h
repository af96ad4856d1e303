// An answer as it grows, whoever computes its logits.

#ifndef GEMMA_SRC_GENERATE_ANSWER_H_
#define GEMMA_SRC_GENERATE_ANSWER_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/generate.h"
#include "gemma/model.h"
#include "gemma/sampler.h"
#include "gemma/tokenizer.h"
#include "src/forward/word_view.h"
#include "src/generate/constraint.h"
#include "src/generate/stop_filter.h"
#include "src/generate/token_reporter.h"

namespace gemma::internal {

// What the caller wants by now, who is asked: to end the answer, and why.
std::optional<StopReason> Interruption(const GenerateOptions& options);

// Tokens that end an answer: the model's and those of the options, ascending.
std::vector<TokenId> StopTokens(const ModelConfig& config,
                                const GenerateOptions& options);

// Chooses tokens, passes their text on, and knows when the answer ends. Whoever
// has the sequence calls, for each token: Ended, Choose, and appends it.
class Answer {
 public:
  // OK, or InvalidArgument that names the option.
  static absl::Status Check(const GenerateOptions& options,
                            const ModelConfig& config);
  // The same of a prompt for a sequence that has room for so many words and is
  // computed in passes of max_rows; OutOfRange if it does not fit.
  static absl::Status CheckPrompt(const WordView& prompt, size_t room,
                                  const ModelConfig& config, size_t max_rows);
  // The same of GenerateOptions::checkpoints.
  static absl::Status CheckCheckpoints(const GenerateOptions& options,
                                       const WordView& prompt);

  // All must outlive the answer. The options must be valid.
  Answer(const ModelConfig& config, const Tokenizer& tokenizer,
         const GenerateOptions& options,
         const StopFilter::TextFunction& on_text);

  // The logits that Choose needs. Valid until it is called.
  const NeededLogits& needed() { return constraint_.needed(); }

  // Whether each token of the prompt must come to Score.
  bool scores_prompt() const {
    return reporter_.wanted() && options_.score_prompt;
  }
  // The next token of the prompt, or kRowToken, and the logits [vocab_size]
  // after it.
  void Score(TokenId token, absl::Span<const float> logits);

  // A pass of the prompt has ended: tells the caller how many of its `total`
  // tokens the sequence has. Whether the caller, who is asked, ends it before
  // the rest.
  bool EndsPrompt(size_t done, size_t total);

  // What the sequence holds before the answer, the prompt included, with
  // kRowToken where a row is.
  void Begin(absl::Span<const TokenId> tokens);

  // Whether the caller ends it, who is asked. Once true, so is Ended.
  bool Interrupted();

  // Whether it has ended, all chosen tokens being in the sequence. `room`:
  // tokens that still fit there. May ask the caller, as Interrupted.
  bool Ended(size_t room);

  // How many tokens may still be chosen, of which `room` fit.
  size_t Left(size_t room) const;

  // The next token, by the logits [vocab_size] of the sequence, which may be
  // overwritten. None: it is a stop token, or `status` is not OK, and the
  // answer has ended.
  std::optional<TokenId> Choose(absl::Span<float> logits);

  // Passes on what text was held back. Once, when the answer has ended.
  void Finish();

  // Whether the grammar could be followed.
  const absl::Status& status() const { return status_; }
  size_t num_tokens() const { return num_tokens_; }  // chosen
  // Why it ended, after Finish.
  StopReason stop_reason() const;

 private:
  bool End(StopReason reason);

  const std::vector<TokenId> stop_tokens_;
  const GenerateOptions& options_;
  Sampler sampler_;
  TokenReporter reporter_;
  Constraint constraint_;
  StreamDecoder decoder_;
  StopFilter filter_;
  size_t num_tokens_ = 0;
  std::optional<StopReason> stop_reason_;
  absl::Status status_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_ANSWER_H_

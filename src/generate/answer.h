// A growing answer, independent of the code that computes its logits.

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
#include "src/forward/segment.h"
#include "src/forward/word_view.h"
#include "src/generate/constraint.h"
#include "src/generate/line_filter.h"
#include "src/generate/scored_tokens.h"
#include "src/generate/stop_filter.h"

namespace gemma::internal {

// Calls `cancelled` and compares the deadline with the clock. Returns why the
// caller wants the answer to end, or nothing if it may go on.
std::optional<StopReason> Interruption(const GenerateOptions& options);

// Returns the tokens that end an answer, those of the model and of the options,
// in ascending order.
std::vector<TokenId> StopTokens(const ModelConfig& config,
                                const GenerateOptions& options);

// Chooses tokens, passes their text on, and knows when the answer ends. For
// each token, the owner of the sequence calls Ended, then Choose, and appends
// the token.
class Answer {
 public:
  // Returns OK, or InvalidArgument that names the option.
  static absl::Status Check(const GenerateOptions& options,
                            const ModelConfig& config);
  // Checks a prompt for a sequence that has room for `room` words and is
  // computed in passes of at most `max_rows` rows. Returns OutOfRange if it
  // does not fit.
  static absl::Status CheckPrompt(const WordView& prompt, size_t room,
                                  const ModelConfig& config, size_t max_rows);
  // Checks GenerateOptions::checkpoints.
  static absl::Status CheckCheckpoints(const GenerateOptions& options,
                                       const WordView& prompt);

  // All arguments must outlive the answer. The options must be valid.
  Answer(const ModelConfig& config, const Tokenizer& tokenizer,
         const GenerateOptions& options,
         const StopFilter::TextFunction& on_text);

  // The logits that Choose needs. Valid until the next call of Choose.
  const NeededLogits& needed() { return constraint_.needed(); }

  // Whether Score must be called for each word of the prompt.
  bool scores_prompt() const {
    return reporter_.wanted() && options_.score_prompt;
  }
  // Takes the next token of the prompt, or kRowToken, and the logits
  // [vocab_size] after it.
  void Score(TokenId token, absl::Span<const float> logits);

  // The logits that the pass with the prompt's last word computes, if the
  // prompt is not scored.
  WantedLogits prompt_logits() const {
    return options_.prompt_only ? WantedLogits::kNone : WantedLogits::kLast;
  }

  // Call this after each pass of the prompt. Reports to the caller that `done`
  // of the prompt's `total` words are in the sequence. Returns whether the
  // caller ends the answer before the rest is computed; see Interrupted.
  bool EndsPrompt(size_t done, size_t total);

  // Takes all words of the sequence before the answer, the prompt included,
  // with kRowToken in place of each row.
  void Begin(absl::Span<const TokenId> tokens);

  // Whether the caller ends the answer; see Interruption. Once this is true,
  // Ended is true too.
  bool Interrupted();

  // Whether the answer has ended. All chosen tokens must be in the sequence;
  // `room` more tokens fit there. May ask the caller, as Interrupted does.
  bool Ended(size_t room);

  // How many tokens may still be chosen if `room` more fit in the sequence.
  size_t Left(size_t room) const;

  // Chooses the next token by the logits [vocab_size] of the sequence, which
  // may be overwritten. Returns nothing if the token is a stop token or if
  // `status` is an error, such as that of CheckFinite; the answer has then
  // ended.
  std::optional<TokenId> Choose(absl::Span<float> logits);

  // Passes on the text that was held back. Call this once, when the answer has
  // ended.
  void Finish();

  // OK, or why no token could be chosen or scored.
  const absl::Status& status() const { return status_; }
  size_t num_tokens() const { return num_tokens_; }  // chosen
  // Why the answer ended. Call this after Finish.
  StopReason stop_reason() const;

 private:
  bool End(StopReason reason);
  // Ends the answer with an error. Returns false if `status` is OK.
  bool Fail(absl::Status status);

  // Before min_new_tokens.
  bool must_go_on() const { return num_tokens_ < options_.min_new_tokens; }
  void AppendText(std::string_view text);
  void FlushText();

  // Passes a control token on. Returns whether the caller wants such tokens.
  bool Control(TokenId token);

  const std::vector<TokenId> stop_tokens_;
  const std::vector<TokenId>& suppress_tokens_;
  const Tokenizer& tokenizer_;
  const GenerateOptions& options_;
  // The tokens that must not be chosen yet: those that the model suppresses,
  // and stop tokens before min_new_tokens.
  const std::vector<TokenId> not_yet_;
  Sampler sampler_;
  TokenReporter reporter_;
  Constraint constraint_;
  StreamDecoder decoder_;
  LineFilter lines_;
  const StopFilter::TextFunction on_lines_;  // appends to lines_
  StopFilter filter_;
  size_t begin_ = 0;  // words before the answer
  size_t num_tokens_ = 0;
  std::optional<StopReason> stop_reason_;
  absl::Status status_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_ANSWER_H_

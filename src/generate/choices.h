// The scores of choices, whoever computes their logits.

#ifndef GEMMA_SRC_GENERATE_CHOICES_H_
#define GEMMA_SRC_GENERATE_CHOICES_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/model_config.h"
#include "gemma/score.h"
#include "ops/matrix_view.h"

namespace gemma::internal {

using Choices = absl::Span<const std::vector<TokenId>>;

// Rows of logits computed at once. They need little memory, and they are so few
// that every CPU adds them in the same order as single rows.
inline constexpr size_t kChoiceRows = 16;

// Returns OK if the choices can be scored after a prompt in a sequence with
// room for `room` more tokens.
absl::Status CheckChoices(const ModelConfig& config, size_t room,
                          size_t prompt_tokens, Choices choices);

// Scores choices one after the other. The owner of the sequence, which holds
// the prompt, computes pieces and goes back to the end of the prompt before
// each first one.
class ChoiceScorer {
 public:
  // `choices` must outlive this, and pass CheckChoices. A piece has at most
  // `most_rows` tokens.
  ChoiceScorer(Choices choices, size_t most_rows)
      : choices_(choices), most_rows_(most_rows), scores_(choices.size()) {}

  // Takes the logits [vocab_size] after the prompt, which has `prompt_tokens`.
  // If it fails, so do all scores, as for the next function.
  absl::Status Begin(absl::Span<const float> logits, size_t prompt_tokens);

  // The next tokens to append; none if all choices are scored. All their logits
  // are wanted. The last token of a choice is never among them.
  absl::Span<const TokenId> Next() const;
  // Whether Next() follows the prompt.
  bool at_prompt() const { return done_ == 0; }
  // Takes the logits [Next().size(), vocab_size].
  absl::Status Took(MatrixView<float> logits);

  // How many of the longest choice's tokens are appended.
  size_t longest() const;

  std::vector<ChoiceScore> TakeScores() { return std::move(scores_); }

 private:
  // Goes to the next choice with more than one token.
  void SkipShort();

  const Choices choices_;
  const size_t most_rows_;
  std::vector<ChoiceScore> scores_;
  size_t prompt_tokens_ = 0;
  size_t choice_ = 0;  // index of the current one
  size_t done_ = 0;    // its tokens in the sequence
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_CHOICES_H_

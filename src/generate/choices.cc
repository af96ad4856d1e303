#include "src/generate/choices.h"

#include <algorithm>

#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/forward/word_view.h"
#include "src/generate/scored_tokens.h"

namespace gemma::internal {
namespace {

absl::Status CheckChoice(const ModelConfig& config, size_t room,
                         size_t prompt_tokens,
                         const std::vector<TokenId>& choice, size_t index) {
  if (choice.empty()) {
    return absl::InvalidArgumentError(
        FormatText("choice %u has no tokens, wanted 1 or more", index));
  }
  GEMMA_RETURN_IF_ERROR(
      CheckTokens(choice, config, FormatText("choice %u", index)));
  if (prompt_tokens > room || choice.size() > room - prompt_tokens) {
    return absl::OutOfRangeError(FormatText(
        "the prompt has %u tokens and choice %u %u, the context has room for "
        "%u",
        prompt_tokens, index, choice.size(), room));
  }
  return absl::OkStatus();
}

void Add(const LogProbabilities& next, TokenId token, ChoiceScore& score) {
  const double log_probability = next[token];
  score.log_probability += log_probability;
  score.token_log_probabilities.push_back(log_probability);
  if (token != next.most_probable()) score.is_greedy = false;
}

}  // namespace

absl::Status CheckChoices(const ModelConfig& config, size_t room,
                          size_t prompt_tokens, Choices choices) {
  if (choices.empty()) {
    return absl::InvalidArgumentError("there are no choices, wanted 1 or more");
  }
  for (size_t i = 0; i < choices.size(); ++i) {
    GEMMA_RETURN_IF_ERROR(
        CheckChoice(config, room, prompt_tokens, choices[i], i));
  }
  return absl::OkStatus();
}

absl::Status ChoiceScorer::Begin(absl::Span<const float> logits,
                                 size_t prompt_tokens) {
  GEMMA_RETURN_IF_ERROR(CheckFinite(logits, prompt_tokens));
  prompt_tokens_ = prompt_tokens;
  const LogProbabilities first(logits);
  for (size_t i = 0; i < choices_.size(); ++i) {
    Add(first, choices_[i][0], scores_[i]);
  }
  SkipShort();
  return absl::OkStatus();
}

void ChoiceScorer::SkipShort() {
  while (choice_ < choices_.size() && choices_[choice_].size() == 1) ++choice_;
}

absl::Span<const TokenId> ChoiceScorer::Next() const {
  if (choice_ == choices_.size()) return {};
  const absl::Span<const TokenId> choice = choices_[choice_];
  return choice.subspan(done_, std::min(most_rows_, choice.size() - 1 - done_));
}

absl::Status ChoiceScorer::Took(MatrixView<float> logits) {
  const std::vector<TokenId>& choice = choices_[choice_];
  for (size_t i = 0; i < logits.rows; ++i) {
    const auto row = logits.Row(i);
    const absl::Span<const float> next(row.data(), row.size());
    ++done_;
    GEMMA_RETURN_IF_ERROR(CheckFinite(next, prompt_tokens_ + done_));
    Add(LogProbabilities(next), choice[done_], scores_[choice_]);
  }
  if (done_ + 1 < choice.size()) return absl::OkStatus();
  done_ = 0;
  ++choice_;
  SkipShort();
  return absl::OkStatus();
}

size_t ChoiceScorer::longest() const {
  size_t longest = 0;
  for (const std::vector<TokenId>& choice : choices_) {
    longest = std::max(longest, choice.size() - 1);
  }
  return longest;
}

}  // namespace gemma::internal

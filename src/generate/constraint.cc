#include "src/generate/constraint.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/generate/scored_tokens.h"
#include "src/grammar/grammar_impl.h"
#include "src/grammar/marks.h"
#include "src/text/tokenizer/tokenizer_impl.h"

namespace gemma::internal {
namespace {

constexpr float kImpossible = -std::numeric_limits<float>::infinity();

// Bounds of how many more of the largest logits than candidates are requested
// at first. A grammar mostly allows nearly all tokens that the model finds
// likely.
constexpr size_t kLeastMore = 8;
constexpr size_t kMostMore = 64;
// Ranking more logits takes longer than checking every token of the vocabulary.
constexpr size_t kMaxRanked = 4096;

absl::StatusOr<std::vector<MarkToken>> TokensOfMarks(
    const Grammar::Impl& grammar, const Tokenizer& tokenizer,
    absl::Span<const TokenId> stops) {
  std::vector<MarkToken> marks;
  for (uint8_t i = 0; i < kNumMarks; ++i) {
    const std::string_view name = grammar.marks[i];
    if (name.empty()) continue;
    const std::optional<TokenId> token = tokenizer.Find(name);
    if (!token.has_value() || !tokenizer.IsControl(*token)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the grammar needs the control token ", Quoted(name),
                       ", which the vocabulary lacks"));
    }
    if (std::ranges::find(stops, *token) != stops.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the grammar needs the control token ", Quoted(name),
                       ", but this token ends an answer"));
    }
    marks.push_back({ByteOf(static_cast<Mark>(i)), *token});
  }
  return marks;
}

}  // namespace

Constraint::Constraint(const Grammar* grammar, const Tokenizer& tokenizer,
                       absl::Span<const TokenId> stops, size_t num_candidates,
                       bool all_logits, absl::Span<const TokenId> suppressed)
    : num_candidates_(num_candidates),
      all_logits_(all_logits),
      suppressed_(suppressed),
      more_(kLeastMore) {
  if (grammar == nullptr) return;
  absl::StatusOr<std::vector<MarkToken>> marks =
      TokensOfMarks(grammar->impl(), tokenizer, stops);
  marks_status_ = marks.status();
  if (!marks.ok()) return;
  allowed_.emplace(grammar->impl().bytes, tokenizer.impl().trie(), stops,
                   *std::move(marks));
}

const NeededLogits& Constraint::needed() {
  if (needed_is_set_) return needed_;
  needed_is_set_ = true;
  needed_ = {};
  if (all_logits_) return needed_;
  // The largest logits may be those of suppressed tokens, which do not count.
  const size_t most = num_candidates_ + suppressed_.size();
  if (num_candidates_ != 0) needed_.top_k = most;
  if (!allowed_.has_value()) return needed_;
  if (const std::vector<TokenId>* few = allowed_->Few()) {
    needed_.tokens = *few;
  } else if (num_candidates_ != 0) {
    needed_.top_k = most + more_;
    needed_.enough = [this, most](std::span<const float> logits) {
      has_candidates_ = FindCandidates(logits, most + more_);
      return has_candidates_;
    };
  }
  return needed_;
}

void Constraint::Apply(absl::Span<float> logits) {
  if (!allowed_.has_value()) return;
  if (const std::vector<TokenId>* few = allowed_->Few()) {
    candidates_.clear();
    for (const TokenId token : *few) {
      candidates_.push_back({token, logits[static_cast<size_t>(token)]});
    }
    return KeepCandidates(logits);
  }
  for (size_t among = num_candidates_ + more_;
       !has_candidates_ && num_candidates_ != 0 && among <= kMaxRanked;
       among *= 4) {
    has_candidates_ = FindCandidates(logits, among);
  }
  if (has_candidates_) return KeepCandidates(logits);
  const std::vector<bool>& all = allowed_->All();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (i >= all.size() || !all[i]) logits[i] = kImpossible;
  }
}

bool Constraint::FindCandidates(absl::Span<const float> logits, size_t among) {
  FindTopTokens(logits, among, largest_);
  candidates_.clear();
  size_t refused = 0;
  for (const TokenLogit& token : largest_) {
    if (candidates_.size() == num_candidates_) break;
    // Logits that were not computed are -infinity too.
    if (token.logit == kImpossible) break;
    const bool is_suppressed =
        std::ranges::find(suppressed_, token.token) != suppressed_.end();
    if (allowed_->Contains(token.token) && !is_suppressed) {
      candidates_.push_back(token);
    } else {
      ++refused;
    }
  }
  more_ = std::clamp(2 * refused, kLeastMore, kMostMore);
  return candidates_.size() == num_candidates_;
}

void Constraint::KeepCandidates(absl::Span<float> logits) const {
  std::fill(logits.begin(), logits.end(), kImpossible);
  for (const TokenLogit& candidate : candidates_) {
    logits[static_cast<size_t>(candidate.token)] = candidate.logit;
  }
}

TokenId Constraint::Allowed(TokenId token) {
  if (!allowed_.has_value() || allowed_->Contains(token)) return token;
  const std::vector<bool>& all = allowed_->All();
  const auto lowest = std::find(all.begin(), all.end(), true);
  return static_cast<TokenId>(lowest - all.begin());
}

void Constraint::Accept(TokenId token) {
  if (!allowed_.has_value()) return;
  allowed_->Accept(token);
  needed_is_set_ = false;
  has_candidates_ = false;
}

absl::Status Constraint::status() const {
  return allowed_.has_value() ? allowed_->status() : marks_status_;
}

}  // namespace gemma::internal

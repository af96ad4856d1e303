#include "src/session/draft_policy.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace gemma::internal {
namespace {

// A draft must promise at least the first of these speedups, or the second if
// drafts have lost more than they may.
constexpr double kWorthwhile = 1.1;
constexpr double kWorthwhileInDebt = 1.3;

// The guessed probability that the token after a match of 2, 3, 4, 5, 7, 11, 19
// or more tokens is right. It is low for short matches, because prose is full
// of them. The guess counts as kGuessWeight measurements.
constexpr double kGuessedHits[] = {0.1, 0.2, 0.4, 0.55, 0.7, 0.85, 0.9};
constexpr size_t kGuessWeight = 3;

// How many tokens a mean of hits remembers.
constexpr size_t kHitsMemory = 64;

// The most that trying drafts may lose at once, and the credit that each pass
// without a draft adds. Unit: passes of one row.
constexpr double kMostCredit = 2;
constexpr double kCreditPerPass = 0.01;

}  // namespace

DraftPolicy::DraftPolicy(SharedPassCosts& costs)
    : costs_(&costs), credit_(kMostCredit) {
  for (size_t i = 0; i < kBuckets; ++i) {
    hits_[i] = {kGuessedHits[i], kGuessWeight};
  }
}

size_t DraftPolicy::DraftLength(size_t match_length, size_t most) {
  if (match_length == 0 || one_row_.count == 0) return 0;
  const PassCosts costs = costs_->Get();
  if (credit_ <= 0) {
    const Choice sure = Fastest(match_length, most, costs, Trust::kMeasured);
    return sure.speed > kWorthwhileInDebt ? sure.length : 0;
  }
  const Choice best = Fastest(match_length, most, costs, Trust::kExplore);
  if (best.speed > kWorthwhile) return best.length;
  if (quiet_tokens_ < patience_) return 0;
  // Drafts were slow long ago. Perhaps they no longer are.
  const Choice hoped = Fastest(match_length, most, costs, Trust::kDoubt);
  if (hoped.speed <= kWorthwhile) return 0;
  patience_ *= 2;
  return hoped.length;
}

void DraftPolicy::PassTook(size_t rows, double seconds) {
  Settle();
  last_rows_ = rows;
  last_brought_ = 0;
  quiet_tokens_ = rows > 1 ? 0 : quiet_tokens_ + 1;
  // Ignore the first pass, which finds cold caches.
  if (!std::exchange(warm_, true)) return;
  if (rows == 1) return one_row_.AddTime(seconds);
  const double cost = seconds / one_row_.value;
  // Cap the cost: a preempted pass is not the draft's fault.
  last_cost_ = std::min(cost, 2.0 * static_cast<double>(rows));
  costs_->Add(rows, cost);
}

void DraftPolicy::TokenCame(size_t match_length, bool as_foretold) {
  ++last_brought_;
  if (match_length == 0) return;
  hits_[Bucket(match_length)].Add(as_foretold ? 1 : 0, kHitsMemory);
}

// The buckets of match lengths: 2, 3, 4, 5-6, 7-10, 11-18, 19 and more.
size_t DraftPolicy::Bucket(size_t match_length) {
  if (match_length < 4) return match_length - 2;
  return std::min<size_t>(1 + std::bit_width(match_length - 3), kBuckets - 1);
}

DraftPolicy::Choice DraftPolicy::Fastest(size_t match_length, size_t most,
                                         const PassCosts& costs,
                                         Trust trust) const {
  most = std::min({most, kMaxDraft, costs.most_rows() + 1});
  Choice best;
  double all_right = 1;  // probability
  double tokens = 1;     // expected of the pass
  for (size_t length = 1; length <= most; ++length) {
    all_right *= hits_[Bucket(match_length + length - 1)].value;
    tokens += all_right;
    const size_t rows = length + 1;
    if (trust == Trust::kMeasured && !costs.measured(rows)) continue;
    const double cost =
        trust == Trust::kDoubt ? PassCosts::FirstGuess(rows) : costs.Cost(rows);
    if (tokens > best.speed * cost) best = {length, tokens / cost};
  }
  return best;
}

void DraftPolicy::Settle() {
  double gain = kCreditPerPass;
  if (last_rows_ > 1) {
    gain = static_cast<double>(last_brought_) - last_cost_;
    if (gain > 0) patience_ = kPatience;
  }
  credit_ = std::min(credit_ + gain, kMostCredit);
}

}  // namespace gemma::internal

// Decides whether a draft is worth its time, and how long it should be.

#ifndef GEMMA_SRC_SESSION_DRAFT_POLICY_H_
#define GEMMA_SRC_SESSION_DRAFT_POLICY_H_

#include <array>
#include <cstddef>

#include "src/forward/pass_costs.h"

namespace gemma::internal {

// Decides from two measurements: the time of a pass by its number of rows, and
// how often a match predicts the next token correctly, by the length of the
// match. Every token shows the second, drafted or not; only times must be tried
// out. The loss from trying is bounded: a few passes at first, then one in a
// hundred.
//
// Deterministic: it uses no clock and no random numbers. After the same calls
// with the same costs, it decides the same.
class DraftPolicy {
 public:
  // The most tokens of a draft. A pass has one row to check each of them, and
  // one row for the token before them.
  static constexpr size_t kMaxDraft = PassCosts::kMaxRows - 1;

  // Adds measurements to `costs`, which must outlive the policy.
  explicit DraftPolicy(SharedPassCosts& costs);

  // How many tokens to draft after a match of this length (0: no match), at
  // most `most`.
  size_t DraftLength(size_t match_length, size_t most);

  // Records the time of a pass of 1 to kMaxDraft + 1 rows.
  void PassTook(size_t rows, double seconds);

  // Records that a token was chosen from the logits of the last pass.
  // `match_length`: of the match before it, 0 if no match existed.
  // `as_foretold`: the match predicted the token.
  void TokenCame(size_t match_length, bool as_foretold);

 private:
  struct Choice {
    size_t length = 0;
    double speed = 1;  // expected; 1 for passes of one row
  };

  // How much to rely on measured times.
  enum class Trust {
    kMeasured,  // only lengths that were measured
    kExplore,   // others too, at their guess
    kDoubt,     // no lengths: guess as at first
  };

  static size_t Bucket(size_t match_length);

  // The fastest length, at most `most` and little more than was tried.
  Choice Fastest(size_t match_length, size_t most, const PassCosts& costs,
                 Trust trust) const;

  // Adds the gain of the last pass to the credit.
  void Settle();

  static constexpr size_t kBuckets = 7;
  static constexpr size_t kPatience = 128;  // tokens

  SharedPassCosts* costs_;
  std::array<FadingMean, kBuckets> hits_;  // 0 to 1, by the match's length
  FadingMean one_row_;                     // seconds of a pass of one row
  bool warm_ = false;                      // a pass was made

  // How much trying may still lose, in passes of one row.
  double credit_;
  size_t quiet_tokens_ = 0;  // since the last draft
  size_t patience_ = kPatience;

  // The last pass.
  size_t last_rows_ = 0;
  double last_cost_ = 0;     // in passes of one row
  size_t last_brought_ = 0;  // tokens
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SESSION_DRAFT_POLICY_H_

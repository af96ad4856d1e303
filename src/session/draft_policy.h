// Whether a draft is worth its time, and how long it should be.

#ifndef GEMMA_SRC_SESSION_DRAFT_POLICY_H_
#define GEMMA_SRC_SESSION_DRAFT_POLICY_H_

#include <array>
#include <cstddef>

#include "src/forward/pass_costs.h"

namespace gemma::internal {

// Decides by two measurements: the time of a pass by its rows, and how often
// the token that once followed a match follows it again, by the match's length.
// The second is seen at every token, drafted or not; only times must be tried.
// What trying may lose is bounded: a few passes at first, then one in a
// hundred.
//
// It has no clock and no dice: after the same calls, with the same costs, it
// decides the same.
class DraftPolicy {
 public:
  // Tokens, checked by a row each and one for the token before them.
  static constexpr size_t kMaxDraft = PassCosts::kMaxRows - 1;

  // `costs`, which it adds to, must outlive it.
  explicit DraftPolicy(SharedPassCosts& costs);

  // How many tokens to draft after a match of this length (0: there is none),
  // at most `most`.
  size_t DraftLength(size_t match_length, size_t most);

  // A pass of 1 to kMaxDraft + 1 rows took this long.
  void PassTook(size_t rows, double seconds);

  // A token was chosen by the logits of the last pass. `as_foretold`: it is the
  // one that followed the match before it, whose length is 0 if there was none.
  void TokenCame(size_t match_length, bool as_foretold);

 private:
  struct Choice {
    size_t length = 0;
    double speed = 1;  // expected; 1: that of passes of one row
  };

  // How much to rely on measured times.
  enum class Trust {
    kMeasured,  // only lengths that were measured
    kExplore,   // others too, at their guess
    kDoubt,     // none: guess as at first
  };

  static size_t Bucket(size_t match_length);

  // The fastest length of those up to `most`, and to little more than was
  // tried.
  Choice Fastest(size_t match_length, size_t most, const PassCosts& costs,
                 Trust trust) const;

  // Enters what the last pass gained.
  void Settle();

  static constexpr size_t kBuckets = 7;
  static constexpr size_t kPatience = 128;  // tokens

  SharedPassCosts* costs_;
  std::array<FadingMean, kBuckets> hits_;  // 0 to 1, by the match's length
  FadingMean one_row_;                     // seconds of a pass of one row
  bool warm_ = false;                      // there was a pass

  // What may be lost by trying, in passes of one row.
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

// The last step of choosing a token for a gap in code.

#ifndef GEMMA_SRC_GENERATE_FILL_STEP_H_
#define GEMMA_SRC_GENERATE_FILL_STEP_H_

#include <vector>

#include "absl/types/span.h"
#include "gemma/sampler.h"
#include "gemma/tokenizer.h"

namespace gemma::internal {

// Drops candidates as the sampler "infill" of llama.cpp does, which editors ask
// for; see GenerateOptions::fill_sampling. With p the probability among the n
// candidates:
//   1. If 3 n p(stop tokens) > p(other tokens), only stop tokens are kept.
//   2. A token whose bytes begin those of another one is merged with it: the
//      more probable of the two has the sum, the other one is dropped.
//   3. Tokens with p < 0.2 are dropped, then, of k that are left, those with
//      p < 1 / (k + 1). Stop tokens are neither dropped nor counted here.
//   4. If only stop tokens are left, one of them is kept.
// The sums decide what is kept. The weights of tokens stay as they were.
class FillStep {
 public:
  // Both must outlive this. `stops`: the tokens that end an answer, ascending.
  FillStep(const Tokenizer& tokenizer, absl::Span<const TokenId> stops)
      : tokenizer_(tokenizer), stops_(stops) {}

  // Sampler::LastStep.
  void operator()(std::vector<TokenLogit>& candidates,
                  std::vector<double>& weights) const;

 private:
  struct Fate {
    double probability = 0;
    bool is_stop = false;
    bool is_kept = true;
  };

  void Merge(const std::vector<TokenLogit>& candidates,
             std::vector<Fate>& fates) const;

  const Tokenizer& tokenizer_;
  const absl::Span<const TokenId> stops_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_FILL_STEP_H_

// Choosing a token from logits.

#ifndef GEMMA_SAMPLER_H_
#define GEMMA_SAMPLER_H_

#include <cstdint>
#include <random>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/model_config.h"

namespace gemma {

// The defaults are those that Gemma 3 was published with.
struct SamplingOptions {
  float temperature = 1.0f;  // 0: the most probable token; never negative
  size_t top_k = 64;         // keep the k most probable; 0: all
  float top_p = 0.95f;  // keep the fewest whose probability reaches p; 1: all
  float min_p = 0.0f;   // keep those above min_p * the highest; 0: all
  uint64_t seed = 0;    // the same seed gives the same choices
};

// Returns OK, or InvalidArgument naming the option, its value and its range.
GEMMA_EXPORT absl::Status Validate(const SamplingOptions& options);

// Samples by temperature, then top-k, top-p and min-p. Ties go to the lower
// token.
class GEMMA_EXPORT Sampler {
 public:
  // `options` must be valid.
  explicit Sampler(const SamplingOptions& options);

  // How many of the largest logits decide; 0: all.
  size_t num_candidates() const;

  // Returns a token of logits [vocab_size], at least one, which may be
  // overwritten.
  TokenId Sample(absl::Span<float> logits);

 private:
  struct Candidate {
    float logit;
    TokenId token;
  };

  SamplingOptions options_;
  std::mt19937_64 random_;
  std::vector<Candidate> candidates_;  // reused from call to call
  std::vector<double> weights_;        // as candidates_
};

}  // namespace gemma

#endif  // GEMMA_SAMPLER_H_

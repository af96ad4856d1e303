// Choosing a token from logits.

#ifndef GEMMA_SAMPLER_H_
#define GEMMA_SAMPLER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/model_config.h"

namespace gemma {

// What is added to the logit of a token.
struct LogitBias {
  TokenId token = 0;  // whose logit it is
  float bias = 0.0f;  // -infinity: the token is never chosen
};

// The defaults are those that Gemma 3 was published with.
struct SamplingOptions {
  float temperature = 1.0f;  // 0: the most probable token; never negative
  size_t top_k = 64;         // keep the k most probable; 0: all
  float top_p = 0.95f;  // keep the fewest whose probability reaches p; 1: all
  float min_p = 0.0f;   // keep those above min_p * the highest; 0: all
  // Keep the fewest whose probability reaches p, beginning with those whose
  // -log(probability) is closest to its mean, the entropy; 1: all.
  float typical_p = 1.0f;
  // Penalties are for tokens that occurred. This one divides their logits, or
  // multiplies negative ones, however often they did. More than 0; 1: off.
  float repetition_penalty = 1.0f;
  // Subtracted as often as the token occurred; 0: off. Negative ones favour
  // what occurred.
  float frequency_penalty = 0.0f;
  // As above, but subtracted once.
  float presence_penalty = 0.0f;
  // The tokens that penalties count: so many last ones of the sequence, be they
  // of the prompt, of earlier turns or of the answer; 0: all.
  size_t penalty_window = 64;
  std::vector<LogitBias> logit_bias;  // no token twice
  uint64_t seed = 0;                  // the same seed gives the same choices
};

// Returns OK, or InvalidArgument naming the option, its value and its range.
GEMMA_EXPORT absl::Status Validate(const SamplingOptions& options);

// A token and its logit.
struct TokenLogit {
  TokenId token = 0;   // its index in the vocabulary
  float logit = 0.0f;  // its logit
};

// Samples in these steps, each of which sees what the one before left:
//   1. logit_bias is added.
//   2. repetition_penalty, then frequency_penalty and presence_penalty. If the
//      temperature is 0, the highest logit is chosen now.
//   3. temperature divides.
//   4. top_k, typical_p, top_p and min_p each drop tokens; probabilities are
//      those among the tokens that are left.
// Ties go to the lower token. A NaN is never chosen, and -infinity only where
// there is nothing else.
class GEMMA_EXPORT Sampler {
 public:
  // `options` must be valid. Tokens outside the vocabulary have no bias.
  explicit Sampler(const SamplingOptions& options);

  // How many of the largest logits decide, whatever was accepted; 0: all. The
  // others may be -infinity.
  size_t num_candidates() const;

  // Tells that `tokens` come next in the sequence: at first those of the
  // prompt, then each that was chosen. Only penalties need to know.
  void Accept(absl::Span<const TokenId> tokens);

  // Returns a token of logits [vocab_size], at least one, which may be
  // overwritten. Accepts nothing.
  TokenId Sample(absl::Span<float> logits);

 private:
  bool penalizes() const;
  size_t num_kept() const;  // by temperature 0 or top_k; 0: all

  // Steps 1 and 2.
  void Adjust(absl::Span<float> logits) const;

  // Of step 4.
  void KeepTypical();
  void KeepMostProbable();

  SamplingOptions options_;
  std::mt19937_64 random_;
  // Tokens that penalties count; without penalties, none.
  std::unordered_map<TokenId, size_t> counts_;
  std::deque<TokenId> window_;  // the same in order; empty if all count
  // What may be chosen, reused from call to call.
  std::vector<TokenLogit> candidates_;
  std::vector<double> weights_;  // as candidates_: relative probabilities
};

}  // namespace gemma

#endif  // GEMMA_SAMPLER_H_

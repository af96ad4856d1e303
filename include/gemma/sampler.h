// Chooses a token from logits.

#ifndef GEMMA_SAMPLER_H_
#define GEMMA_SAMPLER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/model_config.h"

namespace gemma {

// A value that is added to the logit of a token.
struct LogitBias {
  TokenId token = 0;  // the token
  float bias = 0.0f;  // -infinity: the token is never chosen
};

// How to choose a token. The defaults are those published with Gemma 3.
struct SamplingOptions {
  float temperature = 1.0f;  // at least 0; 0: choose the most probable token
  size_t top_k = 64;         // keep the k most probable; 0: all
  float top_p = 0.95f;  // keep the fewest whose probability reaches p; 1: all
  float min_p = 0.0f;   // keep those above min_p * the highest; 0: all
  // Keep the fewest tokens whose probability reaches p, beginning with those
  // whose -log(probability) is closest to its mean, the entropy; 1: all.
  float typical_p = 1.0f;
  // Penalties apply to tokens that occurred. This one divides positive logits
  // and multiplies negative ones, regardless of the count. Above 0; 1: off.
  float repetition_penalty = 1.0f;
  // Subtracted once for each occurrence; 0: off. A negative value favours
  // tokens that occurred.
  float frequency_penalty = 0.0f;
  // Subtracted once, regardless of the count; 0: off. A negative value favours
  // tokens that occurred.
  float presence_penalty = 0.0f;
  // Penalties count the last penalty_window tokens of the sequence, including
  // the prompt, earlier turns and the answer; 0: all tokens.
  size_t penalty_window = 64;
  std::vector<LogitBias> logit_bias;  // at most one for each token
  uint64_t seed = 0;                  // the same seed gives the same choices
};

// Returns OK, or InvalidArgument, which names the option, its value and its
// range.
GEMMA_EXPORT absl::Status Validate(const SamplingOptions& options);

// A token and its logit.
struct TokenLogit {
  TokenId token = 0;   // its index in the vocabulary
  float logit = 0.0f;  // its logit
};

// Samples in these steps; each works on the result of the one before:
//   1. logit_bias is added.
//   2. repetition_penalty, then frequency_penalty and presence_penalty. If the
//      temperature is 0, the highest logit is chosen now.
//   3. Logits are divided by temperature.
//   4. top_k, typical_p, top_p and min_p each drop tokens. Each uses
//      probabilities among the tokens that are left.
// If logits are equal, the lower token wins. NaN is never chosen; -infinity is
// chosen only if all other logits are -infinity or NaN.
class GEMMA_EXPORT Sampler {
 public:
  // `options` must be valid, see Validate. Biases of tokens outside the
  // vocabulary are ignored.
  explicit Sampler(const SamplingOptions& options);

  // Returns how many of the largest logits can affect the choice, whatever was
  // accepted; 0: all. The other logits may be -infinity.
  size_t num_candidates() const;

  // Adds the next tokens of the sequence: first those of the prompt, then each
  // chosen token. Only penalties use them.
  void Accept(absl::Span<const TokenId> tokens);

  // Returns a token. logits: [vocab_size], at least one; may be overwritten.
  // Does not accept the token.
  TokenId Sample(absl::Span<float> logits);

  // Internal: a step after the others. It gets the tokens that are left with
  // their relative probabilities, in descending order, and leaves at least one.
  using LastStep = std::function<void(std::vector<TokenLogit>& candidates,
                                      std::vector<double>& weights)>;
  // Internal.
  void set_last_step(LastStep step) { last_step_ = std::move(step); }

 private:
  bool penalizes() const;
  size_t num_kept() const;  // tokens kept by temperature 0 or top_k; 0: all

  // Applies steps 1 and 2.
  void Adjust(absl::Span<float> logits) const;

  // Parts of step 4.
  void KeepTypical();
  void KeepMostProbable();

  SamplingOptions options_;
  std::mt19937_64 random_;
  // Counts of the tokens that penalties use; empty without penalties.
  std::unordered_map<TokenId, size_t> counts_;
  std::deque<TokenId> window_;  // these tokens in order; empty if all count
  // Tokens that may be chosen. A member so that calls reuse its memory.
  std::vector<TokenLogit> candidates_;
  std::vector<double> weights_;  // relative probabilities of candidates_
  LastStep last_step_;           // may be empty
};

}  // namespace gemma

#endif  // GEMMA_SAMPLER_H_

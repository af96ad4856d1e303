// Types of weights that models can be turned into.

#ifndef GEMMA_WEIGHT_TYPE_H_
#define GEMMA_WEIGHT_TYPE_H_

#include <optional>
#include <string_view>

#include "gemma/export.h"

namespace gemma {

// What matrices become. One that takes no more bits already is kept as it is,
// code by code, and so is one in Q4_0; one of floats whose values Q4_0 holds
// exactly (Google's checkpoints of quantization-aware training) becomes that in
// all types below kBF16. Norms, biases and the like stay float32. Bits are
// those of a weight, errors relative RMS errors of Gaussian weights.
enum class WeightType {
  kKeep,  // as in the source
  kBF16,  // bfloat16: 16 bits
  kQ8,    // 8.5 bits, 0.5 %
  kQ6,    // 6.5 bits, 1.7 %
  kQ5,    // 5.5 bits, 3.4 %
  kQ4,    // 4.5 bits, 6.4 %
  kQ4S,   // 4.25 bits, 7.4 %: the smallest
  kQ4_0,  // GGUF's Q4_0, 4.5 bits, 8.1 %
};

// "keep", "bf16", "q8", "q6", "q5", "q4", "q4s", "q4_0".
GEMMA_EXPORT std::string_view WeightTypeName(WeightType type);
// The type of a name; nothing if there is none.
GEMMA_EXPORT std::optional<WeightType> ParseWeightType(std::string_view name);

}  // namespace gemma

#endif  // GEMMA_WEIGHT_TYPE_H_

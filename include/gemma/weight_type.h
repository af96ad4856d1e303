// Weight types that models can be converted to.

#ifndef GEMMA_WEIGHT_TYPE_H_
#define GEMMA_WEIGHT_TYPE_H_

#include <optional>
#include <string_view>

#include "gemma/export.h"

namespace gemma {

// The type that matrices are converted to. A matrix that already uses no more
// bits keeps its codes, and so does a matrix in Q4_0. A float matrix whose
// values Q4_0 represents exactly (Google's checkpoints of quantization-aware
// training) becomes Q4_0 for all types below kBF16. Norms, biases and the like
// stay float32. Bits are per weight; errors are relative RMS errors of Gaussian
// weights.
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

// Returns "keep", "bf16", "q8", "q6", "q5", "q4", "q4s" or "q4_0".
GEMMA_EXPORT std::string_view WeightTypeName(WeightType type);
// Returns the type with this name, or nothing if the name is unknown.
GEMMA_EXPORT std::optional<WeightType> ParseWeightType(std::string_view name);

}  // namespace gemma

#endif  // GEMMA_WEIGHT_TYPE_H_

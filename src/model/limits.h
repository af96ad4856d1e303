// Limits on what a file may claim of a model: far above any Gemma, and small
// enough that a hostile file cannot make sizes overflow or buffers huge.

#ifndef GEMMA_SRC_MODEL_LIMITS_H_
#define GEMMA_SRC_MODEL_LIMITS_H_

#include <cstddef>

namespace gemma {

// Of any size. Products of two sizes and a count of bytes cannot overflow.
inline constexpr size_t kMaxSize = size_t{1} << 24;
inline constexpr size_t kMaxLayers = 1024;
inline constexpr size_t kMaxTaps = 16;     // of ModelConfig::conv_width
inline constexpr size_t kMaxStrip = 1024;  // channels that share a gate matrix
inline constexpr size_t kMaxDense = 8;     // of ModelConfig::dense_dims

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_LIMITS_H_

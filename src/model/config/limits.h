// Limits on a model's sizes as a file states them. They are far above any
// Gemma, and low enough that a hostile file can neither make sizes overflow nor
// buffers huge.

#ifndef GEMMA_SRC_MODEL_CONFIG_LIMITS_H_
#define GEMMA_SRC_MODEL_CONFIG_LIMITS_H_

#include <cstddef>

namespace gemma::internal {

// Limit of any size. The product of two sizes and a number of bytes cannot
// overflow.
inline constexpr size_t kMaxSize = size_t{1} << 24;
inline constexpr size_t kMaxLayers = 1024;
inline constexpr size_t kMaxTaps = 16;     // of ModelConfig::conv_width
inline constexpr size_t kMaxStrip = 1024;  // channels that share a gate matrix
inline constexpr size_t kMaxExperts = 1024;  // of LayerConfig::num_experts
inline constexpr size_t kMaxStreams = 8;     // of ModelConfig::altup_streams
inline constexpr size_t kMaxDense = 8;       // of ModelConfig::dense_dims

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_LIMITS_H_

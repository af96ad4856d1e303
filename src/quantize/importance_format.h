// GGUF importance files, as llama.cpp's imatrix tool writes them. They hold the
// keys below and, for each tensor of `matrices` matrices (one, or one for each
// expert), two tensors in F32, named after it:
//   <tensor>.in_sum2 [matrices, columns]  sums of squares of the columns'
//   inputs <tensor>.counts  [matrices, 1]        the numbers of tokens in them,
//   or 0
// Readers ignore tensors with other endings.

#ifndef GEMMA_SRC_QUANTIZE_IMPORTANCE_FORMAT_H_
#define GEMMA_SRC_QUANTIZE_IMPORTANCE_FORMAT_H_

#include <string_view>

namespace gemma::internal {

inline constexpr std::string_view kSumsEnding = ".in_sum2";
inline constexpr std::string_view kCountsEnding = ".counts";

inline constexpr std::string_view kTypeKey = "general.type";
inline constexpr std::string_view kImportanceType = "imatrix";

// Names of the texts, an array of strings.
inline constexpr std::string_view kDatasetsKey = "imatrix.datasets";
// The number of pieces of text that were run, and the tokens in each, uint32.
inline constexpr std::string_view kChunkCountKey = "imatrix.chunk_count";
inline constexpr std::string_view kChunkSizeKey = "imatrix.chunk_size";

}  // namespace gemma::internal

#endif  // GEMMA_SRC_QUANTIZE_IMPORTANCE_FORMAT_H_

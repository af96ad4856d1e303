// GGUF importance files, as llama.cpp's imatrix tool writes them. They hold the
// keys below and, for each matrix, two tensors in F32, named after it:
//   <matrix>.in_sum2 [1, columns]  sums of squares of each column's inputs
//   <matrix>.counts  [1, 1]        the number of tokens in the sums, or 0
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

// GGUF files of importance, as llama.cpp's imatrix tool writes them: for each
// matrix two tensors in F32, named after it,
//   <matrix>.in_sum2 [1, columns]  sums of squares of what met each column
//   <matrix>.counts  [1, 1]        of how many tokens; 0: none
// and the keys below. Tensors with other endings are left out by readers.

#ifndef GEMMA_SRC_QUANTIZE_IMPORTANCE_FORMAT_H_
#define GEMMA_SRC_QUANTIZE_IMPORTANCE_FORMAT_H_

#include <string_view>

namespace gemma {

inline constexpr std::string_view kSumsEnding = ".in_sum2";
inline constexpr std::string_view kCountsEnding = ".counts";

inline constexpr std::string_view kTypeKey = "general.type";
inline constexpr std::string_view kImportanceType = "imatrix";

// Names of the texts, strings.
inline constexpr std::string_view kDatasetsKey = "imatrix.datasets";
// How many pieces of text were run, and of how many tokens, uint32.
inline constexpr std::string_view kChunkCountKey = "imatrix.chunk_count";
inline constexpr std::string_view kChunkSizeKey = "imatrix.chunk_size";

}  // namespace gemma

#endif  // GEMMA_SRC_QUANTIZE_IMPORTANCE_FORMAT_H_

// The largest values that options take. What is larger is refused with
// InvalidArgument, which names the option.

#ifndef GEMMA_LIMITS_H_
#define GEMMA_LIMITS_H_

#include <cstddef>

namespace gemma {

// Of LoadOptions::num_threads, and of all other numbers of threads.
inline constexpr size_t kMaxThreads = 1024;

// Of LoadOptions::prefill_chunk.
inline constexpr size_t kMaxPrefillChunk = 8192;

// Of SessionOptions::max_tokens and EngineOptions::max_tokens.
inline constexpr size_t kMaxSessionTokens = size_t{1} << 24;

// Of EmbedderOptions::max_tokens: a text's tokens are all in one pass.
inline constexpr size_t kMaxEmbedderTokens = 8192;

// Of EngineOptions::max_sequences.
inline constexpr size_t kMaxSequences = 1024;

}  // namespace gemma

#endif  // GEMMA_LIMITS_H_

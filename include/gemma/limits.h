// The largest values of options. A larger value is refused with
// InvalidArgument, which names the option.

#ifndef GEMMA_LIMITS_H_
#define GEMMA_LIMITS_H_

#include <cstddef>

namespace gemma {

// Threads: LoadOptions::num_threads and all other thread counts.
inline constexpr size_t kMaxThreads = 1024;

// Tokens per pass: LoadOptions::prefill_chunk.
inline constexpr size_t kMaxPrefillChunk = 8192;

// Tokens of a sequence: SessionOptions::max_tokens, EngineOptions::max_tokens.
inline constexpr size_t kMaxSessionTokens = size_t{1} << 24;

// Tokens of a text: EmbedderOptions::max_tokens. One pass computes a whole
// text.
inline constexpr size_t kMaxEmbedderTokens = 8192;

// Sequences of an engine: EngineOptions::max_sequences.
inline constexpr size_t kMaxSequences = 1024;

}  // namespace gemma

#endif  // GEMMA_LIMITS_H_

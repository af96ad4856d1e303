// Makes rows that replace tokens.

#ifndef GEMMA_TESTS_SUPPORT_INPUT_ROWS_H_
#define GEMMA_TESTS_SUPPORT_INPUT_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gemma/gemma.h"

namespace gemma::internal {

// Returns the scaled embeddings of tokens.
InputRows EmbeddingsOf(const Model& model, absl::Span<const TokenId> tokens,
                       RowMask mask = RowMask::kCausal);

// Returns the tokens, with [begin, end) replaced by their embeddings.
Words WithEmbeddings(const Model& model, const std::vector<TokenId>& tokens,
                     size_t begin, size_t end, RowMask mask = RowMask::kCausal);

// Returns rows of random values, which depend on the seed.
InputRows RandomRows(const Model& model, size_t count, RowMask mask,
                     uint64_t seed);

// Appends the words to `session` and returns the logits [words.size(),
// vocab_size] of every position.
std::vector<float> AllLogits(Session& session, const Words& words);
// Returns the words, starting at `begin`.
Words WordsFrom(const Words& words, size_t begin);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_INPUT_ROWS_H_

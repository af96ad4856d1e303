// Rows in place of tokens.

#ifndef GEMMA_TESTS_SUPPORT_INPUT_ROWS_H_
#define GEMMA_TESTS_SUPPORT_INPUT_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gemma/gemma.h"

namespace gemma {

// The scaled embeddings of tokens.
InputRows EmbeddingsOf(const Model& model, absl::Span<const TokenId> tokens,
                       RowMask mask = RowMask::kCausal);

// The tokens, of which [begin, end) are replaced by their embeddings.
Words WithEmbeddings(const Model& model, const std::vector<TokenId>& tokens,
                     size_t begin, size_t end, RowMask mask = RowMask::kCausal);

// Rows of random values, those of another seed others.
InputRows RandomRows(const Model& model, size_t count, RowMask mask,
                     uint64_t seed);

// Logits [words.size(), vocab_size] of every position, appended to `session`.
std::vector<float> AllLogits(Session& session, const Words& words);
// The words from `begin` on.
Words WordsFrom(const Words& words, size_t begin);

}  // namespace gemma

#endif  // GEMMA_TESTS_SUPPORT_INPUT_ROWS_H_

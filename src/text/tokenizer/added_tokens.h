// Tokens that were added to a vocabulary after it was trained.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_ADDED_TOKENS_H_
#define GEMMA_SRC_TEXT_TOKENIZER_ADDED_TOKENS_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "src/text/tokenizer/text_rules.h"
#include "src/text/tokenizer/vocabulary.h"

namespace gemma::internal {

// Whether a token takes more than its own text, or is not found wherever its
// text is after blanks became U+2581.
bool NeedsRules(const AddedToken& token);

// Gives the ids of `added` to their tokens: renames pieces, and appends pieces
// whose ids are beyond the vocabulary, with unused pieces between them.
// InvalidArgument if an id is out of range. `path` names the file of the
// tokens.
absl::Status AddTokens(absl::Span<const AddedToken> added,
                       std::string_view path, Vocabulary& vocabulary);

// Sets vocabulary.rules if these rules can give other tokens than the
// BpeEncoder does with the vocabulary alone.
void SetRules(TextRules rules, Vocabulary& vocabulary);

// Whether the normalizer and the pre-tokenizer only replace blanks by U+2581,
// as in Gemma's own files.
bool OnlyReplacesBlanks(const TextRules& rules);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TOKENIZER_ADDED_TOKENS_H_

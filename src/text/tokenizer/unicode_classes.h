// Classes of characters, as the regular expressions of Rust define them.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_UNICODE_CLASSES_H_
#define GEMMA_SRC_TEXT_TOKENIZER_UNICODE_CLASSES_H_

#include <cstddef>
#include <string_view>

namespace gemma::internal {

// Whether a text begins or ends with a character of words, \w: letters, marks,
// decimal digits, connectors such as '_', and joiners. The text must be UTF-8.
bool BeginsWithWord(std::string_view text);
bool EndsWithWord(std::string_view text);

// Returns the number of bytes of white space, \s, at the beginning or the end
// of a text, which must be UTF-8.
size_t LeadingSpace(std::string_view text);
size_t TrailingSpace(std::string_view text);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TOKENIZER_UNICODE_CLASSES_H_

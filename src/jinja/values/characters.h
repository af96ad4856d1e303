// Characters of UTF-8 text, as Python sees them.

#ifndef GEMMA_SRC_JINJA_VALUES_CHARACTERS_H_
#define GEMMA_SRC_JINJA_VALUES_CHARACTERS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/utf8.h"

namespace gemma::internal {

// Returns the begin of the character that ends at `end`, which is above 0.
size_t CharacterBegin(std::string_view text, size_t end);

size_t CountCharacters(std::string_view text);

// Returns the offset of the character with this index, or of the end if the
// text has no more characters.
size_t OffsetOfCharacter(std::string_view text, size_t index);

// Returns the code point of one character. That of a byte that is not UTF-8 is
// one of Python's surrogates for it, U+DC80 to U+DCFF.
uint32_t CodePoint(std::string_view character);

// Appends a character to UTF-8 text. Not for surrogates.
void AppendCharacter(uint32_t character, std::string& text);

// Whether Python's str.strip removes the character.
bool IsSpace(uint32_t character);

// Whether Python's repr prints the character as it is. Code points without a
// character count as printable.
bool IsPrintableCharacter(uint32_t character);

enum class LetterCase { kNone, kLower, kUpper };

// Returns whether a character is an upper or lower case letter. Nothing for
// letters of rare scripts, which are not known here: only Latin, Greek,
// Cyrillic and Armenian are.
std::optional<LetterCase> CaseOf(uint32_t character);

// Appends the character in upper (lower) case. kUnimplemented if it is not
// known.
absl::Status AppendUpper(uint32_t character, std::string& text);
absl::Status AppendLower(uint32_t character, std::string& text);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_VALUES_CHARACTERS_H_

// UTF-8 by the rules of sentencepiece.

#ifndef GEMMA_SRC_BASE_UTF8_H_
#define GEMMA_SRC_BASE_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gemma::internal {

// U+FFFD, the replacement for a byte that is not part of a character.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

// Returns the number of bytes of a character that starts with `lead`, or 0 if
// no character does.
inline size_t Utf8Length(char lead) {
  const auto byte = static_cast<uint8_t>(lead);
  if (byte < 0x80) return 1;
  if (byte < 0xC2) return 0;  // continuation bytes, overlong forms
  if (byte < 0xE0) return 2;
  if (byte < 0xF0) return 3;
  return byte < 0xF5 ? 4 : 0;
}

// Returns the number of leading bytes of `text` that begin one character,
// complete or incomplete, or 0. Surrogates, overlong forms and values above
// U+10FFFF do not count as characters.
inline size_t Utf8PrefixLength(std::string_view text) {
  if (text.empty()) return 0;
  const size_t length = Utf8Length(text[0]);
  if (length == 0) return 0;
  size_t i = 1;
  for (; i < length && i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    uint8_t low = 0x80, high = 0xBF;
    if (i == 1) {
      switch (static_cast<uint8_t>(text[0])) {
        case 0xE0:
          low = 0xA0;
          break;
        case 0xED:
          high = 0x9F;
          break;
        case 0xF0:
          low = 0x90;
          break;
        case 0xF4:
          high = 0x8F;
          break;
      }
    }
    if (byte < low || byte > high) return 0;
  }
  return i;
}

// Returns the number of bytes of the whole character at the start of `text`, or
// 0 if `text` does not begin with one.
inline size_t Utf8CharacterLength(std::string_view text) {
  const size_t length = Utf8PrefixLength(text);
  return length != 0 && length == Utf8Length(text[0]) ? length : 0;
}

// Returns the end of the character that begins at `begin`, which is below the
// size of the text. A byte that is not UTF-8 is a character by itself.
inline size_t CharacterEnd(std::string_view text, size_t begin) {
  if (static_cast<uint8_t>(text[begin]) < 0x80) return begin + 1;
  const size_t length = Utf8CharacterLength(text.substr(begin));
  return begin + (length == 0 ? 1 : length);
}

// Returns the code point of a text that is one character, or 0 if it is empty.
inline uint32_t CodePointOf(std::string_view character) {
  if (character.empty()) return 0;
  const auto lead = static_cast<uint8_t>(character[0]);
  uint32_t code =
      character.size() == 1 ? lead : lead & (0xFF >> (character.size() + 1));
  for (const char byte : character.substr(1)) {
    code = code << 6 | (static_cast<uint8_t>(byte) & 0x3F);
  }
  return code;
}

inline bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8CharacterLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_UTF8_H_

#include "src/base/messages.h"

#include <algorithm>
#include <cstdint>

#include "src/base/format_text.h"
#include "src/base/utf8.h"

namespace gemma::internal {
namespace {

bool IsControl(std::string_view character) {
  const auto first = static_cast<uint8_t>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7F;
  // U+0080 to U+009F, among them a CSI in one character.
  return first == 0xC2 && static_cast<uint8_t>(character[1]) < 0xA0;
}

void AppendEscape(char byte, std::string& out) {
  switch (byte) {
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += FormatText("\\x%02x", static_cast<uint8_t>(byte));
  }
}

// Escapes at most `max_size` bytes of the text. Keeps the control characters in
// `kept`.
std::string Escaped(std::string_view text, size_t max_size,
                    std::string_view kept) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    const size_t length = Utf8CharacterLength(rest);
    const std::string_view character =
        rest.substr(0, std::max<size_t>(length, 1));
    if (at + character.size() > max_size) return out + "...";
    const bool is_kept = kept.find(character[0]) != std::string_view::npos;
    if (!is_kept && (length == 0 || IsControl(character))) {
      for (const char byte : character) AppendEscape(byte, out);
    } else {
      out += character;
    }
    at += character.size();
  }
  return out;
}

}  // namespace

std::string Printable(std::string_view text, size_t max_size) {
  return Escaped(text, max_size, "");
}

std::string PrintableLines(std::string_view text) {
  return Escaped(text, kUncut, "\n\t");
}

bool IsPrintable(std::string_view text) {
  return Printable(text, kUncut) == text;
}

}  // namespace gemma::internal

// Numbers and strings in expressions, as Python's lexer reads them.

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/syntax/lexer.h"
#include "src/jinja/values/characters.h"

namespace gemma::internal {
namespace {

absl::Status NotSupported(uint32_t line, std::string_view what) {
  return absl::UnimplementedError(absl::StrCat("line ", line, ": ", what));
}

bool IsDigitAt(std::string_view source, size_t at, int base) {
  if (at >= source.size()) return false;
  const char c = absl::ascii_tolower(source[at]);
  if (absl::ascii_isdigit(c)) return c - '0' < base;
  return absl::ascii_isalpha(c) && c - 'a' + 10 < base;
}

// Returns the end of digits with single underscores between them.
size_t DigitsEnd(std::string_view source, size_t at, int base) {
  const size_t begin = at;
  while (IsDigitAt(source, at, base) ||
         (at > begin && at < source.size() && source[at] == '_' &&
          IsDigitAt(source, at + 1, base))) {
    ++at;
  }
  return at;
}

// Returns the end of a float whose whole part ends at `end`, or `end`.
size_t FloatEnd(std::string_view source, size_t end) {
  if (end < source.size() && source[end] == '.') {
    const size_t fraction = DigitsEnd(source, end + 1, 10);
    if (fraction > end + 1) end = fraction;
  }
  if (end < source.size() && absl::ascii_tolower(source[end]) == 'e') {
    size_t digits = end + 1;
    if (digits < source.size() &&
        (source[digits] == '+' || source[digits] == '-')) {
      ++digits;
    }
    const size_t exponent = DigitsEnd(source, digits, 10);
    if (exponent > digits) end = exponent;
  }
  return end;
}

// Reads an escape of `count` digits from `begin` on.
absl::Status NumericEscape(std::string_view source, size_t begin, size_t count,
                           int base, JinjaToken& token) {
  uint32_t character = 0;
  const std::string_view digits = source.substr(begin, count);
  const char* const end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, character, base);
  if (digits.size() != count || result.ec != std::errc() || result.ptr != end ||
      character > 0x10FFFF) {
    return SyntaxError(token.line, "malformed escape in a string");
  }
  if (character >= 0xD800 && character < 0xE000) {
    return NotSupported(token.line, "surrogates in a string are not supported");
  }
  AppendCharacter(character, token.text);
  return absl::OkStatus();
}

// Reads the escape at `at`, where a backslash is. Returns its end.
absl::StatusOr<size_t> Escape(std::string_view source, size_t at,
                              JinjaToken& token) {
  if (at + 1 == source.size()) {
    return SyntaxError(token.line, "a string has no closing quote");
  }
  const char c = source[at + 1];
  constexpr std::string_view kFrom = "\\'\"abfnrtv";
  constexpr std::string_view kTo = "\\'\"\a\b\f\n\r\t\v";
  if (const size_t i = kFrom.find(c); i != std::string_view::npos) {
    token.text.push_back(kTo[i]);
    return at + 2;
  }
  if (c == '\n') return at + 2;
  if (c == 'x' || c == 'u' || c == 'U') {
    const size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
    GEMMA_RETURN_IF_ERROR(NumericEscape(source, at + 2, count, 16, token));
    return at + 2 + count;
  }
  if (IsDigitAt(source, at + 1, 8)) {
    size_t end = at + 2;
    while (end < at + 4 && IsDigitAt(source, end, 8)) ++end;
    GEMMA_RETURN_IF_ERROR(
        NumericEscape(source, at + 1, end - at - 1, 8, token));
    return end;
  }
  if (c == 'N') {
    return NotSupported(token.line,
                        "names of characters, \\N, are not supported");
  }
  token.text.push_back('\\');  // an unknown escape stays
  return at + 1;
}

}  // namespace

absl::StatusOr<size_t> LexNumber(std::string_view source, size_t begin,
                                 JinjaToken& token) {
  int base = 10;
  size_t first = begin;
  if (source[begin] == '0' && begin + 1 < source.size()) {
    const char c = absl::ascii_tolower(source[begin + 1]);
    base = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
    if (base != 10) first += 2;
  }
  size_t end = DigitsEnd(source, first, base);
  // After a dot, as in x.0.1, there are only integers.
  if (base == 10 && (begin == 0 || source[begin - 1] != '.')) {
    const size_t float_end = FloatEnd(source, end);
    if (float_end > end) token.kind = JinjaToken::Kind::kFloat;
    end = float_end;
  }
  token.text = std::string(source.substr(first, end - first));
  token.text.erase(std::remove(token.text.begin(), token.text.end(), '_'),
                   token.text.end());
  const char* const digits = token.text.data();
  const char* const last = digits + token.text.size();
  const auto result = token.kind == JinjaToken::Kind::kFloat
                          ? std::from_chars(digits, last, token.real)
                          : std::from_chars(digits, last, token.integer, base);
  if (result.ec == std::errc::result_out_of_range) {
    return NotSupported(token.line,
                        absl::StrCat("the number ", Quoted(token.text),
                                     " does not fit into 64 bits"));
  }
  const bool octal = token.kind == JinjaToken::Kind::kInteger && base == 10 &&
                     token.text[0] == '0' && token.integer != 0;
  if (result.ec != std::errc() || octal) {
    return SyntaxError(token.line,
                       absl::StrCat("malformed number ", Quoted(token.text)));
  }
  return end;
}

absl::StatusOr<size_t> LexString(std::string_view source, size_t begin,
                                 JinjaToken& token) {
  const char quote = source[begin];
  for (size_t at = begin + 1; at < source.size();) {
    if (source[at] == quote) return at + 1;
    if (source[at] == '\\') {
      GEMMA_ASSIGN_OR_RETURN(at, Escape(source, at, token));
    } else {
      token.text.push_back(source[at++]);
    }
  }
  return SyntaxError(token.line, "a string has no closing quote");
}

}  // namespace gemma::internal

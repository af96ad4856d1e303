#include "tools/gemma/io/markdown_spans.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "src/base/internal.h"

namespace gemma::tools {
namespace {

constexpr size_t kBold = 2;
constexpr size_t kBoldItalic = 3;

bool IsBlankCharacter(char c) { return c == ' ' || c == '\n'; }

bool IsLetter(char c) { return absl::ascii_isalpha(static_cast<uint8_t>(c)); }

bool IsWordCharacter(char c) {
  return absl::ascii_isalnum(static_cast<uint8_t>(c));
}

// Position after what the character at `at` begins: a span of code, an escaped
// character or only itself; npos: that is not known yet.
size_t AfterPlain(std::string_view text, size_t at, bool is_end) {
  if (text[at] == '\\') return at + 2;
  if (text[at] != '`') return at + 1;
  const size_t length = RunOf('`', text.substr(at));
  const size_t end = EndOfCodeSpan(text.substr(at), length, is_end);
  if (end != std::string_view::npos) return at + end;
  return is_end ? at + length : std::string_view::npos;
}

}  // namespace

size_t RunOf(char c, std::string_view text) {
  return std::min(text.find_first_not_of(c), text.size());
}

size_t EndOfCodeSpan(std::string_view text, size_t run, bool is_end) {
  size_t at = run;
  while ((at = text.find('`', at)) != std::string_view::npos) {
    const size_t length = RunOf('`', text.substr(at));
    if (at + length == text.size() && !is_end) break;
    at += length;
    if (length == run) return at;
  }
  return std::string_view::npos;
}

Emphasis FindEmphasis(std::string_view text, char last, bool is_end) {
  const char mark = text[0];
  const size_t run = RunOf(mark, text);
  const size_t most = mark == '_' ? 1 : kBoldItalic;
  if (run > most || run == text.size() || IsBlankCharacter(text[run])) {
    return {};
  }
  const bool in_word = mark == '*' && IsWordCharacter(last);
  if (in_word && (run != kBold || !IsLetter(last) || !IsLetter(text[run]))) {
    return {};
  }
  if (mark == '_' &&
      std::string_view(" ([{\"'*").find(last) == std::string_view::npos) {
    return {};
  }
  size_t marks = run;
  bool is_one_word = true;  // so far
  for (size_t at = run; at < text.size();) {
    if (text[at] != mark) {
      is_one_word = is_one_word && !IsBlankCharacter(text[at]);
      if (in_word && !is_one_word) return {};
      at = AfterPlain(text, at, is_end);
      if (at == std::string_view::npos) break;
      continue;
    }
    const size_t length = RunOf(mark, text.substr(at));
    const size_t after = at + length;
    if (after == text.size() && !is_end) break;
    const bool is_in_word = after < text.size() && IsWordCharacter(text[after]);
    const bool may_end_in_word = length == kBold && marks == kBold &&
                                 mark == '*' && is_one_word && is_in_word &&
                                 IsLetter(text[after]);
    const bool has_blank = IsBlankCharacter(text[at - 1]);
    // It begins another emphasis, to which the next end belongs.
    if (has_blank && length == marks && after < text.size() &&
        !IsBlankCharacter(text[after])) {
      return {};
    }
    const bool ends = !has_blank && (!is_in_word || may_end_in_word);
    if (ends && length == marks) return {marks, at, false};
    // "**bold *and italic***" ends with its last two.
    if (ends && length == kBoldItalic) return {marks, after - marks, false};
    // "***bold** italic*": the emphasis that ends first began last.
    if (ends && marks == kBoldItalic && length < marks) marks -= length;
    at = after;
  }
  return {.is_open = !is_end};
}

}  // namespace gemma::tools

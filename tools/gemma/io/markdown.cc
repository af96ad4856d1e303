#include "tools/gemma/io/markdown.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/utf8.h"
#include "tools/gemma/io/markdown_spans.h"

namespace gemma::tools {
namespace {

constexpr size_t kMaxFenceLine = 64;  // bytes of a fence with its language
constexpr size_t kMinFence = 3;
constexpr size_t kMaxHeading = 6;
constexpr size_t kMaxDigits = 4;
constexpr std::string_view kBullet = "\xE2\x80\xA2 ";
constexpr std::string_view kEdge = "\xE2\x94\x82";
constexpr std::string_view kDash = "\xE2\x94\x80";
constexpr size_t kRuleColumns = 24;
constexpr size_t kTabColumns = 4;  // CommonMark's
// A backslash before one of these makes it plain text. Before others it stays,
// as in \( of formulas.
constexpr std::string_view kEscapable = "*_`#";

// The text with each tab at its beginning as blanks up to the next stop.
std::string WithBlanks(std::string_view line) {
  std::string blanks;
  size_t at = 0;
  for (; at < line.size() && (line[at] == ' ' || line[at] == '\t'); ++at) {
    const size_t to_stop = kTabColumns - blanks.size() % kTabColumns;
    blanks.append(line[at] == ' ' ? 1 : to_stop, ' ');
  }
  return absl::StrCat(blanks, line.substr(at));
}

}  // namespace

void MarkdownRenderer::Write(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = CharacterEnd(text, at);
    Put(text.substr(at, end - at));
    at = end;
  }
}

void MarkdownRenderer::Finish() {
  if (place_ == Place::kLineStart) TakeLineStart(/*is_whole=*/true);
  if (place_ == Place::kCodeStart) TakeCodeStart(/*is_whole=*/true);
  TakeText(/*is_end=*/true);
  for (Style* style : {&bold_, &italic_, &code_, &mark_}) {
    if (style->depth > 0) lines_.WriteStyle(style->off);
    style->depth = 0;
  }
  lines_.SetBreaks(true);
  place_ = Place::kLineStart;
  fence_ = 0;
  is_heading_ = false;
}

void MarkdownRenderer::Put(std::string_view character) {
  const bool is_end = character == "\n";
  const std::string_view more = is_end ? "" : character;
  switch (place_) {
    case Place::kLineStart:
      start_ += more;
      TakeLineStart(is_end);
      break;
    case Place::kCodeStart:
      start_ += more;
      TakeCodeStart(is_end);
      break;
    case Place::kText:
      text_ += more;
      TakeText(is_end);
      break;
    case Place::kRaw:
      lines_.Write(more);
      break;
  }
  if (is_end) EndLine();
}

void MarkdownRenderer::EndLine() {
  TakeText(/*is_end=*/true);
  if (is_heading_) End(bold_);
  is_heading_ = false;
  lines_.Write("\n");
  last_ = ' ';
  place_ = fence_ == 0 ? Place::kLineStart : Place::kCodeStart;
}

void MarkdownRenderer::Begin(Style& style) {
  if (style.depth++ == 0) lines_.WriteStyle(style.on);
}

void MarkdownRenderer::End(Style& style) {
  if (--style.depth == 0) lines_.WriteStyle(style.off);
}

void MarkdownRenderer::Plain(std::string_view text) {
  if (text.empty()) return;
  lines_.Write(text);
  last_ = text.back();
}

void MarkdownRenderer::BeginText(std::string_view rest, size_t columns) {
  lines_.SetIndent(columns);
  text_ = std::string(rest);
  start_.clear();
  place_ = Place::kText;
  TakeText(/*is_end=*/false);
}

void MarkdownRenderer::TakeLineStart(bool is_whole) {
  start_ = WithBlanks(start_);
  const size_t indent = RunOf(' ', start_);
  const std::string_view text = std::string_view(start_).substr(indent);
  if (text.empty()) {
    if (is_whole) start_.clear();
    return;
  }
  switch (text[0]) {
    case '#':
      if (TakeHeading(text, is_whole)) return;
      break;
    case '-':
    case '*':
    case '+':
    case '_':
      if (TakeBullet(text, is_whole)) return;
      break;
    case '`':
    case '~':
      if (TakeFence(text, is_whole)) return;
      break;
    case '>': {
      if (text.size() < 2 && !is_whole) return;
      Begin(mark_);
      lines_.Write(kEdge);
      End(mark_);
      lines_.Write(" ");
      const size_t begin = text.size() > 1 && text[1] == ' ' ? 2 : 1;
      const std::string rest(text.substr(begin));
      BeginText(rest, 2);
      return;
    }
    case '|':
      lines_.Write(start_);
      lines_.SetIndent(indent);
      start_.clear();
      place_ = Place::kRaw;
      return;
    default:
      if (absl::ascii_isdigit(text[0]) && TakeNumber(text, is_whole)) return;
  }
  lines_.Write(std::string(indent, ' '));
  const std::string rest(text);
  BeginText(rest, indent);
}

// Each of these returns whether the line is what they look for, or may become
// it. If so, they have handled what is known.

bool MarkdownRenderer::TakeHeading(std::string_view text, bool is_whole) {
  const size_t level = RunOf('#', text);
  if (level > kMaxHeading) return false;
  if (level == text.size()) return !is_whole;
  if (text[level] != ' ') return false;
  const std::string rest(absl::StripLeadingAsciiWhitespace(text.substr(level)));
  if (rest.empty() && !is_whole) return true;
  is_heading_ = true;
  Begin(bold_);
  BeginText(rest, 0);
  return true;
}

bool MarkdownRenderer::TakeBullet(std::string_view text, bool is_whole) {
  const char mark = text[0];
  if (RunOf(mark, text) == text.size() || text[1] == ' ') {
    const size_t other = text.find_first_not_of(std::string{mark, ' '});
    const bool is_marks = other == std::string_view::npos;
    if (is_marks && !is_whole) return true;
    if (is_marks && mark != '+' && std::ranges::count(text, mark) >= 3) {
      Begin(mark_);
      for (size_t i = 0; i < kRuleColumns; ++i) lines_.Write(kDash);
      End(mark_);
      start_.clear();
      return true;
    }
  }
  if (text.size() < 2 || text[1] != ' ' || mark == '_') return false;
  const size_t indent = start_.size() - text.size();
  lines_.Write(absl::StrCat(std::string(indent, ' '), kBullet));
  const std::string rest(absl::StripLeadingAsciiWhitespace(text.substr(1)));
  BeginText(rest, indent + 2);
  return true;
}

bool MarkdownRenderer::TakeNumber(std::string_view text, bool is_whole) {
  size_t digits = 0;
  while (digits < text.size() && absl::ascii_isdigit(text[digits])) ++digits;
  if (digits > kMaxDigits) return false;
  if (digits == text.size()) return !is_whole;
  if (text[digits] != '.' && text[digits] != ')') return false;
  const std::string_view after = text.substr(digits + 1);
  const std::string rest(absl::StripLeadingAsciiWhitespace(after));
  if (rest.empty()) return !is_whole;
  if (after[0] != ' ') return false;
  const size_t columns = start_.size() - after.size() + 1;
  start_.resize(columns - 1);
  lines_.Write(absl::StrCat(start_, " "));
  BeginText(rest, columns);
  return true;
}

bool MarkdownRenderer::TakeFence(std::string_view text, bool is_whole) {
  const char mark = text[0];
  const size_t run = RunOf(mark, text);
  if (run == text.size() && !is_whole) return true;
  if (run < kMinFence || text.size() > kMaxFenceLine) return false;
  if (text.substr(run).find(mark) != std::string_view::npos) return false;
  if (!is_whole) return true;
  fence_ = mark;
  fence_size_ = run;
  Begin(mark_);
  lines_.Write(start_);
  End(mark_);
  lines_.SetBreaks(false);
  start_.clear();
  return true;
}

void MarkdownRenderer::TakeCodeStart(bool is_whole) {
  const std::string_view text = absl::StripAsciiWhitespace(start_);
  const bool may_be_fence =
      RunOf(fence_, text) == text.size() && start_.size() <= kMaxFenceLine;
  if (may_be_fence && !is_whole) return;
  const bool is_fence = may_be_fence && text.size() >= fence_size_;
  if (is_fence) {
    if (code_.depth > 0) End(code_);
    fence_ = 0;
    lines_.SetBreaks(true);
    Begin(mark_);
    lines_.Write(start_);
    End(mark_);
  } else {
    if (code_.depth == 0) Begin(code_);
    lines_.Write(start_);
    place_ = Place::kRaw;
  }
  start_.clear();
}

void MarkdownRenderer::TakeText(bool is_end) {
  size_t at = 0;
  while (at < text_.size()) {
    const size_t size = TakeSpan(std::string_view(text_).substr(at), is_end);
    if (size == 0) break;
    at += size;
  }
  text_.erase(0, at);
}

size_t MarkdownRenderer::TakeSpan(std::string_view text, bool is_end) {
  const char c = text[0];
  if (c == '\\') {
    if (text.size() == 1 && !is_end) return 0;
    const bool escapes =
        text.size() > 1 && kEscapable.find(text[1]) != std::string_view::npos;
    Plain(text.substr(escapes ? 1 : 0, 1));
    return escapes ? 2 : 1;
  }
  if (c != '`' && c != '*' && c != '_') {
    const size_t size = std::min(text.find_first_of("\\`*_"), text.size());
    Plain(text.substr(0, size));
    return size;
  }
  const size_t run = RunOf(c, text);
  if (run == text.size() && !is_end && run < kMaxSpan) return 0;
  return c == '`' ? TakeCodeSpan(text, run, is_end)
                  : TakeEmphasis(text, run, is_end);
}

size_t MarkdownRenderer::TakeCodeSpan(std::string_view text, size_t run,
                                      bool is_end) {
  const size_t end = EndOfCodeSpan(text, run, is_end);
  if (end == std::string_view::npos || end > kMaxSpan) {
    if (!is_end && text.size() <= kMaxSpan) return 0;
    Plain(text.substr(0, run));
    return run;
  }
  std::string_view code = text.substr(run, end - 2 * run);
  // One blank at each end keeps backticks apart from the marks.
  if (code.size() > 2 && code.front() == ' ' && code.back() == ' ') {
    code = code.substr(1, code.size() - 2);
  }
  Begin(code_);
  Plain(code);
  End(code_);
  return end;
}

size_t MarkdownRenderer::TakeEmphasis(std::string_view text, size_t run,
                                      bool is_end) {
  const auto [marks, end, is_open] = FindEmphasis(text, last_, is_end);
  if (is_open && text.size() <= kMaxSpan) return 0;
  if (marks == 0 || end + marks > kMaxSpan) {
    Plain(text.substr(0, run));
    return run;
  }
  if (marks >= 2) Begin(bold_);
  if (marks != 2) Begin(italic_);
  last_ = text[0];
  const std::string_view inside = text.substr(marks, end - marks);
  for (size_t at = 0; at < inside.size();) {
    at += TakeSpan(inside.substr(at), /*is_end=*/true);
  }
  if (marks != 2) End(italic_);
  if (marks >= 2) End(bold_);
  last_ = text[0];
  return end + marks;
}

}  // namespace gemma::tools

#include "tools/gemma/io/line_wrapper.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/utf8.h"
#include "tools/gemma/io/character_width.h"

namespace gemma::tools {
namespace {

constexpr size_t kTabStop = 8;
constexpr std::string_view kZeroWidthJoiner = "\xE2\x80\x8D";

// No line begins with one of these.
constexpr std::string_view kClosing[] = {
    "、", "。", "，", "．", "！", "？", "：", "；", "）", "」", "』",
    "】", "》", "〉", "〕", "］", "｝", "ー", "々", "…",  "’",  "”"};

bool IsClosingMark(std::string_view character) {
  for (const std::string_view mark : kClosing) {
    if (character == mark) return true;
  }
  return false;
}

}  // namespace

LineWrapper::LineWrapper(std::function<size_t()> columns, Sink sink)
    : columns_(std::move(columns)), sink_(std::move(sink)) {}

void LineWrapper::Write(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = CharacterEnd(text, at);
    Put(text.substr(at, end - at));
    at = end;
  }
}

void LineWrapper::WriteStyle(std::string_view sequence) {
  absl::StrAppend(&word_, sequence);
}

void LineWrapper::SetBreaks(bool breaks) {
  EndWord();
  breaks_ = breaks;
}

void LineWrapper::Put(std::string_view character) {
  if (character == "\n") {
    EndWord();
    sink_("\n");
    column_ = blanks_ = indent_ = 0;
    return;
  }
  if (character == " " || character == "\t") {
    EndWord();
    const size_t to_stop = kTabStop - (column_ + blanks_) % kTabStop;
    blanks_ += character == " " ? 1 : to_stop;
    return;
  }
  const size_t width = CharacterWidth(character);
  const bool is_wide = width == 2;
  if (word_width_ > 0 && (is_wide || (is_wide_ && width > 0)) && !is_glued_ &&
      !IsClosingMark(character)) {
    EndWord();
  }
  absl::StrAppend(&word_, character);
  word_width_ += width;
  if (width > 0) is_wide_ = is_wide;
  is_glued_ = character == kZeroWidthJoiner;
  const size_t columns = Columns();
  // No line has room for the word, so it need not be held.
  if (columns == 0 || word_width_ > columns) {
    PassOn();
    is_begun_ = true;
  }
}

void LineWrapper::EndWord() {
  PassOn();
  is_wide_ = is_glued_ = is_begun_ = false;
}

void LineWrapper::PassOn() {
  if (word_.empty()) return;
  const size_t columns = Columns();
  if (word_width_ > 0) {
    const size_t indent = 2 * indent_ < columns ? indent_ : 0;
    const bool fits =
        columns == 0 || is_begun_ || column_ + blanks_ + word_width_ <= columns;
    if (!fits && column_ > indent) {
      sink_(absl::StrCat("\n", std::string(indent, ' ')));
      column_ = indent;
    } else {
      sink_(std::string(blanks_, ' '));
      column_ += blanks_;
    }
    blanks_ = 0;
  }
  sink_(word_);
  column_ += word_width_;
  // The terminal has broken a line that was too long.
  if (columns > 0 && column_ > columns) column_ %= columns;
  word_.clear();
  word_width_ = 0;
}

}  // namespace gemma::tools

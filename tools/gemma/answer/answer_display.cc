#include "tools/gemma/answer/answer_display.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/utf8.h"
#include "tools/gemma/io/files.h"

namespace gemma::tools {
namespace {

// Bytes of a prompt that are shown before its completion.
constexpr size_t kMaxEcho = 600;

// The end of a text, in whole characters.
std::string EndOf(const std::string& text) {
  if (text.size() <= kMaxEcho) return text;
  size_t begin = text.size() - kMaxEcho;
  while (begin < text.size() && Utf8Length(text[begin]) == 0) ++begin;
  return absl::StrCat("...", text.substr(begin));
}

}  // namespace

AnswerDisplay::AnswerDisplay(const AnswerOptions& options)
    : escapes_(OutputIsTerminal()),
      wraps_(OutputCanMove() && options.grammar == nullptr && !options.as_is),
      dims_(OutputHasColours()),
      renders_(dims_ && options.is_turn && options.markdown != "off"),
      echo_(wraps_ ? EndOf(options.echo) : ""),
      thoughts_(options.hides_thoughts),
      lines_(OutputColumns, [this](std::string_view text) { shown_ += text; }),
      markdown_(&lines_) {}

bool AnswerDisplay::Text(std::string_view text) {
  thoughts_.End();
  Echo();
  Add(escapes_ ? pieces_.Next(text) : std::string(text));
  WriteShown();
  return status_.ok();
}

absl::Status AnswerDisplay::End() {
  thoughts_.End();
  Echo();
  Add(pieces_.Rest());
  if (renders_) markdown_.Finish();
  lines_.Flush();
  WriteShown();
  return status_;
}

void AnswerDisplay::Abandon() {
  echo_.clear();
  // The failure of the answer comes first.
  End().IgnoreError();
}

void AnswerDisplay::Add(const std::string& text) {
  if (!wraps_) {
    shown_ += text;
  } else if (renders_) {
    markdown_.Write(text);
  } else {
    lines_.Write(text);
  }
}

void AnswerDisplay::Echo() {
  if (echo_.empty()) return;
  if (dims_) lines_.WriteStyle(Begin(Colour::kNote));
  lines_.Write(PrintableLines(std::exchange(echo_, "")));
  if (dims_) lines_.WriteStyle(kEndColour);
}

void AnswerDisplay::WriteShown() {
  const std::string shown = std::exchange(shown_, "");
  if (status_.ok() && !shown.empty()) status_ = WriteOutput(shown);
}

}  // namespace gemma::tools

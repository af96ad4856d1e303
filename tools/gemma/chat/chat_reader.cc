#include "tools/gemma/chat/chat_reader.h"

#include <unistd.h>

#include <csignal>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/parts.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/terminal_text.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kPrompt = "> ";
constexpr std::string_view kBlockPrompt = ". ";
constexpr std::string_view kFence = "\"\"\"";
constexpr std::string_view kLineEditing = "line editing";  // the part

bool IsBlankInput(std::string_view text) {
  return absl::StripAsciiWhitespace(text).empty();
}

}  // namespace

std::optional<std::string> BlockText(std::string_view typed) {
  typed = absl::StripAsciiWhitespace(typed);
  if (typed.size() < 2 * kFence.size()) return std::nullopt;
  if (!absl::EndsWith(typed, kFence)) return std::nullopt;
  typed.remove_prefix(kFence.size());
  typed.remove_suffix(kFence.size());
  // The line ends next to the fences are not part of the text.
  if (!absl::ConsumePrefix(&typed, "\r\n")) absl::ConsumePrefix(&typed, "\n");
  if (absl::ConsumeSuffix(&typed, "\n")) absl::ConsumeSuffix(&typed, "\r");
  return std::string(typed);
}

absl::StatusOr<std::unique_ptr<ChatReader>> ChatReader::Create(bool quiet) {
  const bool is_interactive = isatty(STDIN_FILENO) == 1;
  std::unique_ptr<ChatReader> reader(new ChatReader(is_interactive, quiet));
  if (!is_interactive) return reader;
  if (const absl::Status built = CheckBuilt(kLineEditing); !built.ok()) {
    if (!quiet) NoteError(built);
    return reader;
  }
  for (const Part& part : Parts()) {
    if (part.open_lines == nullptr) continue;
    GEMMA_ASSIGN_OR_RETURN(reader->editor_, part.open_lines(quiet));
  }
  return reader;
}

absl::StatusOr<std::optional<ChatInput>> ChatReader::Next() {
  for (;;) {
    GEMMA_ASSIGN_OR_RETURN(InputLine line, ReadLine(kPrompt));
    const bool is_block =
        is_interactive_ &&
        absl::StartsWith(absl::StripLeadingAsciiWhitespace(line.text), kFence);
    if (line.end == LineEnd::kEnter && is_block) {
      GEMMA_ASSIGN_OR_RETURN(line, ReadBlock(std::move(line)));
    }
    if (line.end == LineEnd::kEndOfInput) return std::nullopt;
    if (line.end == LineEnd::kInterrupt) {
      if (Leaves(line)) return InterruptedError();
      continue;
    }
    warned_ = false;
    const std::string typed(absl::StripAsciiWhitespace(line.text));
    if (!typed.empty()) Remember(typed);
    // Blanks around a message are part of it, as in a batch.
    std::string text = is_block ? BlockText(typed).value_or("")
                       : absl::StartsWith(typed, "/") ? typed
                                                      : line.text;
    if (!IsBlankInput(text)) return ChatInput{std::move(text), is_block};
  }
}

absl::StatusOr<InputLine> ChatReader::ReadLine(std::string_view prompt) {
  if (editor_ != nullptr) return editor_->Read(prompt);
  if (is_interactive_) ShowPrompt(prompt);
  absl::StatusOr<std::optional<std::string>> line = lines_.Next();
  if (line.ok() && line->has_value()) {
    return InputLine{LineEnd::kEnter, **std::move(line)};
  }
  if (is_interactive_) ShowPrompt("\n");
  if (line.ok()) return InputLine{LineEnd::kEndOfInput, ""};
  if (!is_interactive_ || !absl::IsCancelled(line.status()) ||
      InterruptSignal() != SIGINT) {
    return line.status();
  }
  // The terminal has already dropped the typed line.
  ClearInterrupt();
  return InputLine{LineEnd::kInterrupt, ""};
}

absl::StatusOr<InputLine> ChatReader::ReadBlock(InputLine line) {
  while (!BlockText(line.text).has_value()) {
    GEMMA_ASSIGN_OR_RETURN(const InputLine next, ReadLine(kBlockPrompt));
    absl::StrAppend(&line.text, "\n", next.text);
    line.end = next.end;
    if (line.end != LineEnd::kEnter) break;
  }
  return line;
}

bool ChatReader::Leaves(const InputLine& interrupted) {
  if (!interrupted.text.empty()) {
    warned_ = false;
    return false;
  }
  if (warned_) return true;
  warned_ = true;
  if (!quiet_) Tell("Ctrl-C again ends the chat, as Ctrl-D and /exit do");
  return false;
}

void ChatReader::Remember(const std::string& text) {
  if (editor_ == nullptr) return;
  const absl::Status status = editor_->Remember(text);
  if (!status.ok() && !quiet_) Note(status.message());
}

}  // namespace gemma::tools

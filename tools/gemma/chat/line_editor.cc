#include "tools/gemma/chat/line_editor.h"

#include <fcntl.h>
#include <histedit.h>
#include <langinfo.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cwchar>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/terminal_text.h"

namespace gemma::tools {
namespace {

// Bracketed paste: in this mode, the terminal sends kPasteBeginKey before a
// paste and kPasteEnd after it.
constexpr std::string_view kPasteModeOn = "\x1b[?2004h";
constexpr std::string_view kPasteModeOff = "\x1b[?2004l";
constexpr char kPasteBeginKey[] = "\\e[200~";
constexpr std::wstring_view kPasteEnd = L"\x1b[201~";

constexpr wchar_t kControlC = 0x03;
constexpr wchar_t kControlZ = 0x1A;

// Stands before and after parts of the prompt that have no width.
constexpr char kInvisible = '\x01';

constexpr size_t kMaxShownChoices = 100;

// Ends the line when a key's function fails.
constexpr unsigned char kFailed = CC_EOF;

// The terminal's mode outside of Read, which LeaveTerminal restores.
termios g_usual_mode = {};

volatile std::sig_atomic_t g_resized = 0;

void OnWindowChange(int) { g_resized = 1; }

// Restores the terminal that Read has changed. Runs in a signal handler.
void LeaveTerminal() {
  tcsetattr(STDIN_FILENO, TCSANOW, &g_usual_mode);
  if (write(STDERR_FILENO, kPasteModeOff.data(), kPasteModeOff.size()) < 0) {
    return;
  }
}

// Makes libedit decode bytes as UTF-8, which models need: libedit follows the
// locale.
void UseUtf8() {
  std::setlocale(LC_CTYPE, "");
  if (std::string_view(nl_langinfo(CODESET)) == "UTF-8") return;
  std::setlocale(LC_CTYPE, "C.UTF-8");
}

// Makes pasted text fit for a line: line ends become \n. Control characters
// except tabs, and line ends at the end of the text, are removed.
std::wstring CleanPaste(std::wstring_view pasted) {
  std::wstring text;
  for (size_t i = 0; i < pasted.size(); ++i) {
    const wchar_t c = pasted[i];
    if (c == L'\r') {
      if (i + 1 == pasted.size() || pasted[i + 1] != L'\n') text += L'\n';
    } else if (c == L'\n' || c == L'\t' ||
               (c >= 0x20 && (c < 0x7F || c >= 0xA0))) {
      text += c;
    }
  }
  while (!text.empty() && text.back() == L'\n') text.pop_back();
  return text;
}

}  // namespace

bool LineEditor::Works() {
  return isatty(STDIN_FILENO) == 1 && TerminalCanMove();
}

absl::StatusOr<std::unique_ptr<LineEditor>> LineEditor::Create(
    InputHistory* history,
    std::function<Completion(std::string_view)> complete) {
  std::unique_ptr<LineEditor> editor(new LineEditor(std::move(complete)));
  if (!editor->Open(history->get())) {
    return absl::ResourceExhaustedError("no memory to edit lines");
  }
  return editor;
}

LineEditor::LineEditor(std::function<Completion(std::string_view)> complete)
    : complete_(std::move(complete)) {}

LineEditor::~LineEditor() {
  SetLastAction(nullptr);
  if (edit_ != nullptr) el_end(edit_);
  if (terminal_ != nullptr) std::fclose(terminal_);
  std::signal(SIGWINCH, SIG_DFL);
}

bool LineEditor::Open(History* history) {
  UseUtf8();
  tcgetattr(STDIN_FILENO, &g_usual_mode);
  const int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return false;
  terminal_ = fdopen(fd, "w");
  if (terminal_ == nullptr) {
    close(fd);
    return false;
  }
  edit_ = el_init("gemma", stdin, terminal_, terminal_);
  if (edit_ == nullptr) return false;
  Configure(history);
  struct sigaction action = {};
  action.sa_handler = OnWindowChange;  // without SA_RESTART: it ends poll()
  sigemptyset(&action.sa_mask);
  sigaction(SIGWINCH, &action, nullptr);
  return true;
}

void LineEditor::Configure(History* history) {
  el_set(edit_, EL_CLIENTDATA, this);
  el_set(edit_, EL_PROMPT_ESC, Prompt, kInvisible);
  el_set(edit_, EL_HIST, ::history, history);
  el_set(edit_, EL_GETCFN, GetCharacter);
  // Ctrl-C and Ctrl-Z arrive as characters, so that GetCharacter can restore
  // the terminal.
  el_set(edit_, EL_SETTY, "-d", "-isig", nullptr);
  el_set(edit_, EL_EDITOR, "emacs");
  // Wide names: libedit copies narrow ones and never frees the copies.
  el_wset(edit_, EL_ADDFN, L"gemma-paste", L"Insert pasted text", InsertPaste);
  el_wset(edit_, EL_ADDFN, L"gemma-complete", L"Complete a word", CompleteLine);
  el_source(edit_, nullptr);  // ~/.editrc: the user's keys
  constexpr const char* kKeys[][2] = {
      {kPasteBeginKey, "gemma-paste"},   {"^I", "gemma-complete"},
      {"^R", "em-inc-search-prev"},      {"^W", "ed-delete-prev-word"},
      {"\\e[3~", "ed-delete-next-char"}, {"\\e[1;5D", "ed-prev-word"},
      {"\\e[1;5C", "em-next-word"},
  };
  for (const auto& [key, function] : kKeys) {
    el_set(edit_, EL_BIND, key, function, nullptr);
  }
}

absl::StatusOr<InputLine> LineEditor::Read(std::string_view prompt) {
  prompt_ = std::string(prompt);
  if (TerminalHasColours() && absl::EndsWith(prompt, " ")) {
    const std::string invisible(1, kInvisible);
    prompt_ = absl::StrCat(invisible, Begin(Colour::kPrompt), invisible,
                           prompt.substr(0, prompt.size() - 1), invisible,
                           kEndColour, invisible, " ");
  }
  interrupted_ = false;
  tcgetattr(STDIN_FILENO, &g_usual_mode);
  SetLastAction(LeaveTerminal);
  is_ready_ = false;
  int count = 0;
  const char* line = el_gets(edit_, &count);
  ShowPrompt(kPasteModeOff);
  SetLastAction(nullptr);
  if (!failure_.ok()) return std::exchange(failure_, absl::OkStatus());

  if (interrupted_) {
    std::string typed = Typed();
    if (Interrupted() && InterruptSignal() != SIGINT) return InterruptedError();
    ShowPrompt("^C\n");
    ClearInterrupt();
    return InputLine{LineEnd::kInterrupt, std::move(typed)};
  }
  if (line == nullptr || count <= 0) {
    ShowPrompt("\n");
    return InputLine{LineEnd::kEndOfInput, ""};
  }
  std::string text(line, static_cast<size_t>(count));
  if (absl::EndsWith(text, "\n")) text.pop_back();
  return InputLine{LineEnd::kEnter, std::move(text)};
}

LineEditor& LineEditor::Of(EditLine* edit) {
  void* self = nullptr;
  el_get(edit, EL_CLIENTDATA, &self);
  return *static_cast<LineEditor*>(self);
}

char* LineEditor::Prompt(EditLine* edit) noexcept {
  return Of(edit).prompt_.data();
}

int LineEditor::GetCharacter(EditLine* edit, wchar_t* character) noexcept {
  LineEditor& self = Of(edit);
  return self.Guard([&] { return self.NextCharacter(character); }, -1);
}

unsigned char LineEditor::InsertPaste(EditLine* edit, int) noexcept {
  LineEditor& self = Of(edit);
  return self.Guard([&] { return self.InsertPasted(); }, kFailed);
}

unsigned char LineEditor::CompleteLine(EditLine* edit, int) noexcept {
  LineEditor& self = Of(edit);
  return self.Guard([&] { return self.Complete(); }, kFailed);
}

int LineEditor::NextCharacter(wchar_t* character) {
  std::mbstate_t state = {};
  for (;;) {
    const std::optional<char> byte = NextByte();
    if (!byte.has_value()) return interrupted_ ? -1 : 0;
    const size_t size = std::mbrtowc(character, &*byte, 1, &state);
    if (size == static_cast<size_t>(-2)) continue;  // more bytes to come
    if (size == static_cast<size_t>(-1)) {          // not UTF-8: dropped
      state = {};
      continue;
    }
    if (*character == kControlZ) {
      Suspend();
      continue;
    }
    interrupted_ = *character == kControlC;
    return interrupted_ ? -1 : 1;
  }
}

std::optional<char> LineEditor::NextByte() {
  // Not earlier: only now has libedit set the terminal's mode.
  if (!std::exchange(is_ready_, true)) ShowPrompt(kPasteModeOn);
  while (next_ == bytes_.size()) {
    if (Interrupted()) interrupted_ = true;
    if (interrupted_) return std::nullopt;
    if (std::exchange(g_resized, 0) != 0) OnResize();
    pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {InterruptFd(), POLLIN, 0}};
    if (poll(fds, 2, /*timeout=*/-1) < 0) continue;  // EINTR: checked above
    if (fds[0].revents == 0) continue;
    char buffer[4096];
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return std::nullopt;
    bytes_.assign(buffer, static_cast<size_t>(got));
    next_ = 0;
  }
  return bytes_[next_++];
}

void LineEditor::Suspend() {
  el_set(edit_, EL_PREP_TERM, 0);
  ShowPrompt(absl::StrCat(kPasteModeOff, "\n"));
  kill(0, SIGTSTP);  // the whole pipeline, as the terminal would do
  ShowPrompt(kPasteModeOn);
  el_set(edit_, EL_PREP_TERM, 1);
  el_set(edit_, EL_REFRESH);
}

void LineEditor::OnResize() {
  ShowPrompt("\r\x1b[J");
  el_resize(edit_);
  el_set(edit_, EL_REFRESH);
}

unsigned char LineEditor::InsertPasted() {
  std::wstring pasted;
  while (!std::wstring_view(pasted).ends_with(kPasteEnd)) {
    wchar_t character = 0;
    if (el_wgetc(edit_, &character) != 1) return CC_ERROR;
    pasted += character;
  }
  pasted.resize(pasted.size() - kPasteEnd.size());
  const std::wstring text = CleanPaste(pasted);
  if (!text.empty() && el_winsertstr(edit_, text.c_str()) != 0) return CC_ERROR;
  return CC_REFRESH;
}

unsigned char LineEditor::Complete() {
  const LineInfo* line = el_line(edit_);
  const Completion completion = complete_(
      {line->buffer, static_cast<size_t>(line->cursor - line->buffer)});
  if (!completion.insert.empty()) {
    el_insertstr(edit_, completion.insert.c_str());
    return CC_REFRESH;
  }
  if (completion.choices.empty()) return CC_ERROR;  // beeps
  ShowChoices(completion);
  return CC_REDISPLAY;
}

void LineEditor::ShowChoices(const Completion& completion) {
  std::string text = "\n";
  const size_t shown = std::min(completion.choices.size(), kMaxShownChoices);
  for (size_t i = 0; i < shown; ++i) {
    absl::StrAppend(&text, "  ", completion.choices[i], "\n");
  }
  if (shown < completion.choices.size()) {
    absl::StrAppend(&text, "  and ", completion.choices.size() - shown,
                    " more\n");
  }
  std::fflush(terminal_);
  Tell(text);
}

std::string LineEditor::Typed() const {
  const LineInfo* line = el_line(edit_);
  return {line->buffer, static_cast<size_t>(line->lastchar - line->buffer)};
}

namespace {

// The editor of a chat, with the history of the user's file.
class ChatLines final : public EditedLines {
 public:
  static absl::StatusOr<std::unique_ptr<EditedLines>> Create(bool quiet) {
    auto lines = std::make_unique<ChatLines>();
    GEMMA_ASSIGN_OR_RETURN(lines->editor_,
                           LineEditor::Create(&lines->history_, Complete));
    if (const std::string path = HistoryPath(); !path.empty()) {
      const absl::Status status = lines->history_.Open(path);
      if (!status.ok() && !quiet) Note(status.message());
    }
    return lines;
  }

  absl::StatusOr<InputLine> Read(std::string_view prompt) override {
    return editor_->Read(prompt);
  }

  absl::Status Remember(const std::string& text) override {
    return history_.Add(text);
  }

 private:
  InputHistory history_;
  std::unique_ptr<LineEditor> editor_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<EditedLines>> EditLines(bool quiet) {
  if (!LineEditor::Works()) return nullptr;
  return ChatLines::Create(quiet);
}

Versions LineEditingVersions() {
  return {{"libedit", absl::StrCat(LIBEDIT_MAJOR, ".", LIBEDIT_MINOR)}};
}

}  // namespace gemma::tools

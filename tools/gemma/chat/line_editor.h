// Lines typed on a terminal, edited with libedit.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_LINE_EDITOR_H_
#define GEMMA_TOOLS_GEMMA_CHAT_LINE_EDITOR_H_

#include <cstddef>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "tools/gemma/chat/chat_completion.h"
#include "tools/gemma/chat/input_history.h"

struct editline;  // libedit's

namespace gemma::tools {

// What a line of input ended with.
enum class LineEnd { kEnter, kInterrupt, kEndOfInput };

struct InputLine {
  LineEnd end = LineEnd::kEnter;
  std::string text;  // without its end; it may have line ends from a paste
};

// Reads standard input and shows the line on standard error, both terminals.
// The terminal is in its usual mode between calls of Read. One at a time.
class LineEditor {
 public:
  // Whether both are terminals, and standard error's can move.
  static bool Works();

  // `history` must outlive the editor. ResourceExhausted if there is no memory
  // or file descriptor for it.
  static absl::StatusOr<std::unique_ptr<LineEditor>> Create(
      InputHistory* history,
      std::function<Completion(std::string_view)> complete);

  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // Shows `prompt`, which is ASCII, and reads a line. Ctrl-C ends it with
  // LineEnd::kInterrupt and sets no Interrupted(); a signal of that name does
  // the same. InterruptedError for other signals,
  // ResourceExhausted if memory ends.
  absl::StatusOr<InputLine> Read(std::string_view prompt);

 private:
  explicit LineEditor(std::function<Completion(std::string_view)> complete);

  bool Open(struct history* history);
  void Configure(struct history* history);

  // What libedit calls.
  static char* Prompt(struct editline* edit) noexcept;
  static int GetCharacter(struct editline* edit, wchar_t* character) noexcept;
  static unsigned char InsertPaste(struct editline* edit, int) noexcept;
  static unsigned char CompleteLine(struct editline* edit, int) noexcept;
  static LineEditor& Of(struct editline* edit);

  // Calls what may throw; then the result is `failed`, and Read fails: libedit
  // is C, which no exception may pass.
  template <class Body, class Result>
  Result Guard(Body body, Result failed) noexcept {
    const absl::StatusOr<Result> result =
        NoThrow([&]() -> absl::StatusOr<Result> { return body(); });
    if (result.ok()) return *result;
    failure_ = result.status();
    return failed;
  }

  // 1, 0 at the end of input, or -1 if a signal or Ctrl-C ended it.
  int NextCharacter(wchar_t* character);
  unsigned char InsertPasted();
  unsigned char Complete();

  // The next byte of standard input, or nothing at its end or at a signal.
  std::optional<char> NextByte();
  // Ctrl-Z: gives the terminal back until the process goes on.
  void Suspend();
  void OnResize();
  void ShowChoices(const Completion& completion);

  std::string Typed() const;  // what is in the line now

  std::function<Completion(std::string_view)> complete_;
  std::FILE* terminal_ = nullptr;  // standard error, with a buffer
  struct editline* edit_ = nullptr;
  std::string prompt_;  // with colours
  std::string bytes_;   // read, but not yet returned, from next_ on
  size_t next_ = 0;
  bool is_ready_ = false;     // the terminal is in the mode for editing
  bool interrupted_ = false;  // by Ctrl-C or a signal: no more characters
  absl::Status failure_;      // of what libedit called
};

// Of libedit.
std::string LineEditorVersion();

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_LINE_EDITOR_H_

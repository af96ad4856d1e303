// Reads lines from a terminal, edited with libedit.

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
#include "tools/gemma/chat/edited_lines.h"
#include "tools/gemma/chat/input_history.h"

struct editline;  // libedit's

namespace gemma::tools {

// Reads standard input and shows the line on standard error; both must be
// terminals. Between calls of Read, the terminal is in its usual mode. Only one
// editor may exist at a time.
class LineEditor {
 public:
  // Whether both are terminals, and that of standard error can move its cursor.
  static bool Works();

  // `history` must outlive the editor. ResourceExhausted if there is no memory
  // or file descriptor for it.
  static absl::StatusOr<std::unique_ptr<LineEditor>> Create(
      InputHistory* history,
      std::function<Completion(std::string_view)> complete);

  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // As EditedLines::Read.
  absl::StatusOr<InputLine> Read(std::string_view prompt);

 private:
  explicit LineEditor(std::function<Completion(std::string_view)> complete);

  bool Open(struct history* history);
  void Configure(struct history* history);

  // Functions that libedit calls.
  static char* Prompt(struct editline* edit) noexcept;
  static int GetCharacter(struct editline* edit, wchar_t* character) noexcept;
  static unsigned char InsertPaste(struct editline* edit, int) noexcept;
  static unsigned char CompleteLine(struct editline* edit, int) noexcept;
  static LineEditor& Of(struct editline* edit);

  // Calls `body`. If it throws, returns `failed` and makes Read fail, because
  // an exception must not pass through libedit, which is C.
  template <class Body, class Result>
  Result Guard(Body body, Result failed) noexcept {
    const absl::StatusOr<Result> result =
        NoThrow([&]() -> absl::StatusOr<Result> { return body(); });
    if (result.ok()) return *result;
    failure_ = result.status();
    return failed;
  }

  // Returns 1, or 0 at the end of input, or -1 after a signal or Ctrl-C.
  int NextCharacter(wchar_t* character);
  unsigned char InsertPasted();
  unsigned char Complete();

  // The next byte of standard input, or nullopt at its end or after a signal.
  std::optional<char> NextByte();
  // Handles Ctrl-Z: restores the terminal until the process continues.
  void Suspend();
  void OnResize();
  void ShowChoices(const Completion& completion);

  std::string Typed() const;  // the contents of the line

  std::function<Completion(std::string_view)> complete_;
  std::FILE* terminal_ = nullptr;  // standard error, with a buffer
  struct editline* edit_ = nullptr;
  std::string prompt_;  // with colours
  std::string bytes_;   // read; those from next_ on are not yet returned
  size_t next_ = 0;
  bool is_ready_ = false;     // the terminal is in the mode for editing
  bool interrupted_ = false;  // by Ctrl-C or a signal: no more characters
  absl::Status failure_;      // of a function that libedit called
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_LINE_EDITOR_H_

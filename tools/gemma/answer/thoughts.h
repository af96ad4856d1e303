// Shows what a model thinks while it is generated.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_THOUGHTS_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_THOUGHTS_H_

#include <string>
#include <string_view>

#include "tools/gemma/io/line_wrapper.h"
#include "tools/gemma/io/terminal_text.h"

namespace gemma::tools {

// Writes thoughts as they come: dimmed among the answer if standard output is a
// terminal, with lines broken between words, else on standard error. They never
// mix with the answer in a file or a pipe. A line with three dots ends them.
class ThoughtsView {
 public:
  // `quiet`: shows thoughts only on a terminal.
  explicit ThoughtsView(bool quiet);
  ~ThoughtsView() { End(); }
  ThoughtsView(const ThoughtsView&) = delete;
  ThoughtsView& operator=(const ThoughtsView&) = delete;

  void Show(std::string_view text);
  // Ends thoughts before text of the answer. May be called at any time.
  void End();

 private:
  // Writes text that is printable if a terminal shows it.
  void Write(std::string_view text);

  const bool on_output_;  // standard output is a terminal
  const bool dims_;
  const bool escapes_;  // control characters, since they are on a terminal
  const bool hides_;
  bool is_open_ = false;
  PrintablePieces pieces_;
  std::string shown_;  // to be written
  LineWrapper lines_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_THOUGHTS_H_

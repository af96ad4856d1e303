// Shows an answer on standard output while it is generated.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_DISPLAY_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_DISPLAY_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "tools/gemma/answer/answer_options.h"
#include "tools/gemma/answer/thoughts.h"
#include "tools/gemma/io/line_wrapper.h"
#include "tools/gemma/io/markdown.h"
#include "tools/gemma/io/terminal_text.h"

namespace gemma::tools {

// On a terminal, control characters are escaped. If it can move its cursor,
// lines break between words, except those of JSON and other answers with a
// grammar and of texts for a gap, and the Markdown of a chat turn is shown if
// the options and the terminal's colours allow it. In a file or a pipe, text is
// written as it is. Thoughts are shown by a ThoughtsView.
class AnswerDisplay {
 public:
  explicit AnswerDisplay(const AnswerOptions& options);
  AnswerDisplay(const AnswerDisplay&) = delete;
  AnswerDisplay& operator=(const AnswerDisplay&) = delete;

  void Thoughts(std::string_view text) { thoughts_.Show(text); }
  // Returns whether standard output could be written.
  bool Text(std::string_view text);
  // Writes what is held back, and returns the first failure of a write.
  absl::Status End();
  // Ends an answer that failed: writes what is held back, and ends styles.
  void Abandon();

 private:
  // Shows the prompt that a completion continues.
  void Echo();
  // Adds text of the answer to shown_.
  void Add(const std::string& text);
  void WriteShown();

  const bool escapes_;
  const bool wraps_;
  const bool dims_;
  const bool renders_;
  std::string echo_;
  ThoughtsView thoughts_;
  PrintablePieces pieces_;
  std::string shown_;  // to be written
  LineWrapper lines_;
  MarkdownRenderer markdown_;
  absl::Status status_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_DISPLAY_H_

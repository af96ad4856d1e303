// Breaks the lines of a text between words while the text is written.

#ifndef GEMMA_TOOLS_GEMMA_IO_LINE_WRAPPER_H_
#define GEMMA_TOOLS_GEMMA_IO_LINE_WRAPPER_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace gemma::tools {

// Passes text on so that lines fit into a terminal. A word comes when it is
// complete; nothing that was passed on changes. Between wide characters, such
// as Chinese ones, a line may break without a blank, but not before a
// punctuation mark that ends something. A word that is wider than a line is
// left to the terminal.
class LineWrapper {
 public:
  using Sink = std::function<void(std::string_view text)>;

  // `columns` returns the width of the terminal at the moment; 0: no line is
  // broken.
  LineWrapper(std::function<size_t()> columns, Sink sink);

  // `text` consists of whole characters without control characters, except line
  // ends and tabs. Blanks at the end of a line are dropped.
  void Write(std::string_view text);
  // Writes a sequence without width, such as one that begins bold text.
  void WriteStyle(std::string_view sequence);

  // Blanks at the beginning of lines that are broken off this one.
  void SetIndent(size_t columns) { indent_ = columns; }
  // Whether lines are broken. At first they are.
  void SetBreaks(bool breaks);

  // Passes on a word that is not known to be complete.
  void Flush() { EndWord(); }

 private:
  void Put(std::string_view character);
  size_t Columns() const { return breaks_ ? columns_() : 0; }
  // Passes on what is held of the word.
  void PassOn();
  void EndWord();

  const std::function<size_t()> columns_;
  const Sink sink_;
  bool breaks_ = true;
  size_t indent_ = 0;
  size_t column_ = 0;  // where the next text goes, without the blanks
  size_t blanks_ = 0;  // before the word
  std::string word_;
  size_t word_width_ = 0;
  bool is_wide_ = false;   // the word's last character
  bool is_glued_ = false;  // it joins the next one
  bool is_begun_ = false;  // the word's beginning was passed on
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_LINE_WRAPPER_H_

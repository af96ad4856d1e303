// Shows Markdown on a terminal while it is written.

#ifndef GEMMA_TOOLS_GEMMA_IO_MARKDOWN_H_
#define GEMMA_TOOLS_GEMMA_IO_MARKDOWN_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "tools/gemma/io/line_wrapper.h"

namespace gemma::tools {

// Turns what language models write of Markdown into styles of a terminal: bold
// and italic text, `code`, blocks of code between fences, headings, lists,
// quotes and rules. All else stays as it is: links, tables, HTML.
//
// Text comes as soon as its meaning is known. Marks that turn out to have no
// partner on the line, or none within kMaxSpan bytes, stay in the text, and so
// do those of names and products: 2*3*4, __init__, *.txt (see FindEmphasis).
// Rows of tables keep all marks, and so their columns. The output does not
// depend on the pieces in which text comes.
class MarkdownRenderer {
 public:
  static constexpr size_t kMaxSpan = 120;

  // `lines` must outlive this.
  explicit MarkdownRenderer(LineWrapper* lines) : lines_(*lines) {}

  // `text` is as for LineWrapper::Write.
  void Write(std::string_view text);
  // Writes what is held back, and ends all styles.
  void Finish();

 private:
  // What the next character belongs to.
  enum class Place {
    kLineStart,  // the beginning of a line, which says what the line is
    kText,       // the rest of a line
    kCodeStart,  // the beginning of a line of code, which may be a fence
    kRaw,        // the rest of a line of code, or of a table
  };
  // A style, and how many marks have begun it.
  struct Style {
    std::string_view on, off;
    size_t depth = 0;
  };

  void Put(std::string_view character);
  void EndLine();
  void Begin(Style& style);
  void End(Style& style);
  void Plain(std::string_view text);

  // Handles start_ if it is known what it begins. `is_whole`: the line ends.
  void TakeLineStart(bool is_whole);
  bool TakeHeading(std::string_view text, bool is_whole);
  bool TakeBullet(std::string_view text, bool is_whole);
  bool TakeNumber(std::string_view text, bool is_whole);
  bool TakeFence(std::string_view text, bool is_whole);
  void TakeCodeStart(bool is_whole);
  // Goes on with the rest of the line, after `columns` columns of it.
  void BeginText(std::string_view rest, size_t columns);

  // Writes text of a line as far as its meaning is known, and removes it.
  void TakeText(bool is_end);
  // Writes the beginning of `text` and returns its size; 0: more must come
  // first. `is_end`: no more comes.
  size_t TakeSpan(std::string_view text, bool is_end);
  size_t TakeCodeSpan(std::string_view text, size_t run, bool is_end);
  size_t TakeEmphasis(std::string_view text, size_t run, bool is_end);

  LineWrapper& lines_;
  Place place_ = Place::kLineStart;
  std::string start_;  // of a line, while it is not known what it is
  std::string text_;   // of a line, whose meaning is not known
  char last_ = ' ';    // the last character that was written on the line
  char fence_ = 0;     // of the block of code, and its length
  size_t fence_size_ = 0;
  bool is_heading_ = false;
  Style bold_{"\x1b[1m", "\x1b[22m"};
  Style italic_{"\x1b[3m", "\x1b[23m"};
  Style code_{"\x1b[36m", "\x1b[39m"};
  Style mark_{"\x1b[2m", "\x1b[22m"};  // fences, and the edge of quotes
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_MARKDOWN_H_

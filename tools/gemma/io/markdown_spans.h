// Where code and emphasis begin and end within a line of Markdown, of which
// more may come.

#ifndef GEMMA_TOOLS_GEMMA_IO_MARKDOWN_SPANS_H_
#define GEMMA_TOOLS_GEMMA_IO_MARKDOWN_SPANS_H_

#include <cstddef>
#include <string_view>

namespace gemma::tools {

// The number of characters `c` at the beginning of the text.
size_t RunOf(char c, std::string_view text);

// Position after the run of `run` backticks that ends a span of code, which
// begins with such a run; npos: none so far. A run at the end of an unfinished
// text may become longer. `is_end`: no more text comes.
size_t EndOfCodeSpan(std::string_view text, size_t run, bool is_end);

struct Emphasis {
  size_t marks = 0;      // 1: italic, 2: bold, 3: both, 0: none so far
  size_t end = 0;        // where the marks that end it begin
  bool is_open = false;  // none so far, but more text may end it
};

// The emphasis that the stars or underscores at the beginning of `text` begin,
// after the character `last`. If it has fewer marks than stand there, the
// others begin another one inside: ***bold** italic*.
//
// As in CommonMark, no blank follows the first mark or precedes the last one.
// Beyond that, an underscore begins emphasis only after a blank or a bracket,
// and at most italic text: __init__ is a name. A star has no letter or digit
// outside the emphasis, since 2*3*4 and x**2 + y**2 are products and powers,
// except for bold letters of a word: **R**andom **A**ccess, un**believ**able.
Emphasis FindEmphasis(std::string_view text, char last, bool is_end);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_MARKDOWN_SPANS_H_

// Tokens and rows, as a model reads them.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_WORDS_H_
#define GEMMA_TOOLS_PYTHON_BINDING_WORDS_H_

#include <nanobind/nanobind.h>

#include <string_view>

#include "gemma/words.h"

namespace gemma::python {

// Converts an array of tokens, or a list of tokens and of InputRows; `name`
// names it. InvalidArgument for anything else.
Words ReadWords(std::string_view name, nanobind::handle values);

// Returns whether there are rows among the words.
inline bool HasRows(const Words& words) { return !words.rows().empty(); }

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_WORDS_H_

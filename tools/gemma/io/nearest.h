// What a mistyped word was meant to be.

#ifndef GEMMA_TOOLS_GEMMA_IO_NEAREST_H_
#define GEMMA_TOOLS_GEMMA_IO_NEAREST_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace gemma::tools {

// Bytes to insert, delete or replace to make `a` of `b`.
size_t EditDistance(std::string_view a, std::string_view b);

// "; did you mean /save?", of the candidate that begins with `word` or is the
// nearest, the first of several; empty if all are far from it.
std::string DidYouMean(std::string_view word,
                       const std::vector<std::string>& candidates);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_NEAREST_H_

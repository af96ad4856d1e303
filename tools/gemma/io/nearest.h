// Guesses which word a mistyped word was meant to be.

#ifndef GEMMA_TOOLS_GEMMA_IO_NEAREST_H_
#define GEMMA_TOOLS_GEMMA_IO_NEAREST_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace gemma::tools {

// Returns how many bytes must be inserted, deleted or replaced to turn `b` into
// `a`.
size_t EditDistance(std::string_view a, std::string_view b);

// Returns "; did you mean /save?", with the candidate that begins with `word`
// or is nearest to it; of several, the first. Returns "" if no candidate is
// near.
std::string DidYouMean(std::string_view word,
                       const std::vector<std::string>& candidates);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_NEAREST_H_

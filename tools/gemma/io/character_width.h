// How wide characters are on a terminal.

#ifndef GEMMA_TOOLS_GEMMA_IO_CHARACTER_WIDTH_H_
#define GEMMA_TOOLS_GEMMA_IO_CHARACTER_WIDTH_H_

#include <cstddef>
#include <string_view>

namespace gemma::tools {

// Returns the columns of a terminal that a character of UTF-8 takes: 0 for an
// accent that joins the character before, 2 for a wide one, else 1.
size_t CharacterWidth(std::string_view character);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_CHARACTER_WIDTH_H_

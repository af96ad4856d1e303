// Types of weights and numbers that people know from llama.cpp, transformers
// and their like, and the nearest of gemma's.

#ifndef GEMMA_TOOLS_GEMMA_WORDS_TYPE_HABITS_H_
#define GEMMA_TOOLS_GEMMA_WORDS_TYPE_HABITS_H_

#include <string>
#include <string_view>
#include <vector>

namespace gemma::tools {

// Returns the one of `types`, of weights or numbers, that is nearest to a type
// of another tool, in small letters: "q4" for "q4_k_m". "" if it is not known.
std::string_view NearestType(std::string_view type,
                             const std::vector<std::string>& types);

// Whether a type, in any case, is one in which --layout gguf writes weights,
// under another name than gemma's: "Q8_0".
bool IsTypeOfGguf(std::string_view type);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_WORDS_TYPE_HABITS_H_

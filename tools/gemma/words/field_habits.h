// Fields of requests to other programs, and what a batch has in their place.

#ifndef GEMMA_TOOLS_GEMMA_WORDS_FIELD_HABITS_H_
#define GEMMA_TOOLS_GEMMA_WORDS_FIELD_HABITS_H_

#include <string>
#include <string_view>
#include <vector>

namespace gemma::tools {

// Returns what to write in place of a field that requests to other programs
// have, as "gemma's field is max_tokens", where the fields `own` exist. "" if
// the field is not known from elsewhere.
std::string FieldHint(std::string_view field,
                      const std::vector<std::string>& own);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_WORDS_FIELD_HABITS_H_

// What to write in place of the address of a model that gemma cannot fetch.

#ifndef GEMMA_TOOLS_GEMMA_PULL_SOURCE_HINT_H_
#define GEMMA_TOOLS_GEMMA_PULL_SOURCE_HINT_H_

#include <string>
#include <string_view>

namespace gemma::tools {

// Returns advice for the name or address of a model that ParseSource does not
// read and the catalogue does not list: a page of Ollama, a mistyped hf://, a
// family of models without a name in the catalogue. Returns "" if nothing is
// known of it.
std::string AddressHint(std::string_view text);

// As above, also for paths and the addresses of files, which gemma pull takes
// for neither.
std::string SourceHint(std::string_view text);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_SOURCE_HINT_H_

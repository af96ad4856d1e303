// Commands that people know from Ollama, llama.cpp and their like, and what
// gemma has in their place. They are hints, except for a few that simply work.

#ifndef GEMMA_TOOLS_GEMMA_WORDS_COMMAND_HABITS_H_
#define GEMMA_TOOLS_GEMMA_WORDS_COMMAND_HABITS_H_

#include <string_view>
#include <vector>

namespace gemma::tools {

// Returns the command that a word of another tool means, as "list" for "ls", or
// "" if it means none of gemma's.
std::string_view CommandAlias(std::string_view word);

// Returns what to do in place of a command that gemma lacks, or "" if the word
// is not known from elsewhere.
std::string_view CommandHint(std::string_view word);

// All hints of CommandHint, for tests.
std::vector<std::string_view> AllCommandHints();

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_WORDS_COMMAND_HABITS_H_

// Whether a hint on an option of another tool is true of a command. Hints are
// rows of a table for all commands; few of them help with every command.

#ifndef GEMMA_TOOLS_GEMMA_WORDS_HINT_FIT_H_
#define GEMMA_TOOLS_GEMMA_WORDS_HINT_FIT_H_

#include <string>
#include <string_view>
#include <vector>

namespace gemma::tools {

// Whether two options differ only in letter case, dashes and underscores, as
// --top-k, --topK and -top_k do. Short options, such as -to, are never alike.
bool AreAlike(std::string_view one, std::string_view other);

// Returns the options that a hint names as those of the command that was typed:
// "-v" of "gemma writes no log: -v prints more", but nothing of "gemma run
// --batch answers many prompts". What stands in parentheses after an option is
// an explanation: only "--force" of "--force (elsewhere, -f names a file)".
std::vector<std::string> OwnOptionsIn(std::string_view hint);

// Whether a hint is true of a command that has the options and arguments `own`:
// it has those that the hint names, and it is or has one of the words of
// `about`, separated by blanks, unless that is empty. If `own` is empty, the
// command's options are not known, and it may have those of `about`.
bool Fits(std::string_view hint, std::string_view about,
          std::string_view command, const std::vector<std::string>& own);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_WORDS_HINT_FIT_H_

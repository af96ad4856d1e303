// Options that people know from Ollama, llama.cpp, transformers and
// their like, and what gemma has in their place.

#ifndef GEMMA_TOOLS_GEMMA_WORDS_HABITS_H_
#define GEMMA_TOOLS_GEMMA_WORDS_HABITS_H_

#include <string>
#include <string_view>
#include <vector>

namespace gemma::tools {

// Returns what to do in place of `option` of another tool, in a sentence, for a
// command that has the options and arguments `own` ("--threads", "MODEL").
// Letter case, dashes and underscores do not count. Returns "" if the word is
// not known from elsewhere, or means nothing for this command. If `own` is
// empty, returns only sentences that hold without the command's options.
std::string OptionHint(std::string_view option, std::string_view command,
                       const std::vector<std::string>& own);

// All hints of OptionHint, and all words that it knows, for tests.
std::vector<std::string_view> AllOptionHints();
std::vector<std::string> WordsOfOptionHints();

// Whether a word with a dash is an option of another tool, whatever it means
// here: "-cb".
bool IsOptionElsewhere(std::string_view word);

// Returns the option of gemma that an option of another tool means, as
// "--context" for "--num_ctx", or "" if it means none.
std::string_view OwnOption(std::string_view option);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_WORDS_HABITS_H_

// Finds words of a command line that no option of a command matches, before
// CLI11 reads them: it would take "-hf" for -h and -f, and report a missing
// argument rather than the unknown word.

#ifndef GEMMA_TOOLS_GEMMA_WORDS_UNKNOWN_WORDS_H_
#define GEMMA_TOOLS_GEMMA_WORDS_UNKNOWN_WORDS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace gemma::tools {

// Whether --help or its like is among the words before "--". Then nothing else
// counts.
bool AsksForHelp(absl::Span<const std::string> words);

// Returns the option that a word with a dash names, such as "-n5" or
// "--temp=0", or nullptr.
const CLI::Option* OptionNamed(const CLI::App& command, std::string_view word);

// Whether the next word is the value of the option that `word` names: after
// "-n", not after "-n5".
bool ValueFollows(const CLI::Option& option, std::string_view word);

// Returns what to do in place of an option that means something else in other
// tools, or "": see OptionHint.
std::string HintOn(const CLI::App& command, std::string_view option);

// Returns OK, or a usage error for the first of `words`, those after the
// command's name, that begins with a dash and is no option of the command. Its
// cure says what was meant, if that is known. Words after "--" and the values
// of options are not looked at; with --help among them, all are accepted.
absl::Status CheckOptions(const CLI::App& command,
                          absl::Span<const std::string> words);

// Returns the options and the arguments of a command, as OptionHint takes them.
std::vector<std::string> OwnWordsOf(const CLI::App& command);

// Returns OK, or a usage error for an option before the command, as in `gemma
// -q run`.
absl::Status CheckCommandFirst(const CLI::App& root,
                               absl::Span<const std::string> words);

// Returns OK, or an error if a parsed command's MODEL names no model, but the
// argument after it does.
absl::Status CheckArgumentOrder(const CLI::App& command);

// Returns a usage error for a word that is not the name of a command.
absl::Status UnknownCommand(const CLI::App& root, const std::string& word);

// Returns what to say if `surplus`, one of the words of a command line, looks
// like a file and follows an option that takes no value, or "".
std::string FlagBefore(const CLI::App& command,
                       absl::Span<const std::string> all,
                       const std::string& surplus);

// Returns a usage error for arguments that the command does not take.
absl::Status SurplusArguments(const CLI::App& command,
                              const std::vector<std::string>& words);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_WORDS_UNKNOWN_WORDS_H_

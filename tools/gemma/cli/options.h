// Options of the command line. A value out of range is a usage error that names
// the option, what was found and what was wanted.

#ifndef GEMMA_TOOLS_GEMMA_CLI_OPTIONS_H_
#define GEMMA_TOOLS_GEMMA_CLI_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "gemma/gemma.h"

namespace gemma::tools {

// Set `value` and return "", or return what was wanted: "a number". Numbers are
// decimal, so that "010" is ten.
std::string ParseCount(std::string_view text, size_t least, size_t most,
                       size_t* value);
// Also reads "8k", 8192, and "1m".
std::string ParseTokens(std::string_view text, size_t least, size_t most,
                        size_t* value);
std::string ParseReal(std::string_view text, float* value);
// Reads "6GB", "1.5 GiB", "700MB" or a number of bytes.
std::string ParseSize(std::string_view text, size_t least, size_t most,
                      size_t* bytes);
// Reads "5" and "5s".
std::string ParseSeconds(std::string_view text, size_t least, size_t most,
                         size_t* seconds);
// Accepts any letter case, and sets the choice as it is written in `choices`.
// For a type of another tool, such as q4_k_m, names the nearest choice, too.
std::string ParseChoice(std::string_view text,
                        const std::vector<std::string>& choices,
                        std::string* value);

// Throws CLI11's error if `wanted`, the result of a parser, is not "":
// "--top-k: 'x' is not a whole number". `names`: "-t,--threads".
void CheckValue(const std::string& names, std::string_view found,
                std::string_view wanted);

// Adds a number that ParseCount or ParseReal reads. `default_text`: the default
// as --help shows it; if empty, the present `*value`.
CLI::Option* AddNumber(CLI::App& app, const std::string& names, size_t* value,
                       size_t least, size_t most,
                       const std::string& description,
                       const std::string& default_text = "");
CLI::Option* AddNumber(CLI::App& app, const std::string& names, float* value,
                       const std::string& description);

// Adds a size in bytes that ParseSize reads.
CLI::Option* AddSize(CLI::App& app, const std::string& names, size_t* bytes,
                     size_t least, size_t most, const std::string& description);

// Adds a whole number of seconds that ParseSeconds reads.
CLI::Option* AddSeconds(CLI::App& app, const std::string& names,
                        size_t* seconds, size_t least, size_t most,
                        const std::string& description);

// Adds one or more numbers, separated by commas. `parse`: ParseCount or
// ParseTokens.
CLI::Option* AddNumbers(CLI::App& app, const std::string& names,
                        std::vector<size_t>* values, size_t least, size_t most,
                        const std::string& description,
                        decltype(&ParseCount) parse = ParseCount);

// Adds an option that `parse` reads: it returns "" or what was wanted.
CLI::Option* AddParsed(
    CLI::App& app, const std::string& names, const std::string& type_name,
    const std::string& description,
    std::function<std::string(const std::string& text)> parse);

// Adds a text, which stays unchanged, even with brackets and dashes. Shells
// complete file names if `type_name` begins with FILE.
CLI::Option* AddText(CLI::App& app, const std::string& names,
                     const std::string& type_name, std::string* value,
                     const std::string& description);

// Adds a text option that may be repeated, and collects all its texts.
CLI::Option* AddTexts(CLI::App& app, const std::string& names,
                      const std::string& type_name,
                      std::vector<std::string>* values,
                      const std::string& description);

// Adds an argument that collects all words that belong to no option.
CLI::Option* AddTextArguments(CLI::App& app, const std::string& name,
                              std::vector<std::string>* values,
                              const std::string& description);

// Adds an option whose value is one of `choices`, in any case (ParseChoice).
CLI::Option* AddChoice(CLI::App& app, const std::string& names,
                       std::string* value, std::vector<std::string> choices,
                       const std::string& description);

// Returns the names of all weight types.
std::vector<std::string> WeightTypeNames();

// Adds -q. Commands that load a model give ModelOptions::quiet.
void AddQuiet(CLI::App& app, bool* quiet);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_OPTIONS_H_

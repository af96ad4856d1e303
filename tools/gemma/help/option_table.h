// The commands and their options as plain data. The completion scripts and the
// manual page are made from it.

#ifndef GEMMA_TOOLS_GEMMA_HELP_OPTION_TABLE_H_
#define GEMMA_TOOLS_GEMMA_HELP_OPTION_TABLE_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace gemma::tools {

// The kind of a value, which decides how a shell completes it.
enum class ValueKind {
  kNone,    // no value: a flag
  kText,    // anything
  kChoice,  // one of `choices`
  kFile,    // the name of a file
  kModel,   // the name of a pulled model, or a path
  kSource,  // the name of a model that can be pulled
  kStored,  // the name of a pulled model
};

// An option or an argument.
struct OptionEntry {
  std::string short_name;  // "t", or ""; "" for an argument
  std::string long_name;   // "threads", or ""; "" for an argument
  std::string argument;    // "MODEL"; "" for an option
  ValueKind kind = ValueKind::kText;
  std::string value;  // "N", as --help shows it
  std::vector<std::string> choices;
  std::string default_text;
  std::string description;  // on one line
  std::string variable;     // GEMMA_THREADS, or ""
  bool required = false;
  bool repeatable = false;

  // Returns "-t" and "--threads", or the one of them that exists.
  std::vector<std::string> Spellings() const;
};

struct CommandEntry {
  std::string name;
  std::string description;
  std::vector<OptionEntry> arguments;  // in order
  std::vector<OptionEntry> options;
  std::string footer;  // of --help, unchanged
};

// Returns an option's entry, or that of an argument.
OptionEntry DescribeOption(const CLI::Option& option);

// Returns a command's entry. For the root: the options before any command.
CommandEntry DescribeCommand(const CLI::App& command);

// Returns all commands in the order in which they were added.
std::vector<CommandEntry> DescribeCommands(const CLI::App& root);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_HELP_OPTION_TABLE_H_

// Where the prompt of `gemma run` comes from.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_PROMPT_SOURCE_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_PROMPT_SOURCE_H_

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/gemma/io/files.h"

namespace gemma::tools {

// The parts of a prompt, in their order. Blank lines separate those that are
// not empty.
struct PromptSource {
  std::string text = std::string(kStdinArgument);  // the argument PROMPT
  std::string file;                                // --file; may be empty
  bool is_given = false;  // PROMPT is on the command line, perhaps as "-"

  // The option or argument that gives a prompt, for messages, or "".
  std::string asked_by() const {
    if (text != kStdinArgument) return "PROMPT";
    return file.empty() ? "" : "--file";
  }
};

// Adds PROMPT and --file.
void AddPromptSource(CLI::App& app, PromptSource* source);

// Reads the prompt: PROMPT, the file, and standard input if there is no other
// part or if it is a pipe or a file. Each part loses the line end that `echo`
// adds. A file, or standard input alone, that is empty is an error; an empty
// PROMPT is not. `stdin_taken`: an option has read standard input already.
// `quiet`: print no notes.
absl::StatusOr<std::string> ReadPrompt(const PromptSource& source,
                                       bool stdin_taken, bool quiet);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_PROMPT_SOURCE_H_

// The command `gemma`, without main().

#ifndef GEMMA_TOOLS_GEMMA_CLI_COMMAND_LINE_H_
#define GEMMA_TOOLS_GEMMA_CLI_COMMAND_LINE_H_

namespace gemma::tools {

// Runs the command that the arguments name and returns the exit code. Does not
// throw.
int RunCommandLine(int argc, char** argv) noexcept;

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_COMMAND_LINE_H_

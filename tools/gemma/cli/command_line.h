// The command `gemma`, all but its main().

#ifndef GEMMA_TOOLS_GEMMA_CLI_COMMAND_LINE_H_
#define GEMMA_TOOLS_GEMMA_CLI_COMMAND_LINE_H_

namespace gemma::tools {

// Does what the arguments ask for and returns the exit code. Throws nothing.
int RunCommandLine(int argc, char** argv) noexcept;

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_COMMAND_LINE_H_

#include "tools/gemma/cli/command_line.h"

int main(int argc, char** argv) {
  return gemma::tools::RunCommandLine(argc, argv);
}

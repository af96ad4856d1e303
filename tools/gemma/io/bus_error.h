// Handles files that are cut while they are mapped.

#ifndef GEMMA_TOOLS_GEMMA_IO_BUS_ERROR_H_
#define GEMMA_TOOLS_GEMMA_IO_BUS_ERROR_H_

namespace gemma::tools {

// Handles SIGBUS. If the cause is a part of a mapped file that no longer exists
// or cannot be read, prints one line that names the file and exits with 1. Any
// other cause ends the process as without this handler.
void InstallBusErrorHandler();

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_BUS_ERROR_H_

// Files that are cut while they are mapped.

#ifndef GEMMA_TOOLS_GEMMA_IO_BUS_ERROR_H_
#define GEMMA_TOOLS_GEMMA_IO_BUS_ERROR_H_

namespace gemma::tools {

// Lets SIGBUS, which a part of a mapped file causes that is no longer there or
// cannot be read, end the process with 1 and one line that names the file. Any
// other cause ends it as ever.
void InstallBusErrorHandler();

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_BUS_ERROR_H_

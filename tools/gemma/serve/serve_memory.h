// How much memory a server may use.

#ifndef GEMMA_TOOLS_GEMMA_SERVE_SERVE_MEMORY_H_
#define GEMMA_TOOLS_GEMMA_SERVE_SERVE_MEMORY_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/gemma/serve/served_models.h"

namespace gemma::tools {

// Returns the limit for ServerOptions::max_memory_bytes, before weights are
// loaded: --memory, or what all models need with full batches and, as far as
// the memory allows, with 1 GiB each to keep beginnings of prompts. An error if
// they do not fit.
absl::StatusOr<uint64_t> FitMemory(const ServeOptions& options,
                                   const std::vector<NamedModel>& models);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_SERVE_SERVE_MEMORY_H_

// The number of threads, from a caller's option.

#ifndef GEMMA_SRC_MODEL_CONFIG_NUM_THREADS_H_
#define GEMMA_SRC_MODEL_CONFIG_NUM_THREADS_H_

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "gemma/limits.h"
#include "src/base/format_text.h"
#include "src/os/cpus.h"

namespace gemma::internal {

// Returns OK or an error that names the option.
inline absl::Status CheckThreads(std::string_view option, size_t threads) {
  if (threads <= kMaxThreads) return absl::OkStatus();
  return absl::InvalidArgumentError(FormatText("%s is %u, wanted 0 (all) to %u",
                                               option, threads, kMaxThreads));
}

// Returns `threads`; for 0, one for each core that this process may use.
inline size_t NumThreads(size_t threads) {
  return threads != 0 ? threads : std::min(UsableCpus(), kMaxThreads);
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_NUM_THREADS_H_

// What the system says of files.

#ifndef GEMMA_SRC_OS_SYSTEM_ERROR_H_
#define GEMMA_SRC_OS_SYSTEM_ERROR_H_

#include <cerrno>
#include <string>

#include "absl/status/status.h"

namespace gemma {

// "<path>: <what the system says of errno's value `error`>".
absl::Status SystemError(const std::string& path, int error);

// Makes a system call until no signal interrupts it. Returns its result, -1
// being the failure that errno tells of.
template <class Call>
auto Uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

}  // namespace gemma

#endif  // GEMMA_SRC_OS_SYSTEM_ERROR_H_

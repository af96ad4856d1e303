// Errors of system calls.

#ifndef GEMMA_SRC_OS_SYSTEM_ERROR_H_
#define GEMMA_SRC_OS_SYSTEM_ERROR_H_

#include <cerrno>
#include <string_view>

#include "absl/status/status.h"

namespace gemma::internal {

// Returns "<what>: <the system's words for errno's value `error`>". `what` is a
// path or the action that failed.
absl::Status SystemError(std::string_view what, int error);

// The same for a failed write: "cannot write to <path>: ...".
absl::Status WriteError(std::string_view path, int error);

// Returns the value of errno that SystemError was given, or 0 for all other
// statuses.
int SystemErrorNumber(const absl::Status& status);

// Repeats a system call while signals interrupt it. Returns its result; -1
// means a failure, and errno says which.
template <class Call>
auto Uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_SYSTEM_ERROR_H_

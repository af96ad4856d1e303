// Errors of the system.

#ifndef GEMMA_SRC_OS_SYSTEM_ERROR_H_
#define GEMMA_SRC_OS_SYSTEM_ERROR_H_

#include <cerrno>
#include <string_view>

#include "absl/status/status.h"

namespace gemma::internal {

// "<what>: <the system's words for errno's value `error`>". `what` is a path,
// or says what could not be done.
absl::Status SystemError(std::string_view what, int error);

// The same of what could not be written: "cannot write to <path>: ...".
absl::Status WriteError(std::string_view path, int error);

// The value of errno that SystemError was given; 0 for all other statuses.
int SystemErrorNumber(const absl::Status& status);

// Makes a system call until no signal interrupts it. Returns its result, -1
// being the failure that errno tells of.
template <class Call>
auto Uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_SYSTEM_ERROR_H_

// Converts statuses and exceptions for C: a number, and a message on request.

#ifndef GEMMA_SRC_C_API_C_STATUS_H_
#define GEMMA_SRC_C_API_C_STATUS_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "gemma/c_status.h"
#include "gemma/error_reason.h"
#include "src/base/no_throw.h"

namespace gemma::internal {

// Bytes of the longest message; longer messages are cut.
inline constexpr size_t kMaxLastError = 4095;

// Return and set the calling thread's last message, "" at first. Its memory
// exists from the thread's start, so neither function allocates, unless the
// library was opened with dlopen; see SECURITY.md.
const char* LastError() noexcept;
void SetLastError(std::string_view message,
                  ErrorReason reason = ErrorReason::kNone) noexcept;

// Returns the code's C enumerator, which has the same number, or GEMMA_UNKNOWN
// for a number without a code.
gemma_status CStatus(absl::StatusCode code) noexcept;

// Returns the status's number. Sets the last message if it is an error.
gemma_status Report(const absl::Status& status) noexcept;

// Calls `body`, which returns an absl::Status, and reports its status or
// exception.
template <class Body>
gemma_status Reported(Body body) noexcept {
  return Report(NoThrow(body));
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_C_API_C_STATUS_H_

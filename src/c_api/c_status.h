// Statuses and exceptions as C sees them: a number, and a message to ask for.

#ifndef GEMMA_SRC_C_API_C_STATUS_H_
#define GEMMA_SRC_C_API_C_STATUS_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "gemma/c_api.h"
#include "src/base/no_throw.h"

namespace gemma {

// The longest message that is kept; what is longer is cut.
inline constexpr size_t kMaxLastError = 4095;

// The calling thread's last message, "" at first. Its memory is there from the
// thread's start, so that neither function allocates.
const char* LastError() noexcept;
void SetLastError(std::string_view message) noexcept;

// The code's name in C, which has the same number. GEMMA_UNKNOWN for a number
// that no code has.
gemma_status CStatus(absl::StatusCode code) noexcept;

// Sets the last message, unless the status is OK, and returns its number.
gemma_status Report(const absl::Status& status) noexcept;

// Calls `body`, which returns an absl::Status, and reports what comes of it.
template <class Body>
gemma_status Guarded(Body body) noexcept {
  return Report(NoThrow(body));
}

}  // namespace gemma

#endif  // GEMMA_SRC_C_API_C_STATUS_H_

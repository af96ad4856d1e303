// Where exceptions become statuses.

#ifndef GEMMA_SRC_BASE_NO_THROW_H_
#define GEMMA_SRC_BASE_NO_THROW_H_

#include <exception>
#include <new>
#include <stdexcept>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"

namespace gemma {

// A status with that message, or without one where there is no memory for it:
// abseil keeps a code alone in the status itself.
inline absl::Status StatusOf(absl::StatusCode code,
                             std::string_view message) noexcept {
  try {
    return absl::Status(code, message);
  } catch (const std::bad_alloc&) {
    return absl::Status(code, "");
  }
}

// Returns what `body` returns, an absl::Status or absl::StatusOr. If it throws:
// ResourceExhausted where memory ended, else Internal. Each public function
// that returns a status does its work within one call of this.
template <class Body>
std::invoke_result_t<Body> NoThrow(Body&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return StatusOf(absl::StatusCode::kResourceExhausted, "out of memory");
  } catch (const std::length_error&) {
    // More than a container can hold.
    return StatusOf(absl::StatusCode::kResourceExhausted, "out of memory");
  } catch (const std::exception& error) {
    return StatusOf(absl::StatusCode::kInternal, error.what());
  } catch (...) {
    return StatusOf(absl::StatusCode::kInternal, "an exception was thrown");
  }
}

}  // namespace gemma

#endif  // GEMMA_SRC_BASE_NO_THROW_H_

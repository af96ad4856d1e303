// Turns exceptions into statuses.

#ifndef GEMMA_SRC_BASE_NO_THROW_H_
#define GEMMA_SRC_BASE_NO_THROW_H_

#include <exception>
#include <new>
#include <stdexcept>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"

namespace gemma::internal {

// Returns a status with the message, or without it if memory is exhausted:
// abseil stores a code alone in the status itself, without an allocation.
inline absl::Status StatusOf(absl::StatusCode code,
                             std::string_view message) noexcept {
  try {
    return absl::Status(code, message);
  } catch (const std::bad_alloc&) {
    return absl::Status(code, "");
  }
}

// Calls `body` and returns its absl::Status or absl::StatusOr. If it throws,
// returns ResourceExhausted if memory is exhausted, otherwise Internal. Each
// public function that returns a status wraps its work in one call of this.
template <class Body>
std::invoke_result_t<Body> NoThrow(Body&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return StatusOf(absl::StatusCode::kResourceExhausted, "out of memory");
  } catch (const std::length_error&) {
    // A container would exceed its largest size.
    return StatusOf(absl::StatusCode::kResourceExhausted, "out of memory");
  } catch (const std::exception& error) {
    return StatusOf(absl::StatusCode::kInternal, error.what());
  } catch (...) {
    return StatusOf(absl::StatusCode::kInternal, "an exception was thrown");
  }
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_NO_THROW_H_

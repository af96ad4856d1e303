// The messages of errors, for matchers.

#ifndef GEMMA_TESTS_SUPPORT_ERROR_OF_H_
#define GEMMA_TESTS_SUPPORT_ERROR_OF_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::internal {

// Returns the message, or "OK".
inline std::string ErrorOf(const absl::Status& status) {
  return status.ok() ? "OK" : std::string(status.message());
}
template <class T>
std::string ErrorOf(const absl::StatusOr<T>& result) {
  return ErrorOf(result.status());
}

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_ERROR_OF_H_

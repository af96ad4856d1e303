// Macros that return early from functions with absl::Status or absl::StatusOr.

#ifndef GEMMA_SRC_BASE_STATUS_MACROS_H_
#define GEMMA_SRC_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns the status of `expr` unless it is OK.
#define GEMMA_RETURN_IF_ERROR(...)                 \
  do {                                             \
    absl::Status gemma_status_ = (__VA_ARGS__);    \
    if (!gemma_status_.ok()) return gemma_status_; \
  } while (false)

// Evaluates the StatusOr that follows `lhs`. Assigns its value to `lhs`, which
// may be a declaration, or returns its status:
//   GEMMA_ASSIGN_OR_RETURN(const Json config, Json::Parse(text, path));
#define GEMMA_ASSIGN_OR_RETURN(lhs, ...)                                     \
  GEMMA_ASSIGN_OR_RETURN_TO(GEMMA_STATUS_CONCAT(gemma_status_or_, __LINE__), \
                            lhs, __VA_ARGS__)

#define GEMMA_ASSIGN_OR_RETURN_TO(result, lhs, ...)    \
  auto result = (__VA_ARGS__);                         \
  if (!result.ok()) return std::move(result).status(); \
  lhs = *std::move(result)

#define GEMMA_STATUS_CONCAT(a, b) GEMMA_STATUS_CONCAT_EXPANDED(a, b)
#define GEMMA_STATUS_CONCAT_EXPANDED(a, b) a##b

#endif  // GEMMA_SRC_BASE_STATUS_MACROS_H_

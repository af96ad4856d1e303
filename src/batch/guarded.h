// Calls functions of users, which may throw, where nothing may be thrown.

#ifndef GEMMA_SRC_BATCH_GUARDED_H_
#define GEMMA_SRC_BATCH_GUARDED_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "src/base/no_throw.h"

namespace gemma::internal {

// Calls `body`. Returns ResourceExhausted if memory runs out in it, and
// Internal if it throws anything else.
inline absl::Status Guarded(absl::FunctionRef<void()> body) noexcept {
  absl::Status status = NoThrow([&] {
    body();
    return absl::OkStatus();
  });
  if (!absl::IsInternal(status)) return status;
  return NoThrow([&] {
    return absl::InternalError(
        absl::StrCat("a function of the request threw: ", status.message()));
  });
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BATCH_GUARDED_H_

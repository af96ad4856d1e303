// Calls functions of users that may throw, where nothing may be thrown.

#ifndef GEMMA_SRC_ENGINE_GUARDED_H_
#define GEMMA_SRC_ENGINE_GUARDED_H_

#include <exception>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace gemma {

// Calls `body`. Internal if that throws.
inline absl::Status Guarded(absl::FunctionRef<void()> body) {
  try {
    body();
    return absl::OkStatus();
  } catch (const std::exception& error) {
    return absl::InternalError(
        absl::StrCat("a function of the request threw: ", error.what()));
  } catch (...) {
    return absl::InternalError("a function of the request threw");
  }
}

}  // namespace gemma

#endif  // GEMMA_SRC_ENGINE_GUARDED_H_

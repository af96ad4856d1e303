// What the system says of files.

#ifndef GEMMA_SRC_OS_SYSTEM_ERROR_H_
#define GEMMA_SRC_OS_SYSTEM_ERROR_H_

#include <string>

#include "absl/status/status.h"

namespace gemma {

// "<path>: <what the system says of errno's value `error`>".
absl::Status SystemError(const std::string& path, int error);

}  // namespace gemma

#endif  // GEMMA_SRC_OS_SYSTEM_ERROR_H_

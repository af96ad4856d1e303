#include "src/os/system_error.h"

#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#ifdef _WIN32
#include "src/os/windows/wide.h"
#endif

namespace gemma::internal {
namespace {

#ifndef _WIN32
// Uses the standard library, because strerror is not safe in threads.
std::string ErrnoText(int error) {
  return std::generic_category().message(error);
}
#endif

constexpr std::string_view kPayload = "gemma/errno";

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::StatusCode::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ENOSPC:
#ifdef EDQUOT
    case EDQUOT:
#endif
    case EFBIG:
      return absl::StatusCode::kResourceExhausted;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    default:
      return absl::StatusCode::kUnknown;
  }
}

}  // namespace

absl::Status SystemError(std::string_view what, int error) {
  absl::Status status(CodeOf(error),
                      absl::StrCat(what, ": ", ErrnoText(error)));
  // From a view, as in WithReason.
  const std::string number = absl::StrCat(error);
  status.SetPayload(kPayload, absl::Cord(std::string_view(number)));
  return status;
}

absl::Status WriteError(std::string_view path, int error) {
  return SystemError(absl::StrCat("cannot write to ", path), error);
}

int SystemErrorNumber(const absl::Status& status) {
  const std::optional<absl::Cord> payload = status.GetPayload(kPayload);
  int error = 0;
  if (payload.has_value() && absl::SimpleAtoi(std::string(*payload), &error)) {
    return error;
  }
  return 0;
}

}  // namespace gemma::internal

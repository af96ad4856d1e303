#include "gemma/error_reason.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"

namespace gemma {
namespace {

constexpr std::string_view kUrl = "libgemma/error_reason";

}  // namespace

ErrorReason ReasonOf(const absl::Status& status) {
  const std::optional<absl::Cord> payload = status.GetPayload(kUrl);
  int number = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &number))
    return ErrorReason::kNone;
  return static_cast<ErrorReason>(number);
}

absl::Status WithReason(absl::Status status, ErrorReason reason) {
  return NoThrow([&] {
    status.ErasePayload(kUrl);
    if (reason != ErrorReason::kNone) {
      // From a view: g++ and clang disagree about the name of the constructor
      // that takes a temporary string, so one could not link the other's
      // abseil.
      const std::string number = absl::StrCat(static_cast<int>(reason));
      status.SetPayload(kUrl, absl::Cord(std::string_view(number)));
    }
    return std::move(status);
  });
}

}  // namespace gemma

#include "src/c_api/c_status.h"

#include <cstring>

#include "gemma/version.h"
#include "src/c_api/c_values.h"

namespace gemma::internal {
namespace {

thread_local char last_error[kMaxLastError + 1] = "";
thread_local ErrorReason last_reason = ErrorReason::kNone;

}  // namespace

const char* LastError() noexcept { return last_error; }

void SetLastError(std::string_view message, ErrorReason reason) noexcept {
  if (message.size() > kMaxLastError) {
    // Cut after a whole character.
    size_t size = kMaxLastError;
    while (size > 0 && (message[size] & 0xC0) == 0x80) --size;
    message = message.substr(0, size);
  }
  std::memcpy(last_error, message.data(), message.size());
  last_error[message.size()] = '\0';
  last_reason = reason;
}

gemma_status CStatus(absl::StatusCode code) noexcept {
  const int number = static_cast<int>(code);
  if (number < GEMMA_OK || number > GEMMA_UNAUTHENTICATED) return GEMMA_UNKNOWN;
  return static_cast<gemma_status>(number);
}

gemma_status Report(const absl::Status& status) noexcept {
  if (status.ok()) return GEMMA_OK;
  // If memory ran out, a message could perhaps not be allocated.
  const bool no_memory =
      absl::IsResourceExhausted(status) && status.message().empty();
  SetLastError(no_memory ? "out of memory" : status.message(),
               ReasonOf(status));
  return CStatus(status.code());
}

}  // namespace gemma::internal

using gemma::internal::NumberOf;

const char* gemma_last_error(void) { return gemma::internal::LastError(); }

gemma_reason gemma_last_reason(void) {
  switch (static_cast<int>(gemma::internal::last_reason)) {
#define GEMMA_KNOWN(name, number) \
  case number:                    \
    return GEMMA_REASON_##name;
    GEMMA_REASONS(GEMMA_KNOWN)
#undef GEMMA_KNOWN
  }
  return GEMMA_REASON_NONE;
}

const char* gemma_status_name(gemma_status status) {
  switch (NumberOf(status)) {
#define GEMMA_NAME(name, number) \
  case number:                   \
    return #name;
    GEMMA_STATUSES(GEMMA_NAME)
  }
  return "UNKNOWN";
}

const char* gemma_reason_name(gemma_reason reason) {
  switch (NumberOf(reason)) {
    GEMMA_REASONS(GEMMA_NAME)
#undef GEMMA_NAME
  }
  return "NONE";
}

const char* gemma_version(void) { return GEMMA_VERSION_STRING; }

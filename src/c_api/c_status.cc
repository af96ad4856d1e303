#include "src/c_api/c_status.h"

#include <cstring>

namespace gemma::internal {
namespace {

thread_local char last_error[kMaxLastError + 1] = "";

}  // namespace

const char* LastError() noexcept { return last_error; }

void SetLastError(std::string_view message) noexcept {
  if (message.size() > kMaxLastError) {
    // Cut after a whole character.
    size_t size = kMaxLastError;
    while (size > 0 && (message[size] & 0xC0) == 0x80) --size;
    message = message.substr(0, size);
  }
  std::memcpy(last_error, message.data(), message.size());
  last_error[message.size()] = '\0';
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
  SetLastError(no_memory ? "out of memory" : status.message());
  return CStatus(status.code());
}

}  // namespace gemma::internal

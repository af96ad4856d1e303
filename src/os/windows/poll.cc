#include <poll.h>
#include <windows.h>

#include <algorithm>
#include <chrono>

#include "src/os/windows/console.h"
#include "src/os/windows/handle.h"

namespace gemma::internal {
namespace {

// Pipes of Windows cannot be waited for: they are asked again after this time.
constexpr DWORD kLongestMs = 10;

// Returns whether a read would not wait. What cannot be asked does not.
bool HasInput(HANDLE file) {
  if (file == INVALID_HANDLE_VALUE) return true;
  DWORD number = 0;
  if (GetConsoleMode(file, &number)) return ConsoleHasInput(file);
  if (GetFileType(file) != FILE_TYPE_PIPE) return true;
  return !PeekNamedPipe(file, nullptr, 0, nullptr, &number, nullptr) ||
         number > 0;
}

}  // namespace

int poll(pollfd* fds, size_t count, int timeout) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::milliseconds(timeout);
  for (DWORD wait = 1;; wait = std::min(2 * wait, kLongestMs)) {
    int ready = 0;
    for (size_t i = 0; i < count; ++i) {
      fds[i].revents = 0;
      if (fds[i].fd < 0) continue;
      const bool reads = (fds[i].events & POLLIN) != 0;
      if (!reads || HasInput(HandleOf(fds[i].fd))) {
        fds[i].revents = fds[i].events;
        ++ready;
      }
    }
    if (ready > 0 || (timeout >= 0 && Clock::now() >= end)) return ready;
    Sleep(wait);
  }
}

}  // namespace gemma::internal

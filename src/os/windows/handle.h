// Handles of Windows.

#ifndef GEMMA_SRC_OS_WINDOWS_HANDLE_H_
#define GEMMA_SRC_OS_WINDOWS_HANDLE_H_

#include <windows.h>

#include <utility>

namespace gemma::internal {

// Closes a handle at the end of a scope.
class Handle {
 public:
  explicit Handle(HANDLE handle) : handle_(handle) {}
  ~Handle() {
    if (valid()) CloseHandle(handle_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  // Some functions of Windows fail with one value, some with the other.
  bool valid() const {
    return handle_ != INVALID_HANDLE_VALUE && handle_ != nullptr;
  }
  HANDLE get() const { return handle_; }
  HANDLE Release() { return std::exchange(handle_, nullptr); }

 private:
  HANDLE handle_;
};

// Returns the handle of a descriptor, or INVALID_HANDLE_VALUE.
HANDLE HandleOf(int fd);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_WINDOWS_HANDLE_H_

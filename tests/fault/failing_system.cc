// Replaces system functions in this binary. A call that should not fail goes on
// to the system's function.

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "tests/fault/faults.h"

namespace gemma::internal {
namespace {

// Returns the system's function with this name.
template <class Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

bool FailsWithError(FaultKind kind) {
  if (FaultError() == 0 || !Fails(kind)) return false;
  errno = FaultError();
  return true;
}

// Returns whether a write of `size` bytes writes only some of them.
bool IsShort(std::size_t size) {
  return FaultError() == 0 && size > 1 && Fails(FaultKind::kWrite);
}

}  // namespace
}  // namespace gemma::internal

using gemma::internal::FailsWithError;
using gemma::internal::FaultKind;
using gemma::internal::Next;

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  static auto* const next = Next<int(const char*, int, ...)>("open");
  return FailsWithError(FaultKind::kOpen) ? -1 : next(path, flags, mode);
}

void* mmap(void* address, size_t size, int protection, int flags, int fd,
           off_t offset) noexcept {
  static auto* const next =
      Next<void*(void*, size_t, int, int, int, off_t)>("mmap");
  if (FailsWithError(FaultKind::kMap)) return MAP_FAILED;
  return next(address, size, protection, flags, fd, offset);
}

// Visible, because the standard library's streams call it.
__attribute__((visibility("default"))) ssize_t read(int fd, void* bytes,
                                                    size_t size) {
  static auto* const next = Next<ssize_t(int, void*, size_t)>("read");
  return FailsWithError(FaultKind::kRead) ? -1 : next(fd, bytes, size);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  static auto* const next = Next<ssize_t(int, const void*, size_t)>("write");
  if (FailsWithError(FaultKind::kWrite)) return -1;
  return next(fd, bytes, gemma::internal::IsShort(size) ? size / 2 : size);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  static auto* const next =
      Next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  if (FailsWithError(FaultKind::kWrite)) return -1;
  return next(fd, bytes, gemma::internal::IsShort(size) ? size / 2 : size,
              offset);
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
  static auto* const next = Next<int(int, int, off_t, off_t)>("fallocate");
  if (FailsWithError(FaultKind::kWrite)) return -1;
  return next(fd, mode, offset, size);
}

int ftruncate(int fd, off_t size) noexcept {
  static auto* const next = Next<int(int, off_t)>("ftruncate");
  return FailsWithError(FaultKind::kWrite) ? -1 : next(fd, size);
}

int fsync(int fd) {
  static auto* const next = Next<int(int)>("fsync");
  return FailsWithError(FaultKind::kSync) ? -1 : next(fd);
}

int rename(const char* from, const char* to) noexcept {
  static auto* const next = Next<int(const char*, const char*)>("rename");
  return FailsWithError(FaultKind::kName) ? -1 : next(from, to);
}

int renameat2(int from_fd, const char* from, int to_fd, const char* to,
              unsigned flags) noexcept {
  static auto* const next =
      Next<int(int, const char*, int, const char*, unsigned)>("renameat2");
  if (FailsWithError(FaultKind::kName)) return -1;
  return next(from_fd, from, to_fd, to, flags);
}

int link(const char* from, const char* to) noexcept {
  static auto* const next = Next<int(const char*, const char*)>("link");
  return FailsWithError(FaultKind::kName) ? -1 : next(from, to);
}

int linkat(int from_fd, const char* from, int to_fd, const char* to,
           int flags) noexcept {
  static auto* const next =
      Next<int(int, const char*, int, const char*, int)>("linkat");
  if (FailsWithError(FaultKind::kName)) return -1;
  return next(from_fd, from, to_fd, to, flags);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                   void* (*start)(void*), void* argument) noexcept {
  static auto* const next =
      Next<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>(
          "pthread_create");
  // pthread_create returns its error and does not set errno.
  if (gemma::internal::Fails(FaultKind::kThread))
    return gemma::internal::FaultError();
  return next(thread, attributes, start, argument);
}

}  // extern "C"

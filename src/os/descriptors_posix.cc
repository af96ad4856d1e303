#include "src/os/descriptors.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace gemma::internal {
namespace {

#ifndef __linux__
// Closes the descriptor if it cannot be marked.
bool Mark(int fd, Blocking blocking) {
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
      (blocking == Blocking::kWait || fcntl(fd, F_SETFL, O_NONBLOCK) == 0)) {
    return true;
  }
  const int error = errno;
  close(fd);
  errno = error;
  return false;
}
#endif

}  // namespace

bool OpenPipe(int ends[2], Blocking blocking) {
#ifdef __linux__
  const int flags = blocking == Blocking::kFail ? O_NONBLOCK : 0;
  if (pipe2(ends, O_CLOEXEC | flags) == 0) return true;
#else
  if (pipe(ends) == 0) {
    const bool first = Mark(ends[0], blocking);
    const bool second = Mark(ends[1], blocking);
    if (first && second) return true;
    const int error = errno;
    if (first) close(ends[0]);
    if (second) close(ends[1]);
    errno = error;
  }
#endif
  ends[0] = ends[1] = -1;
  return false;
}

int OpenSocket(int family, int type, int protocol) {
#ifdef __linux__
  return socket(family, type | SOCK_CLOEXEC, protocol);
#else
  const int fd = socket(family, type, protocol);
  return fd >= 0 && Mark(fd, Blocking::kWait) ? fd : -1;
#endif
}

void CloseSocket(int fd) { close(fd); }

}  // namespace gemma::internal

#include "src/os/windows/sockets.h"

#include "src/os/descriptors.h"
#include "src/os/windows/wide.h"

namespace gemma::internal {
namespace {

SOCKET SocketOf(int fd) { return static_cast<SOCKET>(fd); }

int Result(int result) {
  if (result == SOCKET_ERROR) {
    return SetErrno(static_cast<unsigned long>(WSAGetLastError()));
  }
  return result;
}

}  // namespace

int OpenSocket(int family, int type, int protocol) {
  const SOCKET made =
      WSASocketW(family, type, protocol, nullptr, 0,
                 WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
  // Handles of Windows have 32 bits.
  return made == INVALID_SOCKET ? Result(SOCKET_ERROR) : static_cast<int>(made);
}

void CloseSocket(int fd) { closesocket(SocketOf(fd)); }

int bind(int fd, const sockaddr* address, socklen_t size) {
  return Result(::bind(SocketOf(fd), address, size));
}

int listen(int fd, int backlog) {
  return Result(::listen(SocketOf(fd), backlog));
}

int connect(int fd, const sockaddr* address, socklen_t size) {
  return Result(::connect(SocketOf(fd), address, size));
}

int getsockname(int fd, sockaddr* address, socklen_t* size) {
  return Result(::getsockname(SocketOf(fd), address, size));
}

int setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  if (level == SOL_SOCKET && name == SO_REUSEADDR) name = SO_EXCLUSIVEADDRUSE;
  return Result(::setsockopt(SocketOf(fd), level, name,
                             static_cast<const char*>(value), size));
}

}  // namespace gemma::internal

// The calls of POSIX on sockets, as in calls.h. A descriptor of a socket is
// another number than one of a file; CloseSocket (src/os/descriptors.h) closes
// it.

#ifndef GEMMA_SRC_OS_WINDOWS_SOCKETS_H_
#define GEMMA_SRC_OS_WINDOWS_SOCKETS_H_

#include <winsock2.h>

#include <afunix.h>
#include <ws2tcpip.h>

#include "src/base/internal.h"

namespace gemma::internal {

int bind(int fd, const sockaddr* address, socklen_t size);
int listen(int fd, int backlog);
int connect(int fd, const sockaddr* address, socklen_t size);
int getsockname(int fd, sockaddr* address, socklen_t* size);
// SO_REUSEADDR asks for what it means elsewhere: on Windows, a second server
// could take a port.
int setsockopt(int fd, int level, int name, const void* value, socklen_t size);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_WINDOWS_SOCKETS_H_

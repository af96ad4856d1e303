#include "tools/gemma/serve/listen_socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "src/os/descriptors.h"
#include "src/os/system_error.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

constexpr int kBacklog = 512;

uint16_t PortOf(int fd) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return 0;
  }
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

void SetPort(sockaddr* address, uint16_t port) {
  if (address->sa_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(address)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(address)->sin_port = htons(port);
  }
}

bool IsLoopback(const sockaddr* address) {
  if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
  }
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
  return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
}

// The error of a call on an address, with a cure.
absl::Status ListenError(const std::string& where, int error) {
  const absl::Status status = SystemError(where, error);
  switch (error) {
    case EADDRINUSE:
      return WithCure(status, "gemma serve --port 0 takes a free port");
    case EACCES:
      return WithCure(status, "ports below 1024 need privileges: --port 8080");
    case EADDRNOTAVAIL:
      return WithCure(status, "--host is an address of this machine");
    default:
      return status;
  }
}

absl::StatusOr<ListenSocket> Listen(const addrinfo& info,
                                    const std::string& where) {
  const int fd = OpenSocket(info.ai_family, info.ai_socktype, info.ai_protocol);
  if (fd < 0) return SystemError(where, errno);
  ListenSocket made(fd, "");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (info.ai_family == AF_INET6) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  }
  if (bind(fd, info.ai_addr, info.ai_addrlen) != 0 ||
      listen(fd, kBacklog) != 0) {
    return ListenError(where, errno);
  }
  return made;
}

// Whether a server answers at the socket's file.
bool IsAlive(const sockaddr_un& address) {
  const int fd = OpenSocket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return true;
  const bool alive = connect(fd, reinterpret_cast<const sockaddr*>(&address),
                             sizeof(address)) == 0 ||
                     errno != ECONNREFUSED;
  CloseSocket(fd);
  return alive;
}

}  // namespace

ListenSocket::~ListenSocket() {
  if (fd_ >= 0) CloseSocket(fd_);
  if (!path_.empty()) unlink(path_.c_str());
}

ListenSocket::ListenSocket(ListenSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::exchange(other.path_, std::string())) {}

int ListenSocket::ReleaseFd() { return std::exchange(fd_, -1); }

absl::StatusOr<TcpSockets> ListenOnHost(const std::string& host,
                                        uint16_t port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
      error != 0) {
    return WithCure(absl::InvalidArgumentError(absl::StrCat(
                        "--host ", host, ": ", gai_strerror(error))),
                    "--host is an address or a name of this machine");
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found,
                                                                 freeaddrinfo);
  TcpSockets result;
  result.port = port;
  absl::Status failed;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    SetPort(info->ai_addr, result.port);
    absl::StatusOr<ListenSocket> socket =
        Listen(*info, HostAndPort(host, result.port));
    if (!socket.ok()) {
      // "localhost" may have an IPv6 address where the system has no IPv6.
      const int error = SystemErrorNumber(socket.status());
      if (error != EAFNOSUPPORT && error != EADDRNOTAVAIL) {
        return socket.status();
      }
      if (failed.ok()) failed = socket.status();
      continue;
    }
    result.is_local = result.is_local && IsLoopback(info->ai_addr);
    result.sockets.push_back(*std::move(socket));
    // The other addresses get the same port.
    if (result.port == 0) result.port = PortOf(result.sockets[0].fd());
  }
  if (result.sockets.empty()) return failed;
  return result;
}

absl::StatusOr<ListenSocket> ListenOnFile(const std::string& path) {
#ifdef _WIN32
  return UsageError("--unix-socket: not on Windows");
#endif
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return UsageError(absl::StrCat(
        "--unix-socket: the path has ", path.size(), " bytes, at most ",
        sizeof(address.sun_path) - 1, " are possible"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  struct stat file = {};
  if (lstat(path.c_str(), &file) == 0) {
    if (!S_ISSOCK(file.st_mode)) {
      return WithCure(
          absl::AlreadyExistsError(absl::StrCat(path, ": not a socket")),
          "--unix-socket makes a new file");
    }
    if (IsAlive(address)) {
      return WithCure(SystemError(path, EADDRINUSE),
                      "another server listens there");
    }
    unlink(path.c_str());
  }
  const int fd = OpenSocket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return SystemError(path, errno);
  ListenSocket made(fd, "");
  const mode_t old = umask(0177);
  const int result =
      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  umask(old);
  if (result != 0) return SystemError(path, error);
  ListenSocket bound(made.ReleaseFd(), path);
  if (listen(fd, kBacklog) != 0) return SystemError(path, errno);
  return bound;
}

Peer PeerOf(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    return {text, text};
  }
  if (address->sa_family == AF_INET6) {
    in6_addr v6 = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
    inet_ntop(AF_INET6, &v6, text, sizeof(text));
    Peer peer = {text, ""};
    std::memset(v6.s6_addr + 8, 0, 8);  // a client owns a /64 network
    inet_ntop(AF_INET6, &v6, text, sizeof(text));
    peer.counted = text;
    return peer;
  }
  return {"unix", "unix"};
}

std::string HostAndPort(const std::string& host, uint16_t port) {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port)
                                      : absl::StrCat(host, ":", port);
}

}  // namespace gemma::tools

// Sockets that a server listens on. Knows only the system's calls.

#ifndef GEMMA_TOOLS_GEMMA_SERVE_LISTEN_SOCKET_H_
#define GEMMA_TOOLS_GEMMA_SERVE_LISTEN_SOCKET_H_

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "src/base/internal.h"

namespace gemma::tools {

// A listening socket. Closes it, and deletes the file of a Unix socket.
class ListenSocket {
 public:
  ListenSocket(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~ListenSocket();
  ListenSocket(ListenSocket&& other) noexcept;
  ListenSocket& operator=(ListenSocket&&) = delete;

  int fd() const { return fd_; }
  // Gives the descriptor away, but not the file.
  int ReleaseFd();

 private:
  int fd_;
  std::string path_;  // "": not a Unix socket
};

// The sockets of a host name, which may have several addresses.
struct TcpSockets {
  std::vector<ListenSocket> sockets;
  uint16_t port = 0;
  bool is_local = true;  // only this machine reaches all of them
};

// Listens on all addresses of the host. A port of 0 becomes a free one.
absl::StatusOr<TcpSockets> ListenOnHost(const std::string& host, uint16_t port);

// Listens on a Unix socket that only this user may use. Replaces the file of a
// server that has ended.
absl::StatusOr<ListenSocket> ListenOnFile(const std::string& path);

// Who is at the other end of a connection.
struct Peer {
  std::string name;     // in logs: "127.0.0.1", or "unix"
  std::string counted;  // what limits count: an IPv6 network is one client
};
Peer PeerOf(const sockaddr* address);

// Returns "[::1]:80" for an IPv6 address, else "127.0.0.1:80".
std::string HostAndPort(const std::string& host, uint16_t port);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_SERVE_LISTEN_SOCKET_H_

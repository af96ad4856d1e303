#include "tools/gemma/pull/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <new>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"

namespace gemma::tools {
namespace {

// A server that gives every connection the same response. The destructor stops
// it.
class Server {
 public:
  explicit Server(std::string answer)
      : answer_(std::move(answer)), socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(socket_, any, size), 0);
    EXPECT_EQ(listen(socket_, 4), 0);
    EXPECT_EQ(getsockname(socket_, any, &size), 0);
    url_ = absl::StrCat("http://127.0.0.1:", ntohs(address.sin_port), "/");
    thread_ = std::thread([this] { Serve(); });
  }
  ~Server() {
    shutdown(socket_, SHUT_RDWR);  // ends accept()
    thread_.join();
    close(socket_);
  }

  const std::string& url() const { return url_; }

 private:
  void Serve() {
    for (;;) {
      const int connection = accept(socket_, nullptr, nullptr);
      if (connection < 0) return;
      std::string request;
      char buffer[1024];
      while (!absl::StrContains(request, "\r\n\r\n")) {
        const ssize_t got = read(connection, buffer, sizeof(buffer));
        if (got <= 0) break;
        request.append(buffer, static_cast<size_t>(got));
      }
      SendAll(connection);
      close(connection);
    }
  }

  // A client may disconnect before it has received everything.
  void SendAll(int connection) const {
    std::string_view left = answer_;
    while (!left.empty()) {
      const ssize_t sent =
          send(connection, left.data(), left.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      left.remove_prefix(static_cast<size_t>(sent));
    }
  }

  const std::string answer_;
  const int socket_;
  std::string url_;
  std::thread thread_;
};

struct TextBody : HttpBody {
  absl::Status Begin(const HttpResponse&) override { return absl::OkStatus(); }
  absl::Status Append(std::string_view bytes) override {
    text += bytes;
    return absl::OkStatus();
  }
  std::string text;
};

struct ThrowingBody : HttpBody {
  explicit ThrowingBody(bool in_begin) : throws_in_begin(in_begin) {}
  absl::Status Begin(const HttpResponse&) override {
    if (throws_in_begin) throw std::bad_alloc();
    return absl::OkStatus();
  }
  absl::Status Append(std::string_view) override { throw std::bad_alloc(); }
  const bool throws_in_begin;
};

constexpr char kAnswer[] =
    "HTTP/1.1 200 OK\r\nX-A: b \r\nContent-Length: 4\r\n"
    "Connection: close\r\n\r\ntext";

TEST(HttpClient, ReturnsHeadersAndBody) {
  const Server server(kAnswer);
  HttpClient client({});
  TextBody body;
  const auto response = client.Get(server.url(), {}, body);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->Header("x-a"), "b");
  EXPECT_EQ(body.text, "text");
}

TEST(HttpClient, LimitsHeaders) {
  std::string answer = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 20000; ++i)
    absl::StrAppend(&answer, "X-", i, ": text\r\n");
  const Server server(answer + "\r\n");
  HttpClient client({});
  TextBody body;
  EXPECT_EQ(client.Get(server.url(), {}, body).status().message(),
            "the server sends more than 262 kB of headers");
}

TEST(HttpClient, OutlivesAnException) {
  const Server server(kAnswer);
  HttpClient client({});
  for (const bool in_begin : {false, true}) {
    ThrowingBody thrower(in_begin);
    const absl::Status status = client.Get(server.url(), {}, thrower).status();
    EXPECT_EQ(status, absl::ResourceExhaustedError("out of memory"));
    TextBody body;
    const auto response = client.Get(server.url(), {}, body);
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(body.text, "text");
  }
}

TEST(CheckUrl, HostsAndPorts) {
  for (const char* url :
       {"http://h", "https://h/a?b#c", "HTTP://h:80/", "http://[::1]:8080/x",
        "http://1.2.3.4:65535", "https://a-b.c_d/%41@", "http://h:/"}) {
    EXPECT_EQ(CheckUrl(url), absl::OkStatus()) << url;
  }
  for (const char* url : {"",
                          "h",
                          "ftp://h/",
                          "http://",
                          "http://u@h/",
                          "http://u:p@h",
                          "http://h:65536",
                          "http://h:8x",
                          "http://h:+8",
                          "http://[abc/m",
                          "http://a]b[/",
                          "http://[::1]x/",
                          "http://[zz]/",
                          "http://[]/",
                          "http://[ab]/",
                          "http://[::1]:x/",
                          "http://a%2fb/",
                          "http://a%00b/",
                          "http://:80",
                          "http://h\\@g/",
                          "http://h /",
                          "http://h\n",
                          "http://\u00e4/",
                          "://h"}) {
    EXPECT_EQ(CheckUrl(url).code(), absl::StatusCode::kInvalidArgument) << url;
  }
}

TEST(CheckUrl, ErrorsHoldNoPassword) {
  const absl::Status status =
      CheckUrl("http://user:password@h/x.gguf?key=secret");
  EXPECT_TRUE(absl::StrContains(status.message(), "http://h/x.gguf"));
  EXPECT_FALSE(absl::StrContains(status.message(), "password"));
  EXPECT_FALSE(absl::StrContains(status.message(), "secret"));
}

}  // namespace
}  // namespace gemma::tools

#include "tools/gemma/serve/http_service.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/in_tap.h"
#include "tests/support/toy_models.h"
#include "tests/support/without_hanging.h"

namespace gemma::tools {
namespace {

using ::gemma::internal::ErrorOf;

// A connection to a port of this machine.
class Connected {
 public:
  explicit Connected(uint16_t port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    EXPECT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&address),
                      sizeof(address)),
              0);
  }
  ~Connected() { close(socket_); }
  Connected(const Connected&) = delete;
  Connected& operator=(const Connected&) = delete;

  void Send(std::string_view method, std::string_view path,
            std::string_view body = "") const {
    const std::string bytes =
        absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: localhost\r\n",
                     "Connection: close\r\nContent-Type: application/json\r\n",
                     "Content-Length: ", body.size(), "\r\n\r\n", body);
    EXPECT_EQ(write(socket_, bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  }
  // Returns all that comes until the server closes the connection.
  std::string Receive() const {
    std::string bytes;
    char buffer[4096];
    while (true) {
      const ssize_t size = read(socket_, buffer, sizeof(buffer));
      if (size <= 0) return bytes;
      bytes.append(buffer, static_cast<size_t>(size));
    }
  }

 private:
  const int socket_;
};

// A tap holds a pass of the model, and so all answers: what tells how the
// server does still answers.
TEST(HttpService, AnswersWhileTapsHold) {
  LoadOptions load;
  load.num_threads = 1;
  const Model model = internal::LoadOrDie(
      std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma3_mixed.gguf", load);
  absl::StatusOr<Server> server = Server::Create();
  ASSERT_EQ(ErrorOf(server->Add({"toy", model, {.max_tokens = 64}})), "OK");
  server->Open();
  absl::StatusOr<TcpSockets> listening = ListenOnHost("127.0.0.1", 0);
  ASSERT_EQ(ErrorOf(listening), "OK");
  HttpOptions options;
  options.log = LogLevel::kQuiet;
  const auto service = HttpService::Start(
      *server, options, std::move(listening->sockets), nullptr);
  ASSERT_EQ(ErrorOf(service), "OK");
  Session session = internal::NewSession(model, {.max_tokens = 16});
  std::vector<std::unique_ptr<Connected>> answers;
  internal::WithoutHanging([&] {
    internal::InTap(session, [&] {
      // More than there are threads that read prompts.
      for (int i = 0; i < 4; ++i) {
        answers.push_back(std::make_unique<Connected>(listening->port));
        answers.back()->Send("POST", "/v1/completions",
                             R"({"prompt": "the", "max_tokens": 2})");
      }
      for (const char* path : {"/health", "/metrics", "/ready"}) {
        const Connected client(listening->port);
        client.Send("GET", path);
        EXPECT_TRUE(absl::StartsWith(client.Receive(), "HTTP/1.1 200 OK\r\n"))
            << path;
      }
      const Connected client(listening->port);
      client.Send("POST", "/tokenize", R"({"prompt": "the"})");
      EXPECT_TRUE(absl::StrContains(client.Receive(), R"("count":4)"));
    });
    for (const auto& answer : answers) {
      EXPECT_TRUE(absl::StartsWith(answer->Receive(), "HTTP/1.1 200 OK\r\n"));
    }
    answers.clear();
    EXPECT_EQ((*service)->Drain(60), 0);
  });
}

}  // namespace
}  // namespace gemma::tools

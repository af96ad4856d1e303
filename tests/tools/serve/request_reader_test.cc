#include "tools/gemma/serve/request_reader.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "tools/gemma/serve/access.h"
#include "tools/gemma/serve/listen_socket.h"
#include "tools/gemma/serve/response_text.h"
#include "tools/gemma/serve/served_models.h"

namespace gemma::tools {
namespace {

using Progress = RequestReader::Progress;

constexpr std::string_view kRequest =
    "POST /v1/completions?a=b HTTP/1.1\r\nHost: localhost\r\n"
    "X-Name:  two words \r\nTransfer-Encoding: chunked\r\n\r\n"
    "3;x=y\r\nabc\r\n00a\r\n0123456789\r\n0\r\nHost: evil.example\r\n\r\n";

// What a reader made of a request that came in pieces of `size` bytes, in a
// line; or the status with which it refused it.
std::string ReadInPieces(std::string_view bytes, size_t size,
                         const HttpLimits& limits = {}) {
  RequestReader reader(limits);
  std::string input;
  bool had_head = false;
  for (size_t at = 0;;) {
    switch (reader.Read(&input)) {
      case Progress::kNeedsMore:
        if (at >= bytes.size()) return "needs more";
        input.append(bytes.substr(at, size));
        at += size;
        break;
      case Progress::kHead:
        EXPECT_FALSE(had_head);
        had_head = true;
        break;
      case Progress::kWrong:
        EXPECT_FALSE(reader.problem().message.empty());
        return std::to_string(reader.problem().status);
      case Progress::kComplete: {
        EXPECT_TRUE(had_head);
        const ReceivedRequest& request = reader.request();
        std::string text = request.method + " " + request.target;
        for (const auto& [name, value] : request.headers) {
          text += " " + name + "=" + value;
        }
        return text + " " + request.body + " +" +
               input.append(bytes.substr(std::min(at, bytes.size())));
      }
    }
  }
}

TEST(RequestReader, SplitsChangeNothing) {
  const std::string twice = std::string(kRequest) + "GET";
  for (size_t size = 1; size <= twice.size(); ++size) {
    EXPECT_EQ(ReadInPieces(twice, size),
              "POST /v1/completions?a=b host=localhost x-name=two words "
              "transfer-encoding=chunked abc0123456789 +GET")
        << size;
  }
}

TEST(RequestReader, BeginningsNeedMore) {
  for (size_t size = 0; size < kRequest.size(); ++size) {
    EXPECT_EQ(ReadInPieces(kRequest.substr(0, size), 7), "needs more") << size;
  }
}

// Sanitizers are the assertion.
TEST(RequestReader, SurvivesAnyByte) {
  for (size_t at = 0; at < kRequest.size(); ++at) {
    for (const char byte : {'\0', '\r', '\n', ' ', ':', 'f', '\x7f', '\xff'}) {
      std::string changed(kRequest);
      changed[at] = byte;
      EXPECT_EQ(ReadInPieces(changed, 5), ReadInPieces(changed, 4096))
          << at << " " << int{byte};
    }
  }
}

TEST(RequestReader, HoldsLimits) {
  HttpLimits limits;
  limits.body_bytes = 12;
  EXPECT_EQ(ReadInPieces(kRequest, 9, limits), "413");
  limits = {};
  limits.chunks = 2;
  EXPECT_EQ(ReadInPieces(kRequest, 9, limits), "413");
  limits = {};
  limits.headers = 2;
  EXPECT_EQ(ReadInPieces(kRequest, 9, limits), "431");
  limits = {};
  limits.head_bytes = 80;
  EXPECT_EQ(ReadInPieces(kRequest, 9, limits), "431");
}

TEST(Access, KnowsItsHosts) {
  AccessRules rules;
  for (const std::string_view host : {"localhost", "Localhost:1", "a.localhost",
                                      "10.0.0.1:80", "[fe80::1]:1"}) {
    EXPECT_TRUE(IsOwnHost(rules, host)) << host;
  }
  for (const std::string_view host :
       {"", ":80", "evil", "localhost:a", "localhost:1:1", "[]", "[::1", "::1",
        "[::1]a", "127.1", "0x7f.0.0.1", "a@localhost"}) {
    EXPECT_FALSE(IsOwnHost(rules, host)) << host;
  }
  rules.hosts = {"evil"};
  EXPECT_TRUE(IsOwnHost(rules, "EVIL.:8080"));
  rules.hosts = {"*"};
  EXPECT_TRUE(IsOwnHost(rules, "any thing"));
}

TEST(ListenSocket, NamesPeers) {
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  inet_pton(AF_INET6, "2001:db8::1:2:3:4", &v6.sin6_addr);
  const Peer peer = PeerOf(reinterpret_cast<sockaddr*>(&v6));
  EXPECT_EQ(peer.name, "2001:db8::1:2:3:4");
  EXPECT_EQ(peer.counted, "2001:db8::");  // the client's whole network
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  inet_pton(AF_INET, "10.0.0.7", &v4.sin_addr);
  EXPECT_EQ(PeerOf(reinterpret_cast<sockaddr*>(&v4)).counted, "10.0.0.7");
  EXPECT_EQ(HostAndPort("::1", 80), "[::1]:80");
  EXPECT_EQ(HostAndPort("localhost", 80), "localhost:80");
}

TEST(ResponseText, LeavesOutBrokenHeaders) {
  const HttpHead head = {429, {{"retry-after", "3"}, {"x", "a\r\nb: c"}}};
  const std::string text =
      HeadText(head, {{"vary", "origin"}}, {5, false, true});
  EXPECT_TRUE(text.starts_with("HTTP/1.1 429 Too Many Requests\r\ndate: "));
  EXPECT_TRUE(text.ends_with("content-length: 5\r\nconnection: close\r\n\r\n"));
  EXPECT_NE(text.find("\r\nretry-after: 3\r\nvary: origin\r\n"),
            std::string::npos);
  EXPECT_EQ(text.find("b: c"), std::string::npos);
  EXPECT_EQ(ChunkText(std::string(26, 'a')),
            "1a\r\n" + std::string(26, 'a') + "\r\n");
  EXPECT_EQ(ChunkText(""), "");
}

TEST(ServedModels, NamesFollowFiles) {
  const auto name = [](const std::string& word) {
    const absl::StatusOr<NamedModel> model = ParseNamedModel(word);
    return model.ok() ? model->name + " " + model->model : "wrong";
  };
  const std::string folder = std::string(GEMMA_TESTDATA_DIR) + "/";
  EXPECT_EQ(name("gemma-3-270m"), "gemma-3-270m gemma-3-270m");
  EXPECT_EQ(name("a=gemma-3-270m"), "a gemma-3-270m");
  EXPECT_EQ(name("a=b=c"), "a b=c");
  EXPECT_EQ(name(folder + "gguf/gemma2.gguf"),
            "gemma2 " + folder + "gguf/gemma2.gguf");
  EXPECT_EQ(name(folder + "models/gemma2/"),
            "gemma2 " + folder + "models/gemma2/");
  EXPECT_EQ(name(folder + "gguf/gemma_mha-00001-of-00003.gguf"),
            "gemma_mha " + folder + "gguf/gemma_mha-00001-of-00003.gguf");
  for (const char* word : {"=a", "a=", "a\tb=c"})
    EXPECT_EQ(name(word), "wrong");
}

}  // namespace
}  // namespace gemma::tools

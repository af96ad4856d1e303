// Sends requests to a server and waits for the responses, as a transport does.

#ifndef GEMMA_TESTS_SERVE_SERVE_CLIENT_H_
#define GEMMA_TESTS_SERVE_SERVE_CLIENT_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gemma/gemma.h"
#include "gemma/serve.h"

namespace gemma::internal {

using ServeJson = nlohmann::ordered_json;

inline constexpr char kChatPath[] = "/v1/chat/completions";
inline constexpr char kTextPath[] = "/v1/completions";

// A model with the turns of Gemma 3 and a vocabulary of 512 pieces.
Model Gemma3Toy();
// A model with the turns, thoughts and calls of Gemma 4.
Model Gemma4Toy();

// Biases by which a toy only chooses bytes of a few letters, whose text has
// other tokens, and no end.
ServeJson OnlyBytes(const Tokenizer& tokenizer);

// A server that is open and has one model, "toy".
Server ServerOf(const Model& model, const EngineOptions& options = {},
                const ServerOptions& server_options = {});

// A response that has ended.
struct Reply {
  int status = 0;
  HttpHeaders headers;
  std::string body;
  ServeJson json;                 // of the body, if it is no stream
  std::vector<ServeJson> events;  // of a stream
  bool is_done = false;           // the stream ended with [DONE]

  std::string header(std::string_view name) const;
  // The message and the field of an error, "param: message".
  std::string error() const;
};

// An exchange whose end one can wait for.
class Pending {
 public:
  Pending(Server& server, HttpRequest request);

  Exchange& exchange() { return *exchange_; }
  // Waits until `done` accepts all that has come so far.
  void Until(const std::function<bool(const Reply& so_far)>& done);
  // Waits for the end, and reads the JSON or the events of the body.
  Reply Wait();
  // Waits for the end of a response that is neither.
  Reply WaitForText();

 private:
  struct Bell {
    std::mutex mutex;
    std::condition_variable rung;
    bool rings = false;
  };
  // Takes what has come. Returns whether the response has ended.
  bool Take();

  std::shared_ptr<Bell> bell_ = std::make_shared<Bell>();
  std::unique_ptr<Exchange> exchange_;
  Reply reply_;
  bool ended_ = false;
};

HttpRequest GetRequest(std::string_view path);
HttpRequest PostRequest(std::string_view path, std::string body);
Reply Get(Server& server, std::string_view path);
Reply Post(Server& server, std::string_view path, const ServeJson& body);

// The answer of the library to a prompt with these options.
Completion AnswerOf(const Model& model, std::vector<TokenId> prompt,
                    GenerateOptions options);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SERVE_SERVE_CLIENT_H_

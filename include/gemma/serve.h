// A server of OpenAI's API, without sockets: requests in, responses out.

#ifndef GEMMA_SERVE_H_
#define GEMMA_SERVE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/engine.h"
#include "gemma/export.h"
#include "gemma/model.h"
#include "gemma/sparse_autoencoder.h"

namespace gemma {

// Names and values of headers, in order.
using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// A request of HTTP, as a transport received it. It is not trusted.
struct HttpRequest {
  std::string method = {};  // "GET", "POST", ...
  // Path and query. Only `model` is read of a query, by /tokenizer_info.
  std::string target = {};
  HttpHeaders headers = {};  // names in any case; see Server::Handle
  std::string body = {};     // all of it
  // Whom the request counts against: an API key or an address. Clients take
  // turns; see EngineOptions::max_queued_per_client.
  std::string client = {};
};

// The beginning of a response.
struct HttpHead {
  int status = 0;          // for example 200
  HttpHeaders headers;     // names in lower case, without content-length
  bool is_stream = false;  // the body comes in pieces, as server-sent events
};

// A request and its response. Movable. Any thread may call its functions, and
// none of them waits for the engine. The destructor cancels the request; after
// it, `on_ready` is not called any more.
class GEMMA_EXPORT Exchange {
 public:
  ~Exchange();
  Exchange(Exchange&&) noexcept;
  // Destroys the current exchange, then moves `other` into it.
  Exchange& operator=(Exchange&& other) noexcept;

  // What has come of the response since the last call.
  struct Output {
    bool has_head = false;  // `head` is set: once, in the first output
    HttpHead head;          // the beginning of the response
    std::string body;       // the next bytes of the body
    bool ended = false;     // the response is complete
  };
  // Returns what has come, perhaps nothing.
  Output Take();

  // Ends the request, because nobody will read the response: within one pass of
  // the model, in the queue, in the prompt and in the answer.
  void Cancel();

  // Adds a comment to a stream that has begun and has not ended, so that the
  // connection is in use. Clients ignore comments. Else does nothing.
  void Ping();

  // Internal; see src/serve/exchange_state.h.
  class State;
  // Internal.
  explicit Exchange(std::shared_ptr<State> state);

 private:
  std::shared_ptr<State> state_;
};

// Limits of a server.
struct ServerOptions {
  // The most bytes of a body. A larger one is refused with status 413.
  size_t max_body_bytes = size_t{8} << 20;
  // The most bytes of the bodies of requests that wait or run, for each model.
  size_t max_waiting_bytes = size_t{256} << 20;
  // The most bytes of memory for all models together: what a MemoryBudget
  // counts, and weights that are not in a mapped file, scratch memory of
  // passes, sessions of classifiers, autoencoders and the most tokens of chats
  // that may be remembered; 0: no limit.
  uint64_t max_memory_bytes = 0;
  // The most bytes of a stream that wait for Exchange::Take. A reader that is
  // slower loses its own request: the stream ends with an error.
  size_t max_stream_bytes = size_t{4} << 20;
  // The most bytes of texts and log-probabilities of a response that is no
  // stream. A larger one ends with status 400 and code "response_too_large".
  size_t max_response_bytes = size_t{64} << 20;
  // The most choices of a request: its prompts, times `n`.
  size_t max_choices = 128;
  // The seconds that a request may take, its time in the queue included,
  // unless it asks for less with `timeout`; 0: no limit. The answer then ends
  // with the finish_reason "length".
  double max_seconds = 0;
};

// An autoencoder that a server offers with a model.
struct ServedAutoencoder {
  std::string name;               // in requests and in /v1/models
  SparseAutoencoder autoencoder;  // one that fits the model
};

// A model that a server offers.
struct ServedModel {
  std::string name;  // in requests and in /v1/models
  Model model;       // one that continues texts, or one that embeds them
  // Those of the engine, except that a 64th of its reuse_bytes, at most 16 MiB,
  // is for the tokens of chats: prompts that go on have the tokens of their
  // answers. With a budget, the engine counts against this one and not in
  // gemma:memory_bytes, and ServerOptions::max_memory_bytes must be 0.
  EngineOptions options = {};
  // The model is a ShieldGemma: it also answers /v1/moderations.
  bool moderates = false;
  // They show features of texts (/v1/features) and steer answers (`steer`).
  std::vector<ServedAutoencoder> autoencoders = {};
};

// Answers requests with one engine for each model. Has no threads of its own
// besides those of the engines and one for each model that writes the
// responses of embeddings, moderations and scores. Opens no file and no
// connection, and never runs the text of a request as a template or a command.
// Any thread may call its functions.
//
//   GET  /health               200 while the process lives
//   GET  /ready                200 after Open and before Drain, else 503
//   GET  /metrics              counts and times, for Prometheus
//   GET  /v1/models            the models; /v1/models/NAME is one of them
//   GET  /tokenizer_info       the tokens that begin and end texts, of ?model=
//   POST /tokenize             a text, or the messages of a chat, as tokens
//   POST /detokenize           tokens as text
//   POST /v1/completions       continues texts, or fills gaps (suffix)
//   POST /v1/chat/completions  answers chats
//   POST /v1/score             the probabilities that given texts follow
//   POST /v1/features          the features of a text's tokens
//   POST /infill               fills a gap, as editors ask for it
//   POST /v1/embeddings        texts as vectors
//   POST /v1/moderations       whether texts violate policies
//
// Requests and responses have the fields of OpenAI's API, and more;
// src/serve/README.md lists them. A field that would change the answer and is
// not done is refused with status 400, whose error names it; so is a field that
// the server does not know. Texts never become control tokens. Errors have the
// form
//   {"error": {"message", "type", "param", "code"}}
class GEMMA_EXPORT Server {
 public:
  // Fails only if memory runs out.
  static absl::StatusOr<Server> Create(ServerOptions options = {});

  // Cancels all requests and waits until they have ended.
  ~Server();
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;

  // Adds a model. Fails as the Create of Engine, Embedder or Classifier does,
  // with AlreadyExists if another model has this name, and with InvalidArgument
  // if an autoencoder does not fit the model, two have one name, or the model
  // has a budget beside max_memory_bytes;
  // ResourceExhausted if ServerOptions::max_memory_bytes has no room for it and
  // for a request of each model.
  absl::Status Add(ServedModel model);

  // All models are there: from now on the server is ready. Before that, it
  // answers requests of models with status 503.
  void Open();

  // From now on, refuses new requests of models with status 503. Those that
  // run go on.
  void Drain();

  // Begins a request. Reads its body and prompt on the calling thread, which
  // takes time in proportion to its size, and never waits for a pass.
  // `on_ready`, which may be empty, is called whenever Exchange::Take has
  // something to return, from any thread, also before Handle returns. All
  // requests may wait for it, so it must only wake the thread that calls Take.
  // It must call no function of the exchange.
  //
  // These headers count: Content-Type, which must be application/json for a
  // request with a body, so that no web page can send one unasked; and
  // X-Request-Id, which the response repeats. Without this header, the server
  // makes an id.
  //
  // ResourceExhausted if memory runs out. All other errors are responses.
  absl::StatusOr<Exchange> Handle(HttpRequest request,
                                  std::function<void()> on_ready = {});

 private:
  class Impl;
  explicit Server(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_SERVE_H_

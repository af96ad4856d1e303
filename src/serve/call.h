// A request of HTTP on its way to a response.

#ifndef GEMMA_SRC_SERVE_CALL_H_
#define GEMMA_SRC_SERVE_CALL_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/serve/exchange_state.h"
#include "src/serve/request/fields.h"
#include "src/serve/served.h"

namespace gemma::internal {

struct Call {
  const HttpRequest& request;
  const ServerOptions& options;
  std::shared_ptr<Exchange::State> out;
  std::string id;       // of the exchange: letters, digits, punctuation
  uint64_t random = 0;  // a number that no other call has
  std::chrono::steady_clock::time_point begin;
  std::optional<Json> body;  // of a POST

  // Writes a whole response.
  void Respond(std::string json) const {
    out->Respond(200, "application/json", std::move(json));
  }
};

// The routes of a model that continues texts. Each begins the response, or
// returns the error that it is to be. `fields` are those of the body, whose
// "model" was read.
absl::Status Chat(const std::shared_ptr<Served>& served, Call& call,
                  Fields& fields);
absl::Status Complete(const std::shared_ptr<Served>& served, Call& call,
                      Fields& fields);

absl::Status Infill(const std::shared_ptr<Served>& served, Call& call,
                    Fields& fields);
absl::Status ScoreChoices(const std::shared_ptr<Served>& served, Call& call,
                          Fields& fields);
absl::Status ShowFeatures(const std::shared_ptr<Served>& served, Call& call,
                          Fields& fields);

// The routes of an embedder, and of a ShieldGemma.
absl::Status Embed(const std::shared_ptr<Served>& served, Call& call,
                   Fields& fields);
absl::Status Moderate(const std::shared_ptr<Served>& served, Call& call,
                      Fields& fields);

// The routes of any model.
absl::Status Tokenize(const std::shared_ptr<Served>& served, Call& call,
                      Fields& fields);
absl::Status Detokenize(const std::shared_ptr<Served>& served, Call& call,
                        Fields& fields);
// Writes what clients need to know about the vocabulary.
std::string TokenizerInfo(const Served& served);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_CALL_H_

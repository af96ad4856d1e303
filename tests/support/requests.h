// Requests and answers, for tests that compute the same answer in several ways.

#ifndef GEMMA_TESTS_SUPPORT_REQUESTS_H_
#define GEMMA_TESTS_SUPPORT_REQUESTS_H_

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "gemma/gemma.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {

// Loads a toy of AllToys, or a bfloat16 one, with a vocabulary of 512 pieces.
// The model has embeddings for about half of them.
Model LoadSpeakingToy(const Toy& toy, size_t num_threads, size_t chunk);
Model LoadSpeakingToy(const Toy& toy, LoadOptions options);
std::vector<Toy> AllSpeakingToys();

// Options to load a toy for each arithmetic that a CPU may use. The bits of the
// results of bfloat16 weights depend on the number of rows in a pass with AMX
// and AVX-512 BF16; deterministic options prevent this.
struct ToyArithmetic {
  std::string name;  // for test names
  LoadOptions options;

  friend void PrintTo(const ToyArithmetic& of, std::ostream* out) {
    *out << of.name;
  }
};
std::vector<ToyArithmetic> AllArithmetics();

// Returns `size` tokens. The first token is always the same; prompts with
// different seeds differ in all others.
std::vector<TokenId> MakePrompt(size_t size, uint64_t seed);
std::vector<TokenId> Concat(std::vector<TokenId> a,
                            const std::vector<TokenId>& b);

// Returns a request for a greedy answer of `max_new_tokens` tokens. Stop tokens
// do not end it.
Request Ask(std::vector<TokenId> prompt, size_t max_new_tokens = 4);

// The parts of an answer that do not depend on how it is computed.
struct Outcome {
  std::string error;
  std::string text;
  std::vector<TokenId> tokens;
  StopReason stop_reason = StopReason::kStopToken;
  // Values that on_token receives: token, log-probability, alternatives.
  std::vector<std::tuple<TokenId, double, std::vector<TokenId>>> scored;

  bool operator==(const Outcome&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Outcome& outcome);

// Returns the answer of Generate in a new session.
Outcome Alone(const Model& model, const Request& request,
              const EngineOptions& options);

// Collect stores the engine's answer in `outcome`. Scored makes on_token add
// its values to `outcome`, which must outlive the request.
Request Scored(Request request, Outcome* outcome);
void Collect(const Ticket& ticket, Outcome* outcome);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_REQUESTS_H_

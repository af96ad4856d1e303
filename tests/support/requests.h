// Requests and their answers, for tests that compare ways to compute them.

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

namespace gemma {

// A toy of AllToys, or one in bfloat16, with a vocabulary of 512 pieces, of
// which it knows about half.
Model LoadSpeakingToy(const Toy& toy, size_t num_threads, size_t chunk);
Model LoadSpeakingToy(const Toy& toy, LoadOptions options);
std::vector<Toy> AllSpeakingToys();

// How to load a toy so that it is computed in each arithmetic that a CPU may
// have. The number of rows of a pass matters with AMX, and for bfloat16 with
// AVX-512 BF16, but where options are deterministic.
struct ToyArithmetic {
  std::string name;  // of the test
  LoadOptions options;

  friend void PrintTo(const ToyArithmetic& of, std::ostream* out) {
    *out << of.name;
  }
};
std::vector<ToyArithmetic> AllArithmetics();

// `size` tokens; those of another seed differ from the second on.
std::vector<TokenId> MakePrompt(size_t size, uint64_t seed);
std::vector<TokenId> Concat(std::vector<TokenId> a,
                            const std::vector<TokenId>& b);

// For a greedy answer that does not end before it has so many tokens.
Request Ask(std::vector<TokenId> prompt, size_t max_new_tokens = 4);

// All that must not depend on who computes it.
struct Outcome {
  std::string error;
  std::string text;
  std::vector<TokenId> tokens;
  StopReason stop_reason = StopReason::kStopToken;
  // Of on_token: token, log-probability, alternatives.
  std::vector<std::tuple<TokenId, double, std::vector<TokenId>>> scored;

  bool operator==(const Outcome&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Outcome& outcome);

// As Generate answers in a new session.
Outcome Alone(const Model& model, const Request& request,
              const EngineOptions& options);

// As the engine answers. Scored adds to `outcome` what on_token receives; it
// must outlive the request.
Request Scored(Request request, Outcome* outcome);
void Collect(const Ticket& ticket, Outcome* outcome);

}  // namespace gemma

#endif  // GEMMA_TESTS_SUPPORT_REQUESTS_H_

// The time of a grammar per token, without the model: finding the allowed
// tokens, testing some, and choosing one. $GEMMA_TEST_MODEL names the model
// whose vocabulary is used.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "gemma/gemma.h"
#include "src/grammar/allowed_tokens.h"
#include "src/grammar/grammar_impl.h"
#include "src/text/tokenizer/tokenizer_impl.h"

namespace gemma::internal {
namespace {

constexpr const char* kSchema =
    R"({"type":"object","properties":{"name":{"type":"string",)"
    R"("maxLength":200},"kind":{"enum":["city","town","village"]},)"
    R"("population":{"type":"integer","minimum":0,"maximum":50000000},)"
    R"("founded":{"type":"string","format":"date"},"tags":{"type":"array",)"
    R"("items":{"type":"string"},"maxItems":5}},)"
    R"("required":["name","kind","population","founded","tags"]})";
constexpr const char* kAnswer =
    R"({"name": "Saint-Denis on the river, which is not the one by Paris",)"
    R"( "kind": "village", "population": 1234, "founded": "1902-03-04",)"
    R"( "tags": ["small", "quiet and far from everything"]})";

const Tokenizer* LoadedTokenizer(benchmark::State& state) {
  static const auto* tokenizer = [] {
    const char* path = std::getenv("GEMMA_TEST_MODEL");
    return new absl::StatusOr<Tokenizer>(
        Tokenizer::Load(path == nullptr ? "" : path));
  }();
  if (tokenizer->ok()) return &**tokenizer;
  state.SkipWithError("GEMMA_TEST_MODEL names no model");
  return nullptr;
}

void BM_Schema(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(Grammar::FromJsonSchema(kSchema));
  }
}
BENCHMARK(BM_Schema)->Unit(benchmark::kMicrosecond);

void BM_TokenTrie(benchmark::State& state) {
  const Tokenizer* tokenizer = LoadedTokenizer(state);
  if (tokenizer == nullptr) return;
  std::vector<Vocabulary::Piece> pieces;
  for (size_t i = 0; i < tokenizer->vocab_size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    pieces.push_back({std::string(tokenizer->impl().piece(token)), 0,
                      tokenizer->impl().type(token)});
  }
  for (auto _ : state) benchmark::DoNotOptimize(TokenTrie(pieces));
}
BENCHMARK(BM_TokenTrie)->Unit(benchmark::kMillisecond);

// Produces an answer of kAnswer's tokens. `candidates` is the number of other
// tokens tested at each; 0: asks for all allowed tokens.
void BM_Answer(benchmark::State& state) {
  const Tokenizer* tokenizer = LoadedTokenizer(state);
  if (tokenizer == nullptr) return;
  const auto grammar = Grammar::FromJsonSchema(kSchema);
  const auto tokens = tokenizer->Encode(kAnswer);
  if (!grammar.ok() || !tokens.ok())
    return state.SkipWithError("the grammar or the answer is invalid");
  const auto candidates = static_cast<TokenId>(state.range(0));
  for (auto _ : state) {
    AllowedTokens allowed(grammar->impl().bytes, tokenizer->impl().trie(), {});
    for (const TokenId token : *tokens) {
      if (!allowed.Contains(token))
        return state.SkipWithError("the grammar does not allow the answer");
      if (candidates == 0) {
        benchmark::DoNotOptimize(allowed.All());
      } else if (allowed.Few() == nullptr) {
        for (TokenId other = 1000; other < 1000 + candidates; ++other) {
          benchmark::DoNotOptimize(allowed.Contains(other));
        }
      }
      allowed.Accept(token);
    }
  }
  state.counters["per_token"] =
      benchmark::Counter(static_cast<double>(tokens->size()),
                         benchmark::Counter::kIsIterationInvariantRate |
                             benchmark::Counter::kInvert);
}
BENCHMARK(BM_Answer)
    ->ArgName("candidates")
    ->Arg(8)
    ->Arg(80)
    ->Arg(0)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace gemma::internal

BENCHMARK_MAIN();

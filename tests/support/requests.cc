#include "tests/support/requests.h"

#include <cmath>
#include <limits>
#include <ostream>
#include <string_view>
#include <utility>

#include "src/session/model_impl.h"

namespace gemma::internal {

Model LoadSpeakingToy(const Toy& toy, size_t num_threads, size_t chunk) {
  LoadOptions options;
  options.num_threads = num_threads;
  options.prefill_chunk = chunk;
  return LoadSpeakingToy(toy, std::move(options));
}

Model LoadSpeakingToy(const Toy& toy, LoadOptions options) {
  options.recurrent_window = toy.window;
  Model model = LoadOrDie(ToyPath(toy.folder), options);
  model.impl().tokenizer = Tokenizer::Load(std::string(GEMMA_TESTDATA_DIR) +
                                           "/gguf/gemma3_mixed.gguf");
  model.impl().chat_template = ChatTemplate::Create(**model.tokenizer());
  return model;
}

std::vector<Toy> AllSpeakingToys() {
  std::vector<Toy> toys = AllToys();
  toys.push_back({"gemma2_bf16", "gemma2_bf16"});
  toys.push_back({"gemma3_bf16", "gemma3_bf16"});
  return toys;
}

std::vector<ToyArithmetic> AllArithmetics() {
  std::vector<ToyArithmetic> all;
  for (const bool deterministic : {false, true}) {
    const std::string suffix = deterministic ? "_deterministic" : "";
    LoadOptions options;
    options.num_threads = 1;
    options.deterministic = deterministic;
    options.activations = Activations::kFloat32;
    all.push_back({"float32" + suffix, options});
    options.activations = Activations::kRounded;
    options.quantize = WeightType::kQ8;
    all.push_back({"int8" + suffix, options});
    options.quantize = WeightType::kBF16;
    all.push_back({"bfloat16" + suffix, options});
  }
  return all;
}

std::vector<TokenId> MakePrompt(size_t size, uint64_t seed) {
  std::vector<TokenId> tokens = {2};
  for (uint64_t i = 1; i < size; ++i) {
    tokens.push_back(
        static_cast<TokenId>(5 + (37 * i * i + 11 * i + 7 * seed) % 250));
  }
  return tokens;
}

std::vector<TokenId> Concat(std::vector<TokenId> a,
                            const std::vector<TokenId>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Request Ask(std::vector<TokenId> prompt, size_t max_new_tokens) {
  Request request;
  request.prompt = std::move(prompt);
  request.options.max_new_tokens = max_new_tokens;
  request.options.sampling.temperature = 0.0f;
  request.options.sampling.logit_bias = {{1, -INFINITY}, {6, -INFINITY}};
  return request;
}

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  out << outcome.error << " '" << outcome.text << "', stop reason "
      << static_cast<int>(outcome.stop_reason) << ", tokens";
  for (const TokenId token : outcome.tokens) out << " " << token;
  for (const auto& [token, log_probability, others] : outcome.scored) {
    out << "\n  " << token << ": " << log_probability;
  }
  return out;
}

Request Scored(Request request, Outcome* outcome) {
  if (request.options.on_token) {
    request.options.on_token = [outcome](const ScoredToken& token) {
      std::vector<TokenId> others;
      for (const TokenProbability& other : token.alternatives) {
        others.push_back(other.token);
      }
      // A missing value becomes a number, because NaN does not equal itself.
      outcome->scored.emplace_back(
          token.token,
          token.log_probability.value_or(std::numeric_limits<double>::max()),
          std::move(others));
    };
  }
  return request;
}

Outcome Alone(const Model& model, const Request& request,
              const EngineOptions& options) {
  Outcome outcome;
  const Request scored = Scored(request, &outcome);
  Session session = NewSession(model, {.max_tokens = options.max_tokens,
                                       .cache_format = options.cache_format});
  session.SetTap(scored.tap);
  const Words prompt =
      scored.words.empty() ? Words(scored.prompt) : scored.words;
  const auto stats =
      Generate(session, prompt, scored.options, [&](std::string_view text) {
        outcome.text += text;
        return !scored.on_text || scored.on_text(text);
      });
  outcome.error = std::string(stats.status().message());
  if (!stats.ok()) return outcome;
  const auto answer = session.tokens().last(stats->new_tokens);
  outcome.tokens.assign(answer.begin(), answer.end());
  outcome.stop_reason = stats->stop_reason;
  return outcome;
}

void Collect(const Ticket& ticket, Outcome* outcome) {
  const absl::StatusOr<Completion>& completion = ticket.Wait();
  outcome->error = std::string(completion.status().message());
  if (!completion.ok()) return;
  outcome->text = completion->text;
  outcome->tokens = completion->tokens;
  outcome->stop_reason = completion->stats.stop_reason;
}

}  // namespace gemma::internal

#include "src/serve/served.h"

#include <utility>

#include "gemma/session.h"
#include "src/base/status_macros.h"

namespace gemma::internal {

namespace {

// Limits of the admission: a job thread does one request at a time.
EngineOptions LimitsOf(const ServedModel& from) {
  EngineOptions limits = from.options;
  const bool has_engine =
      from.model.config().pooling == Pooling::kNone && !from.moderates;
  if (!has_engine) limits.max_sequences = 1;
  return limits;
}

}  // namespace

Served::Served(ServedModel from, const Tokenizer& its_tokenizer,
               const ServerOptions& options)
    : name(std::move(from.name)),
      model(from.model),
      engine_options(from.options),
      tokenizer(its_tokenizer),
      turns(model.chat_template()),
      weights_bytes(model.MemoryFor(SessionOptions()).weights),
      admission(LimitsOf(from), options.max_waiting_bytes) {}

absl::StatusOr<std::shared_ptr<Served>> Served::Create(
    ServedModel from, const ServerOptions& options) {
  const bool moderates = from.moderates;
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, from.model.tokenizer());
  auto served = std::make_shared<Served>(std::move(from), *tokenizer, options);
  if (moderates) {
    ClassifierOptions classifier;
    classifier.max_tokens = served->engine_options.max_tokens;
    classifier.cache_format = served->engine_options.cache_format;
    classifier.progress = [served = served.get()](size_t, size_t) {
      return served->goes_on();
    };
    GEMMA_ASSIGN_OR_RETURN(
        served->classifier,
        Classifier::Create(served->model, std::move(classifier)));
    served->jobs.emplace();
    return served;
  }
  if (served->model.config().pooling != Pooling::kNone) {
    GEMMA_ASSIGN_OR_RETURN(served->embedder, Embedder::Create(served->model));
    served->jobs.emplace();
    return served;
  }
  // The engine's queue also holds requests that are about to run, and the
  // admission has counted those that wait.
  EngineOptions engine = served->engine_options;
  engine.max_queued += engine.max_sequences;
  engine.max_queued_per_client += engine.max_sequences;
  GEMMA_ASSIGN_OR_RETURN(served->engine, Engine::Create(served->model, engine));
  return served;
}

size_t Served::context() const {
  return embedder.has_value() ? embedder->max_tokens()
                              : engine_options.max_tokens;
}

void Served::Stop() {
  engine.reset();
  jobs.reset();
}

}  // namespace gemma::internal

#include "src/serve/served.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gemma/feature_tap.h"
#include "gemma/session.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

absl::Status CheckAutoencoders(const ServedModel& served) {
  const std::vector<ServedAutoencoder>& all = served.autoencoders;
  for (auto one = all.begin(); one != all.end(); ++one) {
    absl::Status status = CheckFits(served.model, one->autoencoder);
    if (served.model.config().pooling != Pooling::kNone) {
      status = absl::InvalidArgumentError(
          "the model embeds texts, wanted one that continues them");
    }
    for (auto other = all.begin(); other != one; ++other) {
      if (other->name != one->name) continue;
      status = absl::InvalidArgumentError("two autoencoders have this name");
    }
    if (status.ok()) continue;
    return absl::Status(
        status.code(), absl::StrCat("the autoencoder ", Quoted(one->name), ": ",
                                    status.message()));
  }
  return absl::OkStatus();
}

// The most bytes of remembered tokens: those of some hundreds of long chats,
// and little beside the caches of their tokens.
uint64_t MemoryBytes(const EngineOptions& options) {
  constexpr uint64_t kMost = uint64_t{16} << 20;
  return std::min(kMost, options.reuse_bytes / 64);
}

}  // namespace

absl::Status ReservedBytes::Reserve(MemoryBudget budget, uint64_t bytes) {
  GEMMA_RETURN_IF_ERROR(budget.Reserve(bytes));
  budget_ = std::move(budget);
  bytes_ = bytes;
  return absl::OkStatus();
}

Served::Served(ServedModel from, const Tokenizer& its_tokenizer,
               const ServerOptions& options)
    : name(std::move(from.name)),
      model(from.model),
      engine_options(from.options),
      autoencoders(std::move(from.autoencoders)),
      tokenizer(its_tokenizer),
      turns(model.chat_template()),
      weights_bytes(model.MemoryFor(SessionOptions()).weights),
      admission(from.options, options.max_waiting_bytes),
      memory(its_tokenizer, MemoryBytes(from.options)) {}

absl::StatusOr<std::shared_ptr<Served>> Served::Create(
    ServedModel from, const ServerOptions& options, MemoryBudget budget) {
  if (from.options.budget.has_value() && options.max_memory_bytes != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the model '", from.name, "' has a budget, but max_memory_bytes is ",
        options.max_memory_bytes, ", wanted 0"));
  }
  const bool moderates = from.moderates;
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, from.model.tokenizer());
  GEMMA_RETURN_IF_ERROR(CheckAutoencoders(from));
  auto served = std::make_shared<Served>(std::move(from), *tokenizer, options);
  if (served->model.config().pooling != Pooling::kNone) {
    GEMMA_ASSIGN_OR_RETURN(served->embedder, Embedder::Create(served->model));
    // As the engine does, read at most as many tokens as it may.
    const size_t most = served->engine_options.max_tokens;
    if (most < served->embedder->max_tokens()) {
      GEMMA_ASSIGN_OR_RETURN(served->embedder,
                             Embedder::Create(served->model, {most}));
    }
  }
  if (moderates) {
    ClassifierOptions classifier;
    classifier.max_tokens = served->engine_options.max_tokens;
    classifier.cache_format = served->engine_options.cache_format;
    GEMMA_ASSIGN_OR_RETURN(
        served->classifier,
        Classifier::Create(served->model, std::move(classifier)));
  }
  GEMMA_RETURN_IF_ERROR(served->Reserve(budget));
  // The engine's queue also holds requests that are about to run, and the
  // admission has counted those that wait.
  EngineOptions engine = served->engine_options;
  engine.reuse_bytes -= MemoryBytes(engine);
  if (!engine.budget.has_value()) engine.budget = std::move(budget);
  engine.max_queued += engine.max_sequences;
  engine.max_queued_per_client += engine.max_sequences;
  if (moderates) {
    // The admission counts texts, and each is a question for each policy.
    engine.max_queued *= ShieldPolicies().size();
    engine.max_queued_per_client *= ShieldPolicies().size();
  }
  GEMMA_ASSIGN_OR_RETURN(served->engine, Engine::Create(served->model, engine));
  return served;
}

absl::Status Served::Reserve(const MemoryBudget& budget) {
  if (embedder.has_value()) {
    const MemoryUse use = Embedder::MemoryFor(model, {embedder->max_tokens()});
    scratch_bytes = use.cache + use.scratch;
  } else {
    scratch_bytes = model.MemoryFor(SessionOptions()).scratch;
  }
  if (classifier.has_value()) {
    // The most that its session may have.
    SessionOptions session;
    session.max_tokens = engine_options.max_tokens;
    session.cache_format = engine_options.cache_format;
    scratch_bytes += model.MemoryFor(session).cache;
  }
  for (const ServedAutoencoder& one : autoencoders) {
    autoencoder_bytes += one.autoencoder.memory_bytes();
  }
  const MemoryUse weights = model.MemoryFor(SessionOptions());
  const absl::Status status = reserved.Reserve(
      budget, weights.weights - weights.mapped + scratch_bytes +
                  autoencoder_bytes + MemoryBytes(engine_options));
  if (status.ok()) return status;
  return absl::Status(
      status.code(),
      absl::StrCat("the model '", name, "' does not fit: ", status.message()));
}

size_t Served::context() const {
  return embedder.has_value() ? embedder->max_tokens()
                              : engine_options.max_tokens;
}

bool Served::thinks() const {
  const Message message = {.role = Role::kUser, .text = "a"};
  return turns.ok() && turns->Render({message}, {.thinking = true}).ok();
}

void Served::Stop() {
  engine.reset();
  background.Stop();
}

}  // namespace gemma::internal

// A model that a server offers, with what computes for it.

#ifndef GEMMA_SRC_SERVE_SERVED_H_
#define GEMMA_SRC_SERVE_SERVED_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/chat_template.h"
#include "gemma/classifier.h"
#include "gemma/embedder.h"
#include "gemma/engine.h"
#include "gemma/memory_budget.h"
#include "gemma/serve.h"
#include "gemma/tokenizer.h"
#include "src/base/internal.h"
#include "src/serve/admission.h"
#include "src/serve/background.h"
#include "src/serve/routes/metrics.h"
#include "src/serve/token_memory.h"

namespace gemma::internal {

// Bytes that are reserved in a budget until the holder ends.
class ReservedBytes {
 public:
  ReservedBytes() = default;
  ~ReservedBytes() {
    if (budget_.has_value()) budget_->Release(bytes_);
  }
  ReservedBytes(const ReservedBytes&) = delete;
  ReservedBytes& operator=(const ReservedBytes&) = delete;

  // Call this once. An error if they do not fit.
  absl::Status Reserve(MemoryBudget budget, uint64_t bytes);

 private:
  std::optional<MemoryBudget> budget_;
  uint64_t bytes_ = 0;
};

// Requests share it, so that they may outlive the server.
struct Served {
  // Fails as the Create of Engine, Embedder or Classifier does. Holds memory of
  // the budget until it ends.
  static absl::StatusOr<std::shared_ptr<Served>> Create(
      ServedModel from, const ServerOptions& options, MemoryBudget budget);

  Served(ServedModel from, const Tokenizer& tokenizer,
         const ServerOptions& options);

  // The most tokens of a sequence, or of a text.
  size_t context() const;
  // How the model calls tools.
  ToolDialect tool_dialect() const {
    const bool chats = turns.ok() && !embedder.has_value();
    return chats ? turns->tool_dialect() : ToolDialect::kNone;
  }
  // Whether the model thinks before an answer in a chat if it is told to.
  bool thinks() const;
  // Counts what the engine does not.
  absl::Status Reserve(const MemoryBudget& budget);
  // Ends all requests, and waits until they have ended. Call this before the
  // last owner lets go, which may be a request.
  void Stop();

  ReservedBytes reserved;  // the last member that ends
  const std::string name;
  const Model model;
  const EngineOptions engine_options;
  const std::vector<ServedAutoencoder> autoencoders;
  const Tokenizer tokenizer;
  const absl::StatusOr<ChatTemplate> turns;
  const uint64_t weights_bytes;
  uint64_t scratch_bytes = 0;  // of passes, embedders and classifiers
  uint64_t autoencoder_bytes = 0;
  Admission admission;
  // The tokens of chats. Its bytes are a part of engine_options.reuse_bytes,
  // which the engine does not get.
  TokenMemory memory;
  Metrics metrics;
  Background background;  // writes responses that are large
  std::optional<Engine> engine;
  // The prompts and sizes of a model that embeds.
  std::optional<Embedder> embedder;
  // Makes the requests of a ShieldGemma, and reads its answers.
  std::optional<Classifier> classifier;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_SERVED_H_

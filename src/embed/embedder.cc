#include "gemma/embedder.h"

#include <algorithm>

#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/embed/embed_pass.h"
#include "src/forward/executor.h"
#include "src/session/model_impl.h"

namespace gemma {

absl::StatusOr<Embedder> Embedder::Create(const Model& model,
                                          EmbedderOptions options) {
  return NoThrow([&]() -> absl::StatusOr<Embedder> {
    if (model.config().pooling == Pooling::kNone) {
      return absl::FailedPreconditionError(
          "the model continues texts, wanted one that embeds them, such as "
          "EmbeddingGemma");
    }
    if (!model.impl().has_weights) {
      return absl::FailedPreconditionError(
          "the model was loaded without its weights");
    }
    GEMMA_RETURN_IF_ERROR(model.tokenizer().status());
    const size_t most = MaxPooledTokens(model.config());
    if (most < kTextEnds) {
      return absl::FailedPreconditionError(FormatText(
          "the model was made for texts of %u tokens, wanted %u or more", most,
          kTextEnds));
    }
    if (options.max_tokens != 0 &&
        (options.max_tokens < kTextEnds || options.max_tokens > most)) {
      return absl::InvalidArgumentError(
          FormatText("max_tokens is %u, wanted %u to %u", options.max_tokens,
                     kTextEnds, most));
    }
    GEMMA_RETURN_IF_ERROR(model.impl().executor().status());
    return Embedder(model, options.max_tokens != 0 ? options.max_tokens : most);
  });
}

MemoryUse Embedder::MemoryFor(const Model& model, EmbedderOptions options) {
  const size_t most = MaxPooledTokens(model.config());
  const size_t text = options.max_tokens != 0 ? options.max_tokens : most;
  // The texts of a pass together have at most this many tokens.
  return model.MemoryFor(
      {.max_tokens = std::max(text, model.impl().prefill_chunk)});
}

absl::StatusOr<Embeddings> Embedder::Embed(absl::Span<const std::string> texts,
                                           const EmbedOptions& options) const {
  absl::StatusOr<Embeddings> embeddings =
      NoThrow([&] { return EmbedTexts(texts, options); });
  if (embeddings.ok()) return embeddings;
  return model_.impl().WithBadWeight(embeddings.status());
}

absl::StatusOr<Embeddings> Embedder::EmbedTexts(
    absl::Span<const std::string> texts, const EmbedOptions& options) const {
  GEMMA_ASSIGN_OR_RETURN(EmbedJob job,
                         EmbedJob::Create(model_, *this, texts, options));
  GEMMA_ASSIGN_OR_RETURN(Executor * executor, model_.impl().executor());
  std::vector<float> vectors;
  while (!job.done()) {
    // As many texts as fit in a pass, but at least one.
    std::vector<const std::vector<TokenId>*> pass;
    size_t rows = 0;
    for (size_t i = 0; i < job.num_left(); ++i) {
      rows += job.Next(i).size();
      if (i > 0 && rows > model_.impl().prefill_chunk) break;
      pass.push_back(&job.Next(i));
    }
    GEMMA_RETURN_IF_ERROR(
        RunEmbedPass(*executor, model_.config(), pass, vectors));
    for (size_t i = 0; i < pass.size(); ++i) {
      GEMMA_RETURN_IF_ERROR(job.Took(
          absl::MakeSpan(vectors).subspan(i * dimensions(), dimensions())));
    }
    if (options.progress && !options.progress(job.num_done())) {
      return absl::CancelledError("embedding was cancelled");
    }
  }
  return job.TakeResult();
}

size_t Embedder::dimensions() const { return model_.config().embedding_dim(); }

bool Embedder::has_dense_layers() const {
  return !model_.config().dense_dims.empty();
}

}  // namespace gemma

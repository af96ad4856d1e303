// Texts to vectors, with models that embed: EmbeddingGemma.

#ifndef GEMMA_EMBEDDER_H_
#define GEMMA_EMBEDDER_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/model.h"

namespace gemma {

// What a text is to be compared for. The model was trained with these words in
// front of its texts.
struct EmbedPrompt {
  std::string_view name;    // for example "query"
  std::string_view prefix;  // in front of the text; "{title}" is the title's
                            // place
};

// All of them: EmbeddingGemma's config_sentence_transformers.json and model
// card.
GEMMA_EXPORT absl::Span<const EmbedPrompt> EmbedPrompts();

// The words in front of a text, with its title ("none" if empty) where the
// prompt has a place for it. InvalidArgument if no prompt has the name, or if
// it has no place for a title that is given.
GEMMA_EXPORT absl::StatusOr<std::string> EmbedPrefix(
    std::string_view prompt, std::string_view title = "");

// What Embed shall do.
struct EmbedOptions {
  std::string prompt;  // name of one of EmbedPrompts; empty: no words in front
  std::string title;   // of the texts, see EmbedPrefix; only with a prompt
  // The first values of a vector to be kept: EmbeddingGemma was trained so that
  // 512, 256 or 128 are good embeddings too. 0: all.
  size_t dimensions = 0;
  // Vectors of length 1, so that their products are cosines.
  bool normalize = true;
  // Called after each pass with the texts done so far; returning false cancels.
  std::function<bool(size_t done)> progress;
};

// Vectors of texts, in their order.
struct Embeddings {
  size_t dimensions = 0;           // of each vector
  std::vector<float> values;       // [texts, dimensions]
  std::vector<size_t> num_tokens;  // of each text, BOS and EOS included
  std::vector<size_t> truncated;   // texts that were cut, ascending
};

// How an embedder reads texts.
struct EmbedderOptions {
  // Tokens of a text, BOS and EOS included; what is longer is cut at its end.
  // At least 2; 0: as many as the model was made for, up to 8192.
  size_t max_tokens = 0;
};

// Embeds texts: <bos> text <eos>, the mean of all tokens' states, and what the
// model projects it by. Several threads may use one embedder.
class GEMMA_EXPORT Embedder {
 public:
  // FailedPrecondition if the model has no tokenizer, or if it continues texts
  // and does not embed them.
  static absl::StatusOr<Embedder> Create(const Model& model,
                                         EmbedderOptions options = {});

  // What the model and a pass of an embedder of these options take.
  static MemoryUse MemoryFor(const Model& model, EmbedderOptions options = {});

  // The texts' vectors. A text never becomes a control token, and "" is one,
  // too. Texts of about the same length are computed together, as many as
  // LoadOptions::prefill_chunk holds. A vector does not depend on the others,
  // but for rounding, see LoadOptions::deterministic.
  // InvalidArgument if an option is wrong, DataLoss if the weights give no
  // numbers, Cancelled if the caller wanted it, ResourceExhausted if there is
  // no memory, FailedPrecondition if a tap of the model calls it.
  absl::StatusOr<Embeddings> Embed(absl::Span<const std::string> texts,
                                   const EmbedOptions& options = {}) const;

  // Values of a whole vector.
  size_t dimensions() const;

  // Whether the model's files have the dense layers behind the mean. Some GGUF
  // files of EmbeddingGemma lack them: their vectors can be compared with each
  // other, but not with those of the published model.
  bool has_dense_layers() const;

  // Tokens of a text, at most.
  size_t max_tokens() const { return max_tokens_; }

 private:
  Embedder(const Model& model, size_t max_tokens)
      : model_(model), max_tokens_(max_tokens) {}

  absl::StatusOr<Embeddings> EmbedTexts(absl::Span<const std::string> texts,
                                        const EmbedOptions& options) const;

  Model model_;
  size_t max_tokens_;
};

}  // namespace gemma

#endif  // GEMMA_EMBEDDER_H_

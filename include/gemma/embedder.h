// Turns texts into vectors, with embedding models such as EmbeddingGemma.

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

// A task that a text is embedded for. The model was trained with the prefix
// before its texts.
struct EmbedPrompt {
  std::string_view name;  // for example "query"
  // Before the text. In published prompts, "{title}" stands for the title; in
  // those of a model's files, the "none" of "title: none | " does.
  std::string_view prefix;
};

// Returns all published prompts, from EmbeddingGemma's
// config_sentence_transformers.json and model card. See Embedder::prompts for
// those of a model's own files.
GEMMA_EXPORT absl::Span<const EmbedPrompt> EmbedPrompts();

// Returns the words of a published prompt before a text. If the prompt has a
// place for a title, they contain `title`, or "none" if it is empty.
// InvalidArgument if no prompt has this name, or if a title is given and the
// prompt has no place for it.
GEMMA_EXPORT absl::StatusOr<std::string> EmbedPrefix(
    std::string_view prompt, std::string_view title = "");

// How to embed texts.
struct EmbedOptions {
  // Name of one of Embedder::prompts; empty: the model's default prompt, or no
  // prefix if it has none or use_default_prompt is false.
  std::string prompt;
  bool use_default_prompt = true;  // only counts if `prompt` is empty
  std::string title;  // of the texts, see EmbedPrefix; requires a prompt
  // Number of leading values of each vector to keep; 0: all. EmbeddingGemma was
  // trained so that the first 512, 256 or 128 are good embeddings too.
  size_t dimensions = 0;
  // Scale vectors to length 1, so that their dot products are cosines.
  bool normalize = true;
  // Called after each pass with the number of texts done so far. Return false
  // to cancel.
  std::function<bool(size_t done)> progress;
};

// Vectors of texts, in the order of the texts.
struct Embeddings {
  size_t dimensions = 0;           // of each vector
  std::vector<float> values;       // [texts, dimensions]
  std::vector<size_t> num_tokens;  // of each text, with BOS and EOS
  std::vector<size_t> truncated;   // indices of cut texts, ascending
};

// How an embedder reads texts.
struct EmbedderOptions {
  // The most tokens of a text, including BOS and EOS. A longer text is cut at
  // its end. At least 2; 0: as many as the model was made for, at most 8192.
  size_t max_tokens = 0;
};

// Embeds texts: runs <bos> text <eos>, takes the mean of all tokens' states and
// applies the model's projections. Shares the model. Several threads may use
// one embedder at the same time.
class GEMMA_EXPORT Embedder {
 public:
  // Returns FailedPrecondition if the model has no tokenizer, was loaded
  // without weights, or continues texts instead of embedding them;
  // InvalidArgument if max_tokens is out of range.
  static absl::StatusOr<Embedder> Create(const Model& model,
                                         EmbedderOptions options = {});

  // Returns the memory of the model and of one pass of an embedder with these
  // options.
  static MemoryUse MemoryFor(const Model& model, EmbedderOptions options = {});

  // Returns the texts' vectors. A text never becomes a control token; the empty
  // text has a vector, too. Texts of similar length are computed together, up
  // to LoadOptions::prefill_chunk tokens at once. Other texts change a vector
  // only by rounding, see LoadOptions::deterministic. Errors: InvalidArgument
  // for a wrong option, DataLoss if a vector is not finite, Cancelled if
  // `progress` returned false, ResourceExhausted if memory runs out,
  // FailedPrecondition if called in a tap of the model.
  absl::StatusOr<Embeddings> Embed(absl::Span<const std::string> texts,
                                   const EmbedOptions& options = {}) const;

  // Returns the model's prompts. If its files have a
  // config_sentence_transformers.json (or were written from such files), these
  // are the prompts there, and the published ones with other names if the file
  // changes none of those; else the published prompts. Names are valid as long
  // as something shares the model.
  std::vector<EmbedPrompt> prompts() const;

  // Returns the name of the prompt of texts that name none, or an empty string
  // if they get no prefix.
  std::string_view default_prompt() const;

  // As EmbedPrefix, for the model's prompts. An empty name is that of
  // default_prompt().
  absl::StatusOr<std::string> Prefix(std::string_view prompt,
                                     std::string_view title = "") const;

  // Returns the number of values of an uncut vector.
  size_t dimensions() const;

  // Returns whether the model's files have the dense layers that follow the
  // mean. Some GGUF files of EmbeddingGemma lack them: compare their vectors
  // only with each other, not with those of the published model.
  bool has_dense_layers() const;

  // Returns the most tokens that a text may have before it is cut.
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

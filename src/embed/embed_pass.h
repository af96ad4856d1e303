// Texts to vectors, pass by pass.

#ifndef GEMMA_SRC_EMBED_EMBED_PASS_H_
#define GEMMA_SRC_EMBED_EMBED_PASS_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/embedder.h"
#include "gemma/model.h"
#include "src/forward/executor.h"

namespace gemma::internal {

// The tokens around each text, BOS and EOS.
inline constexpr size_t kTextEnds = 2;

// Texts as the model reads them, and the vectors of those that are computed.
class EmbedJob {
 public:
  // Encodes the texts. Fails as Embedder::Embed does for wrong options.
  static absl::StatusOr<EmbedJob> Create(const Model& model,
                                         const Embedder& embedder,
                                         absl::Span<const std::string> texts,
                                         const EmbedOptions& options);

  size_t num_tokens() const { return num_tokens_; }  // of all texts
  size_t num_done() const { return next_; }          // texts
  size_t num_left() const { return order_.size() - next_; }
  bool done() const { return num_left() == 0; }

  // The tokens of the text that comes `ahead` texts after the next one; less
  // than num_left(). Longer texts come first, so that those of a pass have
  // similar lengths.
  const std::vector<TokenId>& Next(size_t ahead = 0) const {
    return tokens_[order_[next_ + ahead]];
  }
  // Takes the whole vector of the next text. DataLoss if it is not finite.
  absl::Status Took(absl::Span<const float> vector);

  // The vectors of the texts that are computed; others are zeros.
  Embeddings TakeResult() { return std::move(result_); }

 private:
  EmbedJob() = default;

  std::vector<std::vector<TokenId>> tokens_;  // of each text
  std::vector<size_t> order_;                 // indices of texts
  size_t next_ = 0;                           // index into order_
  size_t num_tokens_ = 0;
  bool normalize_ = true;
  Embeddings result_;
};

// Embeds texts in one pass, to `out` [texts, embedding_dim].
absl::Status RunEmbedPass(Executor& executor, const ModelConfig& config,
                          absl::Span<const std::vector<TokenId>* const> texts,
                          std::vector<float>& out);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_EMBED_EMBED_PASS_H_

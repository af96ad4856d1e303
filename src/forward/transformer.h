// The forward pass.

#ifndef GEMMA_SRC_FORWARD_TRANSFORMER_H_
#define GEMMA_SRC_FORWARD_TRANSFORMER_H_

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/model_config.h"
#include "ops/matrix_view.h"
#include "ops/ops.h"
#include "ops/workers.h"
#include "src/forward/attention_block.h"
#include "src/forward/rope_tables.h"
#include "src/forward/scratch.h"
#include "src/forward/segment.h"
#include "src/model/weights.h"

namespace gemma::internal {

// Computes batches for all sessions of a model, one at a time. Holds scratch;
// the sequences hold their states.
class Transformer {
 public:
  // All must outlive the transformer. ResourceExhausted if there is no memory
  // for max_rows rows of scratch.
  static absl::StatusOr<Transformer> Create(const ModelConfig& config,
                                            const Weights& weights,
                                            Arithmetic arithmetic,
                                            size_t max_rows, Workers& workers);

  // What max_rows rows of scratch take.
  static uint64_t ScratchBytes(const ModelConfig& config, size_t max_rows,
                               size_t num_threads);

  // Runs the segments' words, at most max_rows() in all, each segment of a
  // sequence of its own, and writes the wanted logits, in order, to
  // `logits` [sum of NumLogits, vocab_size]. A row's results do not depend on
  // what else is in the batch.
  void Forward(std::span<const Segment> segments, MatrixView<float> logits);

  // The same for a model that pools, of whole texts: writes their embeddings,
  // in order, to `out` [segments.size(), embedding_dim()].
  void Embed(std::span<const Segment> segments, MatrixView<float> out);

  size_t max_rows() const { return scratch_.x.rows; }

  // A row has the bits that it has alone in any pass of at most so many rows;
  // in larger ones it may have others, always the same. max_rows() if there are
  // none such.
  size_t few_rows() const { return few_rows_; }

 private:
  Transformer(const ModelConfig& config, const Weights& weights,
              Arithmetic arithmetic, size_t max_rows, Workers& workers);

  void RunBlocks(std::span<const Segment> segments);
  void AddRows(const Segment& segment);
  void EmbedWords();
  void RunBlock(size_t layer, std::span<const Segment> segments);
  void AddUpdate(std::span<const float> post_norm, TapPoint point, size_t layer,
                 std::span<const Segment> segments);
  void Pool(std::span<const Segment> segments, MatrixView<float> out);
  void Project(MatrixView<const float> pooled, MatrixView<float> out);
  size_t HeadInputs(std::span<const Segment> segments);
  void Logits(std::span<const Segment> segments, MatrixView<float> logits);
  bool NeededOnly(std::span<const Segment> segments, MatrixView<float> logits);
  bool TopLogits(const NeededLogits& needed, std::span<float> logits);
  void TokenLogits(std::span<const TokenId> tokens, std::span<float> logits);
  void NormRows(MatrixView<const float> x, std::span<const float> weight,
                MatrixView<float> out);

  const ModelConfig& config_;
  const Weights& weights_;
  MatMulContext context_;
  Scratch scratch_;
  AttentionScratch attention_;
  TopProducts top_products_;
  size_t few_rows_;
  std::vector<size_t> panels_;  // of TokenLogits
  RopeTables rope_;
  std::vector<BatchRow> rows_;  // of the pass
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_TRANSFORMER_H_

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
#include "src/forward/expert_block.h"
#include "src/forward/rope_tables.h"
#include "src/forward/scratch.h"
#include "src/forward/segment.h"
#include "src/model/tensors/weights.h"

namespace gemma::internal {

// Computes batches for all sessions of a model, one at a time. It holds the
// scratch memory; each sequence holds its own state.
class Transformer {
 public:
  // `config`, `weights` and `workers` must outlive the transformer.
  // ResourceExhausted if memory runs out for max_rows rows of scratch.
  static absl::StatusOr<Transformer> Create(const ModelConfig& config,
                                            const Weights& weights,
                                            Arithmetic arithmetic,
                                            size_t max_rows, Workers& workers);

  // Bytes of scratch for max_rows rows.
  static uint64_t ScratchBytes(const ModelConfig& config, size_t max_rows,
                               size_t num_threads);

  // Runs the segments' words, at most max_rows() in total, and writes the
  // wanted logits, in order, to `logits` [sum of NumLogits, vocab_size]. Each
  // segment belongs to a different sequence. The results of a row do not depend
  // on the other rows of the batch; few_rows() says when their number matters.
  void Forward(std::span<const Segment> segments, MatrixView<float> logits);

  // As Forward, for a model that pools and segments that are whole texts.
  // Writes their embeddings, in order, to `out` [segments.size(),
  // embedding_dim()].
  void Embed(std::span<const Segment> segments, MatrixView<float> out);

  size_t max_rows() const { return scratch_.x.rows; }

  // In all passes of at most this many rows, a row has the same bits as alone.
  // In larger passes its bits may differ from these, but they are the same in
  // all larger passes. max_rows() if bits never differ.
  size_t few_rows() const { return few_rows_; }

 private:
  Transformer(const ModelConfig& config, const Weights& weights,
              Arithmetic arithmetic, size_t max_rows, Workers& workers);

  std::span<const Segment> RunBlocks(std::span<const Segment> segments);
  std::span<const Segment> DropRows(std::span<const Segment> segments);
  void AddRows(const Segment& segment);
  void EmbedWords();
  void RunBlock(size_t layer, std::span<const Segment> segments);
  void AddPerLayerToStreams(size_t layer, std::span<const Segment> segments);
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
  ExpertScratch experts_;
  AttentionScratch attention_;
  TopProducts top_products_;
  size_t few_rows_;
  std::vector<size_t> panels_;  // of TokenLogits
  RopeTables rope_;
  size_t first_shared_;         // no layer from this one on stores keys
  std::vector<BatchRow> rows_;  // of the pass
  std::vector<Segment> kept_;   // of the pass, after DropRows
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_TRANSFORMER_H_

// Global and local attention.

#ifndef GEMMA_SRC_FORWARD_ATTENTION_BLOCK_H_
#define GEMMA_SRC_FORWARD_ATTENTION_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "gemma/model_config.h"
#include "ops/aligned_buffer.h"
#include "ops/matrix_view.h"
#include "ops/ops.h"
#include "src/forward/rope_tables.h"
#include "src/forward/scratch.h"
#include "src/forward/segment.h"
#include "src/model/tensors/weights.h"

namespace gemma::internal {

// Rows [first, first + count) of a pass: consecutive positions of a sequence
// that attend together.
struct RowBlock {
  size_t first = 0;
  size_t count = 0;
};

// Divides the rows of a pass among tasks, for layers with the same head counts
// and head size.
class RowDivision {
 public:
  RowDivision(const LayerConfig& layer, size_t max_rows);

  // Divides the rows, at most max_rows, into blocks. The blocks are as large as
  // possible while each of several threads still finds two tasks.
  void Divide(std::span<const BatchRow> rows, size_t num_threads);
  std::span<const RowBlock> blocks() const { return blocks_; }

  // Whether to divide the keys of each row too, because there are too few rows.
  bool divide_keys() const { return divide_keys_; }

  // Whether the division fits the layer.
  bool Fits(const LayerConfig& layer) const;

  // Floats that a task needs, and floats of the results of a block for one span
  // of keys.
  size_t task_size() const { return task_size_; }
  size_t partial_size() const { return partial_size_; }

 private:
  void Cut(std::span<const BatchRow> rows, size_t max_count);

  size_t num_heads_;
  size_t num_kv_heads_;
  size_t head_dim_;
  size_t max_count_;  // most rows of a block
  size_t task_size_;
  size_t partial_size_;
  std::vector<RowBlock> blocks_;
  bool divide_keys_ = false;
};

// The division of the rows of a pass among tasks, and memory for the tasks.
class AttentionScratch {
 public:
  AttentionScratch(const ModelConfig& config, size_t max_rows,
                   size_t num_threads);
  bool ok() const { return memory_.data() != nullptr; }
  static uint64_t Bytes(const ModelConfig& config, size_t num_threads);

  // Divides the rows, at most max_rows, for all layers.
  void Divide(std::span<const BatchRow> rows);

  const RowDivision& DivisionOf(size_t layer) const {
    return divisions_[index_[layer]];
  }

  // The memory of a worker's task.
  std::span<float> Task(size_t worker) const;
  // Partial results of item block * num_kv_heads + kv head: of all its spans of
  // keys, and of one span. Only if the division divides keys.
  std::span<float> Partials(const RowDivision& division, size_t item) const;
  std::span<float> Partial(const RowDivision& division, size_t item,
                           size_t span) const;

 private:
  size_t num_threads_;
  std::vector<RowDivision> divisions_;  // one for each shape of heads
  std::vector<size_t> index_;           // of each layer, in divisions_
  size_t task_size_ = 0;                // of the largest layer
  // [threads, task size], [2 * threads, kMaxAttendSpans, partial size].
  AlignedBuffer memory_;
};

// Computes update = attention of normed, both [rows.size(), model_dim], and
// stores the keys and values of the rows, unless the layer reads those of
// another. `rows`: the rows of the segments.
// `rope` holds their angles, and attention.Divide(rows) was called before.
void AttentionBlock(const ModelConfig& config, const LayerWeights& weights,
                    size_t layer, std::span<const Segment> segments,
                    std::span<const BatchRow> rows, const RopeTables& rope,
                    MatrixView<const float> normed, Scratch& scratch,
                    const AttentionScratch& attention, MatrixView<float> update,
                    MatMulContext& context);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_ATTENTION_BLOCK_H_

// Angles of the rows of a pass, for each way in which the layers of a model
// rotate.

#ifndef GEMMA_SRC_FORWARD_ROPE_TABLES_H_
#define GEMMA_SRC_FORWARD_ROPE_TABLES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "gemma/model_config.h"
#include "ops/aligned_buffer.h"
#include "ops/matrix_view.h"

namespace gemma::internal {

// Layers with the same RopeConfig share a table.
class RopeTables {
 public:
  RopeTables(const ModelConfig& config, size_t max_rows);
  bool ok() const { return memory_.data() != nullptr; }
  static uint64_t Bytes(const ModelConfig& config, size_t max_rows);

  // Computes the angles of row `row`, which is at `position`, in all tables.
  // Several threads may set different rows at the same time.
  void SetRow(size_t row, size_t position) const;

  // Cosines and sines of one row's angles, [rotary_dim / 2], for a layer.
  std::span<const float> Cos(size_t layer, size_t row) const {
    return tables_[index_[layer]].cos.Row(row);
  }
  std::span<const float> Sin(size_t layer, size_t row) const {
    return tables_[index_[layer]].sin.Row(row);
  }

 private:
  struct Table {
    std::vector<float> frequency;  // [rotary_dim / 2]
    MatrixView<float> cos, sin;    // [max_rows, rotary_dim / 2]
  };

  AlignedBuffer memory_;
  std::vector<Table> tables_;
  std::vector<size_t> index_;  // of each layer, in tables_
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_ROPE_TABLES_H_

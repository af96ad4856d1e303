// All activation buffers, allocated once.

#ifndef GEMMA_SRC_FORWARD_SCRATCH_H_
#define GEMMA_SRC_FORWARD_SCRATCH_H_

#include <cstddef>
#include <cstdint>

#include "gemma/model_config.h"
#include "ops/aligned_buffer.h"
#include "ops/matrix_view.h"

namespace gemma::internal {

// The beginning of a buffer as `rows` rows of `cols` values, without gaps. A
// buffer has the width of the widest layer; other layers may be narrower.
inline MatrixView<float> Narrowed(MatrixView<float> buffer, size_t rows,
                                  size_t cols) {
  return {buffer.data, rows, cols};
}

// Buffers for up to max_rows rows. The views have max_rows rows, except
// table_row and streams, and the columns of the widest layer. A pass uses the
// first rows, and a layer uses the views that Narrowed returns.
struct Scratch {
  Scratch(const ModelConfig& config, size_t max_rows, size_t num_threads);
  bool ok() const { return memory.data() != nullptr; }

  static uint64_t Bytes(const ModelConfig& config, size_t max_rows,
                        size_t num_threads);

  AlignedBuffer memory;
  MatrixView<float> x;       // [max_rows, model_dim], the residual stream
  MatrixView<float> normed;  // [max_rows, model_dim]
  MatrixView<float> update;  // [max_rows, model_dim]
  MatrixView<float> gate;    // [max_rows, ffw_dim]
  MatrixView<float> up;      // [max_rows, ffw_dim]
  MatrixView<float> q;       // [max_rows, num_heads * head_dim]
  MatrixView<float> k;       // [max_rows, num_kv_heads * head_dim]
  MatrixView<float> v;       // [max_rows, num_kv_heads * head_dim]
  MatrixView<float> heads;   // [max_rows, num_heads * head_dim]
  // [max_rows, num_layers * per_layer_dim], or [max_rows, model_dim] without a
  // table; see per_layer_block.h.
  MatrixView<float> per_layer;
  MatrixView<float> per_layer_part;  // [max_rows, less than per_layer_dim +
                                     // kPanelRows]; without a table
  MatrixView<float> per_layer_gate;  // [max_rows, per_layer_dim]
  MatrixView<float> table_row;       // [num_threads, num_layers *
                                     // per_layer_dim]
  MatrixView<float> streams;     // [(altup_streams - 1) * max_rows, model_dim]:
                                 // one stream after the other; see StreamOf
  MatrixView<float> predicted;   // [max_rows, model_dim]
  MatrixView<float> modalities;  // [max_rows, altup_streams]
  MatrixView<float> laurel;      // [max_rows, laurel_rank]
  MatrixView<float> rec_x;       // [max_rows, lru_width]
  MatrixView<float> rec_y;       // [max_rows, lru_width]
  MatrixView<float> conv;        // [max_rows, lru_width]
  MatrixView<float> input_gate;  // [max_rows, lru_width]
  MatrixView<float> recurrent_gate;  // [max_rows, lru_width]
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_SCRATCH_H_

#include "src/forward/scratch.h"

#include <algorithm>

#include "ops/ops.h"
#include "src/base/sizes.h"

namespace gemma::internal {
namespace {

// Places the buffers of `s` in memory that begins at `start`, and returns the
// bytes of all buffers. If `s` is null, only counts.
uint64_t Place(const ModelConfig& c, size_t max_rows, size_t num_threads,
               float* start, Scratch* s) {
  uint64_t used = 0;
  const auto place_rows = [&](MatrixView<float> Scratch::*view, size_t rows,
                              size_t cols) {
    if (s != nullptr) s->*view = {start + used, rows, cols};
    // Each buffer begins on a cache line.
    used += RoundUp(rows * cols, 16);
  };
  const auto place = [&](MatrixView<float> Scratch::*view, size_t cols) {
    place_rows(view, max_rows, cols);
  };
  place(&Scratch::x, c.model_dim);
  place(&Scratch::normed, c.model_dim);
  place(&Scratch::update, c.model_dim);
  size_t ffw_dim = 0;
  size_t q_dim = 0;
  size_t kv_dim = 0;
  for (const LayerConfig& layer : c.layers) {
    ffw_dim = std::max(ffw_dim, layer.ffw_dim);
    q_dim = std::max(q_dim, layer.q_dim());
    kv_dim = std::max(kv_dim, layer.kv_dim());
  }
  place(&Scratch::gate, ffw_dim);
  place(&Scratch::up, ffw_dim);
  place(&Scratch::q, q_dim);
  place(&Scratch::k, kv_dim);
  place(&Scratch::v, kv_dim);
  place(&Scratch::heads, q_dim);
  if (c.per_layer_dim != 0 && c.per_layer_vocab == 0) {
    place(&Scratch::per_layer, c.model_dim);
    place(&Scratch::per_layer_part, c.per_layer_dim + kPanelRows - 1);
  } else {
    place(&Scratch::per_layer, c.num_layers() * c.per_layer_dim);
  }
  place(&Scratch::per_layer_gate, c.per_layer_dim);
  if (c.per_layer_vocab != 0) {
    place_rows(&Scratch::table_row, num_threads,
               c.num_layers() * c.per_layer_dim);
  }
  if (c.altup_streams != 0) {
    place_rows(&Scratch::streams, (c.altup_streams - 1) * max_rows,
               c.model_dim);
    place(&Scratch::predicted, c.model_dim);
    place(&Scratch::modalities, c.altup_streams);
    place(&Scratch::laurel, c.laurel_rank);
  }
  for (auto view : {&Scratch::rec_x, &Scratch::rec_y, &Scratch::conv,
                    &Scratch::input_gate, &Scratch::recurrent_gate}) {
    place(view, c.lru_width);
  }
  return used * sizeof(float);
}

}  // namespace

Scratch::Scratch(const ModelConfig& config, size_t max_rows, size_t num_threads)
    : memory(AlignedBuffer::Allocate(Bytes(config, max_rows, num_threads))) {
  if (ok()) Place(config, max_rows, num_threads, memory.As<float>(), this);
}

uint64_t Scratch::Bytes(const ModelConfig& config, size_t max_rows,
                        size_t num_threads) {
  return Place(config, max_rows, num_threads, nullptr, nullptr);
}

}  // namespace gemma::internal

#include "src/forward/scratch.h"

#include <algorithm>

#include "src/base/sizes.h"

namespace gemma::internal {
namespace {

// Places the buffers of `s` in memory that begins at `start`, and returns the
// bytes of all buffers. If `s` is null, only counts.
uint64_t Place(const ModelConfig& c, size_t max_rows, float* start,
               Scratch* s) {
  uint64_t used = 0;
  const auto place = [&](MatrixView<float> Scratch::*view, size_t cols) {
    if (s != nullptr) s->*view = {start + used, max_rows, cols};
    // Each buffer begins on a cache line.
    used += RoundUp(max_rows * cols, 16);
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
  for (auto view : {&Scratch::rec_x, &Scratch::rec_y, &Scratch::conv,
                    &Scratch::input_gate, &Scratch::recurrent_gate}) {
    place(view, c.lru_width);
  }
  return used * sizeof(float);
}

}  // namespace

Scratch::Scratch(const ModelConfig& config, size_t max_rows)
    : memory(AlignedBuffer::Allocate(Bytes(config, max_rows))) {
  if (ok()) Place(config, max_rows, memory.As<float>(), this);
}

uint64_t Scratch::Bytes(const ModelConfig& config, size_t max_rows) {
  return Place(config, max_rows, nullptr, nullptr);
}

}  // namespace gemma::internal

#include "src/forward/rope_tables.h"

#include <algorithm>

#include "ops/ops.h"
#include "src/base/sizes.h"

namespace gemma::internal {
namespace {

// The distinct ways to rotate, in the order of the layers.
std::vector<RopeConfig> Distinct(const ModelConfig& config) {
  std::vector<RopeConfig> out;
  for (const LayerConfig& layer : config.layers) {
    if (std::find(out.begin(), out.end(), layer.rope) == out.end()) {
      out.push_back(layer.rope);
    }
  }
  return out;
}

// Floats of a table of cosines or sines. Each table begins on a cache line.
size_t TableSize(const RopeConfig& rope, size_t max_rows) {
  return RoundUp(max_rows * (rope.rotary_dim / 2), 16);
}

std::vector<float> Frequencies(const RopeConfig& rope) {
  std::vector<float> out(rope.rotary_dim / 2);
  RopeFrequencies(rope.base, rope.factor, out);
  if (rope.num_rotating != 0) {
    std::fill(out.begin() + static_cast<ptrdiff_t>(rope.num_rotating),
              out.end(), 0.0f);
  }
  return out;
}

}  // namespace

RopeTables::RopeTables(const ModelConfig& config, size_t max_rows)
    : memory_(AlignedBuffer::Allocate(Bytes(config, max_rows))) {
  if (!ok()) return;
  const std::vector<RopeConfig> distinct = Distinct(config);
  float* start = memory_.As<float>();
  for (const RopeConfig& rope : distinct) {
    const size_t size = TableSize(rope, max_rows);
    const size_t cols = rope.rotary_dim / 2;
    tables_.push_back({Frequencies(rope),
                       {start, max_rows, cols},
                       {start + size, max_rows, cols}});
    start += 2 * size;
  }
  for (const LayerConfig& layer : config.layers) {
    index_.push_back(static_cast<size_t>(
        std::find(distinct.begin(), distinct.end(), layer.rope) -
        distinct.begin()));
  }
}

uint64_t RopeTables::Bytes(const ModelConfig& config, size_t max_rows) {
  uint64_t size = 0;
  for (const RopeConfig& rope : Distinct(config)) {
    size += 2 * TableSize(rope, max_rows);
  }
  return size * sizeof(float);
}

void RopeTables::SetRow(size_t row, size_t position) const {
  for (const Table& table : tables_) {
    RopeAngles(position, table.frequency, table.cos.Row(row),
               table.sin.Row(row));
  }
}

}  // namespace gemma::internal

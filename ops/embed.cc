// Rows of the embedding table.

#include "compression/codec.h"
#include "compression/packed_row.h"
#include "hwy/base.h"
#include "ops/ops.h"

namespace gemma::internal {

void Embed(const PackedView& table, size_t row, float scale,
           std::span<float> out) {
  HWY_ASSERT(row < table.rows && out.size() == table.cols);
  DecodePackedRow(table, row, out.data());
  for (float& value : out) value *= scale;
}

void Embed(const WeightView& table, size_t row, float scale,
           std::span<float> out) {
  HWY_ASSERT(row < table.rows && out.size() == table.cols);
  DecodeRow(table, row, out.data());
  for (float& value : out) value *= scale;
}

}  // namespace gemma::internal

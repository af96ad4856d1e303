#include "src/model/tensors/sampled_error.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "compression/codec.h"
#include "compression/quantize.h"

namespace gemma::internal {

std::optional<double> SampledError(const WeightView& w, Format format,
                                   size_t max_rows) {
  // Puts the rows one after the other, because one encoder is made for all.
  WeightView sample = {w.format, std::min(max_rows, w.rows), w.cols, nullptr};
  std::vector<uint8_t> rows;
  for (size_t i = 0; i < sample.rows; ++i) {
    const uint8_t* row = w.Row(i * w.rows / sample.rows);
    rows.insert(rows.end(), row, row + w.RowBytes());
  }
  sample.data = rows.data();

  WeightView encoded = {format, sample.rows, w.cols, nullptr};
  std::vector<uint8_t> bytes(encoded.rows * encoded.RowBytes());
  encoded.data = bytes.data();
  if (QuantizeRows(sample, format, /*importance=*/{}, 0, sample.rows,
                   bytes.data())) {
    return std::nullopt;
  }

  std::vector<float> from(w.cols);
  std::vector<float> to(w.cols);
  double error = 0;
  double power = 0;
  for (size_t row = 0; row < sample.rows; ++row) {
    DecodeRow(sample, row, from.data());
    DecodeRow(encoded, row, to.data());
    for (size_t col = 0; col < w.cols; ++col) {
      const double value = from[col];
      const double difference = value - to[col];
      error += difference * difference;
      power += value * value;
    }
  }
  return power > 0 ? error / power : 0.0;
}

}  // namespace gemma::internal

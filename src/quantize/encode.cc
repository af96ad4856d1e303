#include "src/quantize/encode.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>

#include "absl/strings/str_format.h"
#include "compression/codec.h"
#include "compression/half.h"
#include "src/quantize/finite.h"

namespace gemma {
namespace {

void EncodeRow(const float* values, Format to, size_t cols, uint8_t* out) {
  if (to == Format::kF32) {
    std::memcpy(out, values, cols * sizeof(float));
    return;
  }
  for (size_t c = 0; c < cols; ++c) {
    const uint16_t bf16 = FloatToBF16(values[c]);
    std::memcpy(out + c * sizeof(bf16), &bf16, sizeof(bf16));
  }
}

}  // namespace

absl::Status Encode(const WeightView& from, Format to,
                    absl::Span<const float> /*importance*/, Workers& workers,
                    std::vector<uint8_t>& out) {
  if (to == from.format) {
    out.assign(from.data, from.Row(from.rows));
    return absl::OkStatus();
  }
  if (to != Format::kF32 && to != Format::kBF16) {
    return absl::UnimplementedError(
        absl::StrFormat("cannot turn weights of type %s into %s",
                        FormatName(from.format), FormatName(to)));
  }
  WeightView encoded = {to, from.rows, from.cols, nullptr};
  out.resize(encoded.rows * encoded.RowBytes());
  encoded.data = out.data();
  const size_t tasks = (from.rows + kEncodeRows - 1) / kEncodeRows;
  workers.ForEach(tasks, [&](size_t task, size_t) {
    std::vector<float> values(from.cols);
    const size_t begin = task * kEncodeRows;
    const size_t end = std::min(begin + kEncodeRows, from.rows);
    for (size_t row = begin; row < end; ++row) {
      DecodeRow(from, row, values.data());
      EncodeRow(values.data(), to, from.cols,
                out.data() + row * encoded.RowBytes());
    }
  });
  if (const auto at = FindNonFinite(encoded, workers)) {
    return absl::OutOfRangeError(absl::StrFormat(
        "the value at row %u, column %u is too large for type %s", at->row,
        at->col, FormatName(to)));
  }
  return absl::OkStatus();
}

}  // namespace gemma

#include "src/quantize/encode.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "compression/pack.h"
#include "compression/quantize.h"

namespace gemma {
namespace {

// Panels [begin, end).
void EncodePanels(const WeightView& from, const Encoding& to,
                  std::span<const float> importance, size_t begin, size_t end,
                  uint8_t* out) {
  if (to.format == from.format) {
    PackPanels(from, *to.packed, begin, end, out);
  } else {
    QuantizePanels(from, to.format, *to.packed, importance, begin, end, out);
  }
}

// The rows of panel `panel`.
void EncodeRows(const WeightView& from, const Encoding& to,
                std::span<const float> importance, size_t panel, uint8_t* out) {
  const size_t begin = panel * kEncodeRows;
  const size_t end = std::min(begin + kEncodeRows, from.rows);
  out += EncodedBytes(to, begin, from.cols);
  if (to.format == from.format) {
    std::memcpy(out, from.Row(begin), (end - begin) * from.RowBytes());
  } else {
    QuantizeRows(from, to.format, importance, begin, end, out);
  }
}

}  // namespace

size_t EncodedBytes(const Encoding& encoding, size_t rows, size_t cols) {
  if (encoding.packed.has_value()) {
    return PackedBytes(encoding.format, rows, cols);
  }
  return rows * WeightView{encoding.format, rows, cols, nullptr}.RowBytes();
}

void Encode(const WeightView& from, const Encoding& to,
            absl::Span<const float> importance, Workers& workers,
            std::vector<uint8_t>& out) {
  out.resize(EncodedBytes(to, from.rows, from.cols));
  const std::span<const float> weights(importance.data(), importance.size());
  const size_t panels = (from.rows + kEncodeRows - 1) / kEncodeRows;
  workers.ForEach(panels, [&](size_t panel, size_t) {
    if (to.packed.has_value()) {
      EncodePanels(from, to, weights, panel, panel + 1, out.data());
    } else {
      EncodeRows(from, to, weights, panel, out.data());
    }
  });
}

}  // namespace gemma

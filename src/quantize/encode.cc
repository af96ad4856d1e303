#include "src/quantize/encode.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <span>

#include "compression/pack.h"
#include "compression/quantize.h"
#include "src/base/sizes.h"

namespace gemma::internal {
namespace {

// Encodes one panel. Returns false if it is not finite.
bool EncodePanel(const WeightView& from, const Encoding& to,
                 std::span<const float> importance, size_t panel,
                 uint8_t* out) {
  if (to.format != from.format) {
    return !QuantizePanels(from, to.format, *to.packed, importance, panel,
                           panel + 1, out);
  }
  PackPanels(from, *to.packed, panel, panel + 1, out);
  return true;
}

// Encodes the rows of a panel. Returns false if they are not finite.
bool EncodeRows(const WeightView& from, const Encoding& to,
                std::span<const float> importance, size_t panel, uint8_t* out) {
  const size_t begin = panel * kEncodeRows;
  const size_t end = std::min(begin + kEncodeRows, from.rows);
  out += EncodedBytes(to, begin, from.cols);
  if (to.format != from.format) {
    return !QuantizeRows(from, to.format, importance, begin, end, out);
  }
  std::memcpy(out, from.Row(begin), (end - begin) * from.RowBytes());
  return true;
}

}  // namespace

size_t EncodedBytes(const Encoding& encoding, size_t rows, size_t cols) {
  if (encoding.packed.has_value()) {
    return PackedBytes(encoding.format, rows, cols);
  }
  return rows * WeightView{encoding.format, rows, cols, nullptr}.RowBytes();
}

bool Encode(const WeightView& from, const Encoding& to,
            absl::Span<const float> importance, Workers& workers,
            std::vector<uint8_t>& out) {
  out.resize(EncodedBytes(to, from.rows, from.cols));
  const std::span<const float> weights(importance.data(), importance.size());
  const size_t panels = DivideUp(from.rows, kEncodeRows);
  std::atomic<bool> is_finite = true;
  workers.ForEach(panels, [&](size_t panel, size_t) {
    const bool is_good = to.packed.has_value()
                             ? EncodePanel(from, to, weights, panel, out.data())
                             : EncodeRows(from, to, weights, panel, out.data());
    if (!is_good) is_finite = false;
  });
  return is_finite;
}

}  // namespace gemma::internal

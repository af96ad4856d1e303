#include "src/quantize/encode.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_format.h"
#include "compression/quantize.h"

namespace gemma {

absl::Status Encode(const WeightView& from, Format to,
                    absl::Span<const float> importance, Workers& workers,
                    std::vector<uint8_t>& out) {
  if (to == from.format) {
    out.assign(from.data, from.Row(from.rows));
    return absl::OkStatus();
  }
  if (!CanQuantize(to)) {
    return absl::UnimplementedError(
        absl::StrFormat("cannot turn weights of type %s into %s",
                        FormatName(from.format), FormatName(to)));
  }
  const size_t row_bytes =
      WeightView{to, from.rows, from.cols, nullptr}.RowBytes();
  out.resize(from.rows * row_bytes);
  const size_t tasks = (from.rows + kEncodeRows - 1) / kEncodeRows;
  workers.ForEach(tasks, [&](size_t task, size_t) {
    const size_t begin = task * kEncodeRows;
    // All are finite, so every row is encoded.
    QuantizeRows(from, to, {importance.data(), importance.size()}, begin,
                 std::min(begin + kEncodeRows, from.rows),
                 out.data() + begin * row_bytes);
  });
  return absl::OkStatus();
}

}  // namespace gemma

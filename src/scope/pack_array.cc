#include "src/scope/pack_array.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "compression/pack.h"
#include "compression/quantize.h"
#include "ops/first_found.h"
#include "src/base/sizes.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// The rows of an array that are in memory at once. They become columns of the
// transpose, so they are as many as the columns of the largest block.
constexpr size_t kChunkCols = 32;
// The panels and rows that one thread packs at a time.
constexpr size_t kTaskPanels = 16;
constexpr size_t kTaskRows = 8;
constexpr size_t kChunkRows = 128;

// Returns `cols` rounded up to whole blocks.
size_t WholeBlocks(Format format, size_t cols) {
  return RoundUp(cols, BlockValues(format));
}

absl::Status NoMemory(const ArrayInFile& array, size_t bytes) {
  return absl::ResourceExhaustedError(
      absl::StrCat(array.where, ": no memory for its ", bytes, " bytes"));
}

absl::Status CheckFinite(const FirstFound& bad, const ArrayInFile& array,
                         std::string_view what) {
  const std::optional<size_t> first = bad.Get();
  if (!first.has_value()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(array.where, ": ", what, " ", *first,
                   " holds a value that is not finite"));
}

// Packs columns [col, col + cols) of one panel of `out`. They are the first
// rows of chunk [kChunkCols, out.rows]. Returns the first bad row, if any.
std::optional<size_t> PackPanelPart(absl::Span<const float> chunk, size_t cols,
                                    Format format, const PackedView& out,
                                    size_t panel, size_t col, uint8_t* data) {
  const size_t first = panel * kPanelRows;
  const size_t rows = std::min(kPanelRows, out.rows - first);
  const size_t width = WholeBlocks(format, cols);
  float tile[kPanelRows * kChunkCols] = {};
  for (size_t c = 0; c < cols; ++c) {
    const float* from = chunk.data() + c * out.rows + first;
    for (size_t row = 0; row < rows; ++row) tile[row * width + c] = from[row];
  }
  const WeightView view = {Format::kF32, rows, width,
                           reinterpret_cast<const uint8_t*>(tile)};
  // The blocks of a panel follow each other.
  uint8_t* to = data + panel * PanelBytes(out.layout, out.cols) +
                PanelBytes(out.layout, col);
  const auto bad = QuantizePanels(view, format, out.layout, {}, 0, 1, to);
  if (!bad.has_value()) return std::nullopt;
  return first + *bad;
}

}  // namespace

absl::StatusOr<Matrix> PackTransposed(ArrayInFile& array, Format format,
                                      Workers& workers) {
  const size_t cols = array.shape[0];
  const size_t rows = array.shape[1];
  const size_t whole = WholeBlocks(format, cols);
  const size_t bytes = PackedBytes(format, rows, whole);
  Matrix out;
  out.memory = AlignedBuffer::AllocateWhole(bytes);
  if (out.memory.data() == nullptr) return NoMemory(array, bytes);
  out.view = {LayoutOf(format), rows, whole, out.memory.data()};
  std::vector<float> chunk(std::min(kChunkCols, cols) * rows);
  FirstFound bad;
  for (size_t col = 0; col < cols; col += kChunkCols) {
    const size_t count = std::min(kChunkCols, cols - col);
    const auto values = absl::MakeSpan(chunk).first(count * rows);
    GEMMA_RETURN_IF_ERROR(array.values->Read(values));
    const size_t num_panels = out.view.NumPanels();
    workers.ForEach(
        DivideUp(num_panels, kTaskPanels), [&](size_t task, size_t) {
          const size_t end = std::min((task + 1) * kTaskPanels, num_panels);
          for (size_t panel = task * kTaskPanels; panel < end; ++panel) {
            const auto row = PackPanelPart(values, count, format, out.view,
                                           panel, col, out.memory.data());
            if (row.has_value()) bad.Add(*row);
          }
        });
    GEMMA_RETURN_IF_ERROR(CheckFinite(bad, array, "column"));
  }
  GEMMA_RETURN_IF_ERROR(array.values->Finish());
  return out;
}

absl::StatusOr<RowMatrix> PackRows(ArrayInFile& array, Format format,
                                   Workers& workers) {
  const size_t rows = array.shape[0];
  const size_t cols = array.shape[1];
  const size_t whole = WholeBlocks(format, cols);
  RowMatrix out;
  out.view = {format, rows, whole, nullptr};
  const size_t row_bytes = out.view.RowBytes();
  out.memory = AlignedBuffer::AllocateWhole(rows * row_bytes);
  if (out.memory.data() == nullptr) return NoMemory(array, rows * row_bytes);
  out.view.data = out.memory.data();
  std::vector<float> chunk(std::min(kChunkRows, rows) * whole);
  FirstFound bad;
  for (size_t first = 0; first < rows; first += kChunkRows) {
    const size_t count = std::min(kChunkRows, rows - first);
    for (size_t row = 0; row < count; ++row) {
      GEMMA_RETURN_IF_ERROR(
          array.values->Read(absl::MakeSpan(chunk).subspan(row * whole, cols)));
    }
    const WeightView from = {Format::kF32, count, whole,
                             reinterpret_cast<const uint8_t*>(chunk.data())};
    workers.ForEach(DivideUp(count, kTaskRows), [&](size_t task, size_t) {
      const size_t begin = task * kTaskRows;
      const size_t end = std::min(begin + kTaskRows, count);
      const auto row =
          QuantizeRows(from, format, {}, begin, end,
                       out.memory.data() + (first + begin) * row_bytes);
      if (row.has_value()) bad.Add(first + *row);
    });
    GEMMA_RETURN_IF_ERROR(CheckFinite(bad, array, "row"));
  }
  GEMMA_RETURN_IF_ERROR(array.values->Finish());
  return out;
}

}  // namespace gemma::internal

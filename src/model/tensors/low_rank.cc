#include "src/model/tensors/low_rank.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "compression/codec.h"
#include "compression/pack.h"
#include "compression/packed_row.h"
#include "compression/quantize.h"
#include "ops/first_found.h"
#include "ops/ops.h"
#include "src/base/format_text.h"
#include "src/base/sizes.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// Rows for which one product is computed at a time.
constexpr size_t kProductRows = 16;

// Decodes a row of the stored matrix.
void DecodeStored(const Tensor& tensor, const uint8_t* values, size_t row,
                  float* out) {
  WeightView view = RowsOf(tensor);
  view.data = values;
  if (tensor.packed.has_value()) {
    DecodePackedRow({*tensor.packed, view.rows, view.cols, values}, row, out);
  } else {
    DecodeRow(view, row, out);
  }
}

}  // namespace

absl::StatusOr<LowRank> LowRank::Create(std::vector<float> b,
                                        const std::vector<float>& a,
                                        size_t rank) {
  LowRank out;
  out.b = std::move(b);
  out.rank = rank;
  const size_t cols = a.size() / rank;
  const size_t bytes = PackedBytes(Format::kF32, cols, rank);
  out.memory = AlignedBuffer::Allocate(bytes);
  if (out.memory.data() == nullptr) {
    return absl::ResourceExhaustedError(
        FormatText("no memory for %u bytes of an adapter", bytes));
  }
  const WeightView view = {Format::kF32, cols, rank,
                           reinterpret_cast<const uint8_t*>(a.data())};
  out.a = {LayoutOf(Format::kF32), cols, rank, out.memory.data()};
  PackPanels(view, out.a.layout, 0, out.a.NumPanels(), out.memory.data());
  return out;
}

Format MergedFormat(Format format) {
  switch (format) {
    case Format::kF32:
    case Format::kF16:
    case Format::kBF16:
      return format;
    default:
      return LayoutOf(format) == Layout::kBF16 ? Format::kBF16 : Format::kF32;
  }
}

WeightView RowsOf(const BoundWeight& weight) {
  WeightView view = RowsOf(*weight.tensor);
  if (weight.low_ranks.empty()) return view;
  return {MergedFormat(view.format), view.rows, view.cols, nullptr};
}

size_t NumGrown(const Outline& outline) {
  return std::count_if(outline.weights.begin(), outline.weights.end(),
                       [](const BoundWeight& weight) {
                         const Format format = weight.tensor->format;
                         return !weight.low_ranks.empty() &&
                                BlockValues(format) > 1 &&
                                MergedFormat(format) == Format::kF32;
                       });
}

absl::StatusOr<MergedRows> MergedRows::Read(const BoundWeight& weight) {
  GEMMA_ASSIGN_OR_RETURN(TensorValues values,
                         TensorValues::Read(*weight.tensor));
  return MergedRows(weight, std::move(values));
}

void MergedRows::Get(size_t begin, size_t end, float* out) const {
  const size_t cols = weight_->spec.shape.back();
  std::vector<float> product(std::min(kProductRows, end - begin) * cols);
  for (size_t first = begin; first < end; first += kProductRows) {
    const size_t rows = std::min(kProductRows, end - first);
    float* sum = out + (first - begin) * cols;
    for (size_t i = 0; i < rows; ++i) {
      DecodeStored(*weight_->tensor, values_.data(), first + i, sum + i * cols);
    }
    for (const std::shared_ptr<const LowRank>& low : weight_->low_ranks) {
      MatMulInline({{low->b.data() + first * low->rank, rows, low->rank},
                    low->a,
                    /*bias=*/{},
                    {product.data(), rows, cols}});
      for (size_t i = 0; i < rows * cols; ++i) sum[i] += product[i];
    }
  }
}

absl::StatusOr<std::vector<float>> SampleMerged(const BoundWeight& weight,
                                                size_t max_rows) {
  GEMMA_ASSIGN_OR_RETURN(const MergedRows merged, MergedRows::Read(weight));
  const WeightView view = RowsOf(weight);
  const size_t count = std::min(max_rows, view.rows);
  std::vector<float> sample(count * view.cols);
  for (size_t i = 0; i < count; ++i) {
    const size_t row = i * view.rows / count;
    merged.Get(row, row + 1, sample.data() + i * view.cols);
  }
  return sample;
}

absl::StatusOr<std::optional<size_t>> PackMerged(const BoundWeight& weight,
                                                 Format format,
                                                 Workers& workers,
                                                 Matrix& out) {
  GEMMA_ASSIGN_OR_RETURN(const MergedRows merged, MergedRows::Read(weight));
  const size_t rows = out.view.rows;
  const size_t cols = out.view.cols;
  // Each task merges about a megabyte.
  const size_t step = std::max<size_t>(
      1, (size_t{1} << 20) / (cols * sizeof(float) * kPanelRows));
  const size_t panels = out.view.NumPanels();
  FirstFound bad_row;
  workers.ForEach(DivideUp(panels, step), [&](size_t task, size_t) {
    const size_t begin = task * step;
    const size_t end = std::min(begin + step, panels);
    const size_t first = begin * kPanelRows;
    const size_t count = std::min(end * kPanelRows, rows) - first;
    std::vector<float> values(count * cols);
    merged.Get(first, first + count, values.data());
    const WeightView part = {Format::kF32, count, cols,
                             reinterpret_cast<uint8_t*>(values.data())};
    uint8_t* to = out.memory.data() + begin * PanelBytes(out.view.layout, cols);
    if (format == Format::kF32) {
      PackPanels(part, out.view.layout, 0, end - begin, to);
    } else if (const auto bad =
                   QuantizePanels(part, format, out.view.layout,
                                  /*importance=*/{}, 0, end - begin, to)) {
      bad_row.Add(first + *bad);
    }
  });
  return bad_row.Get();
}

}  // namespace gemma::internal

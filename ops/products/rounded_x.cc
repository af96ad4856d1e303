#include "ops/products/rounded_x.h"

#include "hwy/base.h"
#include "ops/products/int8_tiles.h"
#include "ops/products/unpacked_panels.h"

namespace gemma::internal {
namespace {

// Padding of a row: rows 2 * 2048 bytes apart would share cache sets.
constexpr size_t kBf16Padding = 32;
constexpr size_t kCacheLine = 64;

// Return the bytes of the rounded x. The int8 blocks and outliers come first;
// rounding up keeps the bfloat16 rows after them aligned. A product may begin
// at any row, and its kernel reads a multiple of kBf16RowMultiple rows.
size_t BlockBytes(size_t rows, size_t cols) {
  return rows * hwy::DivCeil(cols, kTileCols) * sizeof(Int8Block);
}
size_t Int8Bytes(size_t x_rows, size_t rows, size_t cols) {
  return hwy::RoundUpTo(
      BlockBytes(x_rows, cols) + OutlierRows::Bytes(x_rows, rows, cols),
      kCacheLine);
}
size_t Bf16Bytes(size_t rows, size_t cols) {
  return (rows + kBf16RowMultiple - 1) * (cols + kBf16Padding) *
         sizeof(uint16_t);
}

}  // namespace

bool RowsMatter(const PackedView& w, Arithmetic arithmetic) {
  return IsBf16(ChooseKernel(w, kMinTileRows, kMinTileRows, arithmetic));
}

size_t RoundedX::Bytes(size_t x_rows, size_t rows, size_t cols) {
  return Int8Bytes(x_rows, rows, cols) + Bf16Bytes(rows, cols);
}

void RoundedX::Round(const PackedView& w) {
  HWY_ASSERT(x_.cols == w.cols);
  switch (KernelOf(w, num_rows())) {
    case Kernel::kFloat:
      return;
    case Kernel::kInt8:
    case Kernel::kAvx2:
    case Kernel::kAvxVnni:
    case Kernel::kAvx512Vnni:
    case Kernel::kNeonFewRows:
    case Kernel::kNeonDotProd:
    case Kernel::kNeonI8mm:
    case Kernel::kAmxInt8:
      return RoundToInt8();
    case Kernel::kAmxBf16:
    case Kernel::kAvx512Bf16:
      return RoundToBf16();
  }
}

void RoundedX::RoundToInt8() {
  if (int8_ != nullptr) return;
  auto* blocks = reinterpret_cast<Int8Block*>(context_.buffer().data());
  int8_ = blocks;
  const size_t rows = num_rows();
  HWY_ASSERT(Int8Bytes(x_.rows, rows, x_.cols) <= context_.buffer().size());
  outliers_ =
      OutlierRows(x_.rows, rows, x_.cols,
                  context_.buffer().data() + BlockBytes(x_.rows, x_.cols));
  context_.workers().ForEach(x_.rows, [&](size_t row, size_t) {
    outliers_.Quantize(x_.Row(row), row, blocks + row * (x_.cols / kTileCols));
  });
  if (index_.empty()) AddGroup(0, rows);
}

void RoundedX::RoundToBf16() {
  if (bf16_.data != nullptr) return;
  // Products with different w may need both kinds.
  const size_t begin = Int8Bytes(x_.rows, num_rows(), x_.cols);
  HWY_ASSERT(Bytes(x_.rows, num_rows(), x_.cols) <= context_.buffer().size());
  auto* values = reinterpret_cast<uint16_t*>(context_.buffer().data() + begin);
  bf16_ = {values, x_.cols + kBf16Padding};
  context_.workers().ForEach(num_rows(), [&](size_t row, size_t) {
    RoundRow(x_.Row(RowOfX(index_, row)), values + row * bf16_.stride);
  });
}

void RoundedX::Run(size_t first, const PackedView& w,
                   std::span<const float> bias, MatrixView<float> out,
                   size_t begin, size_t end) const {
  const RowIndex index =
      index_.empty() ? index_ : index_.subspan(first, out.rows);
  // With an index, kernels for rows of x start at its first row.
  const size_t skip = index_.empty() ? first : 0;
  const MatMulJob job = {x_.Rows(skip, index_.empty() ? out.rows : x_.rows), w,
                         bias, out};
  const auto run = [&](Int8Kernel& kernel) {
    Int8PanelsWithOutliers(kernel, outliers_, job, int8_, index_, first, begin,
                           end);
  };
  const bool is_row = out.rows == 1;
  const auto run_row = [&](Int8RowKernel& kernel) {
    const size_t row = RowOfX(index_, first);
    kernel(job, int8_ + row * (w.cols / kTileCols), outliers_.Row(row), begin,
           end);
  };
  switch (KernelOf(w, out.rows)) {
    case Kernel::kFloat:
      return FloatPanels(job, begin, end, index);
    case Kernel::kInt8:
      return is_row ? run_row(Int8RowPanels) : run(Int8Panels);
    case Kernel::kAvx2:
      return run(Avx2Panels);
    case Kernel::kAvxVnni:
      return run(AvxVnniPanels);
    case Kernel::kAvx512Vnni:
      return run(Avx512VnniPanels);
    case Kernel::kNeonFewRows:
      return is_row ? run_row(NeonRowPanels) : run(NeonFewRowsPanels);
    case Kernel::kNeonDotProd:
      return run(NeonDotProdPanels);
    case Kernel::kNeonI8mm:
      return run(NeonI8mmPanels);
    case Kernel::kAmxInt8:
      return run(AmxInt8Panels);
    case Kernel::kAmxBf16:
    case Kernel::kAvx512Bf16:
      return Bf16Panels(job, {bf16_.data + first * bf16_.stride, bf16_.stride},
                        begin, end);
  }
}

}  // namespace gemma::internal

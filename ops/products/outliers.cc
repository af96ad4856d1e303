#include "ops/products/outliers.h"

#include <algorithm>
#include <bit>
#include <cstring>

// ---- 1. Compile part 2 once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/products/outliers.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"
#include "ops/products/outliers-inl.h"
#include "ops/products/packed-inl.h"

#ifndef GEMMA_OPS_PRODUCTS_OUTLIERS_ONCE
#define GEMMA_OPS_PRODUCTS_OUTLIERS_ONCE
namespace gemma::internal {

// The columns that are decoded at a time, for all panels of a task.
inline constexpr size_t kDecodedCols = 64;

// Columns [first, last) of a group, decoded for some panels: [last - first,
// num_panels, kPanelRows].
struct DecodedCols {
  size_t first;
  size_t last;
  size_t num_panels;
  alignas(64) float values[kDecodedCols * kTaskPanels * kPanelRows];
};

}  // namespace gemma::internal
#endif  // GEMMA_OPS_PRODUCTS_OUTLIERS_ONCE

// ---- 2. Vectors, no threads.
HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The most panels whose sums stay in registers.
inline constexpr size_t kAddedPanels = HWY_MIN(4, HWY_MAX(1, 8 / kColVectors));

// Adds the products of outliers with decoded columns of kPanels panels, which
// begin at `values`, to the sums of a row, and writes the results to `out`,
// which may be `sums`. `rows` is the number of w's rows from the first of the
// panels on; kIsWhole: the panels have as many.
template <size_t kPanels, bool kIsWhole>
HWY_INLINE void AddRow(std::span<const Outlier> outliers,
                       const DecodedCols& decoded, const float* values,
                       size_t rows, const float* sums, float* out) {
  constexpr size_t kVectors = kPanels * kColVectors;
  const size_t col_floats = decoded.num_panels * kPanelRows;
  // Returns how many lanes of vector i are rows.
  const auto lanes = [&](size_t i) GEMMA_LAMBDA {
    return rows - HWY_MIN(rows, i * LanesF());
  };
  VF results[kVectors];
  for (size_t i = 0; i < kVectors; ++i) {
    const float* from = sums + i * LanesF();
    results[i] =
        kIsWhole ? hn::LoadU(DF(), from) : hn::LoadN(DF(), from, lanes(i));
  }
  for (const Outlier& outlier : outliers) {
    const auto x = hn::Set(DF(), outlier.value);
    const float* col = values + (outlier.at - decoded.first) * col_floats;
    for (size_t i = 0; i < kVectors; ++i) {
      results[i] =
          hn::MulAdd(x, hn::Load(DF(), col + i * LanesF()), results[i]);
    }
  }
  for (size_t i = 0; i < kVectors; ++i) {
    if (kIsWhole) {
      hn::StoreU(results[i], DF(), out + i * LanesF());
    } else {
      hn::StoreN(results[i], DF(), out + i * LanesF(), lanes(i));
    }
  }
}

// Adds the products of the outliers of a group whose columns were decoded to
// sums [group.num_rows, w_rows], and writes the results to out, which may be
// the sums. The first of the panels is `panel`.
void AddRowsOnTarget(const OutlierGroup& group, const DecodedCols& decoded,
                     size_t panel, size_t w_rows, MatrixView<float> sums,
                     MatrixView<float> out) {
  const bool in_place = sums.data == out.data;
  const bool all = decoded.last - decoded.first == group.num_cols;
  for (size_t r = 0; r < group.num_rows; ++r) {
    std::span<const Outlier> outliers = group.Row(r);
    if (!all) {
      const auto less = [](const Outlier& o, size_t at) { return o.at < at; };
      const auto from = std::lower_bound(outliers.begin(), outliers.end(),
                                         decoded.first, less);
      outliers = {from,
                  std::lower_bound(from, outliers.end(), decoded.last, less)};
    }
    if (outliers.empty() && in_place) continue;
    float* const from = sums.Row(r).data();
    float* const to = out.Row(r).data();
    size_t p = 0;
    const auto add = [&](auto panels) GEMMA_LAMBDA {
      for (; p + panels <= decoded.num_panels; p += panels) {
        const size_t at = (panel + p) * kPanelRows;
        if (at + panels * kPanelRows > w_rows) break;
        AddRow<panels, true>(outliers, decoded, decoded.values + p * kPanelRows,
                             w_rows - at, from + at, to + at);
      }
    };
    add(std::integral_constant<size_t, kAddedPanels>());
    add(std::integral_constant<size_t, 1>());
    if (p == decoded.num_panels) continue;
    const size_t at = (panel + p) * kPanelRows;
    AddRow<1, false>(outliers, decoded, decoded.values + p * kPanelRows,
                     w_rows - at, from + at, to + at);
  }
}

// Decodes columns [out.first, out.last) of a group for panels from `panel` on.
template <Layout kLayout>
void Decode(const OutlierGroup& group, const PackedView& w, size_t panel,
            DecodedCols& out) {
  if constexpr (TraitsOf(kLayout).code_bits != 0) {
    const PanelPlaces<kLayout> places(w);
    float* to = out.values;
    for (size_t i = out.first; i < out.last; ++i) {
      const ColPlace place = places.PlaceOf(panel, group.cols[i]);
      for (size_t p = 0; p < out.num_panels; ++p) {
        for (size_t v = 0; v < kColVectors; ++v, to += LanesF()) {
          hn::Store(ColValues<kLayout>(place.At(p * places.stride()), v), DF(),
                    to);
        }
      }
    }
  }
}

// Chooses the layout once per call.
void DecodeOnTarget(const OutlierGroup& group, const PackedView& w,
                    size_t panel, DecodedCols& out) {
  switch (w.layout) {
#define GEMMA_LAYOUT_CASE(layout) \
  case Layout::layout:            \
    return Decode<Layout::layout>(group, w, panel, out);
    GEMMA_LAYOUTS(GEMMA_LAYOUT_CASE)
#undef GEMMA_LAYOUT_CASE
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

// ---- 3. Dispatch, and the groups.
#if HWY_ONCE
namespace gemma::internal {
HWY_EXPORT(DecodeOnTarget);
HWY_EXPORT(AddRowsOnTarget);

namespace {

// The products of a group with the panels of a task, which wait in a cache
// until those of the outliers are added.
struct Products {
  alignas(64) float values[kOutlierRows * kTaskPanels * kPanelRows];
};
static_assert(sizeof(Products) + sizeof(DecodedCols) <= kOutlierStackBytes);

// Whether outliers are added to the results in place: with few rows, which are
// still in the L1 cache, and if few rows have outliers.
bool IsInPlace(const OutlierGroup& group) {
  if (group.num_rows <= kFewRows) return true;
  size_t with_outliers = 0;
  for (size_t r = 0; r < group.num_rows; ++r) {
    with_outliers += group.counts[r] != 0;
  }
  return with_outliers < group.num_rows / 4;
}

// Adds the products of the outliers of a group with panels from `panel` on to
// sums, and writes the results to out, which may be the sums. `decoded` has the
// number of panels, and holds kDecodedCols columns at a time.
void AddRows(const OutlierGroup& group, const PackedView& w, size_t panel,
             MatrixView<float> sums, MatrixView<float> out,
             DecodedCols& decoded) {
  for (size_t first = 0; first < group.num_cols; first += kDecodedCols) {
    decoded.first = first;
    decoded.last = HWY_MIN(first + kDecodedCols, group.num_cols);
    HWY_DYNAMIC_DISPATCH(DecodeOnTarget)(group, w, panel, decoded);
    const bool is_last = decoded.last == group.num_cols;
    HWY_DYNAMIC_DISPATCH(AddRowsOnTarget)
    (group, decoded, panel, w.rows, sums, is_last ? out : sums);
  }
}

// As Int8PanelsWithOutliers, for one group and its rows of x and index.
void GroupPanels(Int8Kernel& kernel, const OutlierGroup& group,
                 const MatMulJob& job, const Int8Block* x, RowIndex index,
                 size_t begin, size_t end) {
  HWY_ASSERT(group.num_rows == job.out.rows && group.num_rows <= kOutlierRows);
  if (group.num_cols == 0) return kernel(job, x, begin, end, index);
  const bool in_place = IsInPlace(group);
  const MatrixView<float> out = job.out;
  DecodedCols decoded;
  Products products;
  for (; begin < end; begin += kTaskPanels) {
    const size_t task_end = HWY_MIN(begin + kTaskPanels, end);
    decoded.num_panels = task_end - begin;
    MatMulJob task = job;
    if (!in_place) {
      // Results are stored all at once, so their cache lines should be there.
      for (size_t r = 0; r < out.rows; ++r) {
        for (size_t panel = begin; panel < task_end; ++panel) {
          __builtin_prefetch(out.Row(r).data() + panel * kPanelRows, 1);
        }
      }
      task.out = OutFrom(
          begin, {products.values, out.rows, decoded.num_panels * kPanelRows},
          out.cols);
    }
    kernel(task, x, begin, task_end, index);
    AddRows(group, job.w, begin, task.out, out, decoded);
  }
}

// Returns `count` values at `memory`, and moves it after them.
template <class T>
T* Take(size_t count, uint8_t*& memory) {
  T* const taken = reinterpret_cast<T*>(memory);
  memory += count * sizeof(T);
  return taken;
}

}  // namespace

OutlierRows::OutlierRows(size_t x_rows, size_t rows, size_t cols,
                         uint8_t* memory)
    : num_blocks_(cols / kTileCols), stride_(MaxOutliers(cols)) {
  outliers_ = Take<Outlier>(x_rows * stride_, memory);
  counts_ = Take<uint32_t>(x_rows, memory);
  grouped_ = Take<Outlier>(rows * stride_, memory);
  grouped_counts_ = Take<uint32_t>(rows, memory);
  cols_ = Take<uint32_t>(rows * stride_, memory);
  num_cols_ = Take<uint32_t>(rows, memory);
  blocks_ = Take<Block>(rows * num_blocks_, memory);
}

size_t OutlierRows::Bytes(size_t x_rows, size_t rows, size_t cols) {
  const size_t stride = MaxOutliers(cols);
  return x_rows * (stride * sizeof(Outlier) + sizeof(uint32_t)) +
         rows * (stride * (sizeof(Outlier) + sizeof(uint32_t)) +
                 2 * sizeof(uint32_t) + cols / kTileCols * sizeof(Block));
}

void OutlierRows::Quantize(std::span<const float> x, size_t row,
                           Int8Block* out) {
  counts_[row] = QuantizeRow(x, out, outliers_ + row * stride_);
}

void OutlierRows::Group(RowIndex index, size_t first, size_t count) {
  for (size_t done = 0; done < count; done += kOutlierRows) {
    GroupRows(index, first + done, HWY_MIN(kOutlierRows, count - done));
  }
}

void OutlierRows::GroupRows(RowIndex index, size_t first, size_t count) {
  Block* const blocks = blocks_ + first * num_blocks_;
  std::memset(blocks, 0, num_blocks_ * sizeof(Block));
  for (size_t r = first; r < first + count; ++r) {
    for (const Outlier& o : Row(RowOfX(index, r))) {
      blocks[o.at / kTileCols].bits |= 1u << (o.at % kTileCols);
    }
  }
  uint32_t* const cols = cols_ + first * stride_;
  uint32_t num_cols = 0;
  for (size_t b = 0; b < num_blocks_; ++b) {
    blocks[b].before = num_cols;
    for (uint32_t bits = blocks[b].bits; bits != 0; bits &= bits - 1) {
      cols[num_cols++] =
          static_cast<uint32_t>(b * kTileCols + std::countr_zero(bits));
    }
  }
  std::fill_n(num_cols_ + first, count, kNotFirst);
  num_cols_[first] = num_cols;
  for (size_t r = first; r < first + count; ++r) {
    Outlier* to = grouped_ + r * stride_;
    const std::span<const Outlier> row = Row(RowOfX(index, r));
    for (const Outlier& o : row) {
      const Block& block = blocks[o.at / kTileCols];
      const uint32_t lower = (1u << (o.at % kTileCols)) - 1;
      *to++ = {block.before +
                   static_cast<uint32_t>(std::popcount(block.bits & lower)),
               o.value};
    }
    grouped_counts_[r] = static_cast<uint32_t>(row.size());
  }
}

void Int8PanelsWithOutliers(Int8Kernel& kernel, const OutlierRows& outliers,
                            const MatMulJob& job, const Int8Block* x,
                            RowIndex index, size_t first, size_t begin,
                            size_t end) {
  for (size_t done = 0; done < job.out.rows; done += kOutlierRows) {
    const size_t row = first + done;
    const size_t count = HWY_MIN(kOutlierRows, job.out.rows - done);
    MatMulJob piece = job;
    piece.out = job.out.Rows(done, count);
    const bool own = index.empty();
    GroupPanels(kernel, outliers.GroupAt(row, count), piece,
                own ? x + row * (job.w.cols / kTileCols) : x,
                own ? index : index.subspan(row, count), begin, end);
  }
}

}  // namespace gemma::internal
#endif  // HWY_ONCE

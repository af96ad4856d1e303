// The encoder and the decoder of a sparse autoencoder. The encoder is a product
// that keeps only the values above their thresholds, some hundred of many
// thousands: a task multiplies a few panels into memory that stays in the L1
// cache, and keeps the values that pass. The decoder adds a few weighted rows
// of a matrix.

#include <algorithm>

#include "compression/half.h"
#include "ops/products/mat_mul_kernels.h"

// ---- 1. Compile part 2 once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/sparse.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"

// ---- 2. Vectors, no threads.
HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Writes the values of x that exceed their thresholds to out, with indices from
// `first` on. Returns their number.
size_t SelectAbove(const float* HWY_RESTRICT x,
                   const float* HWY_RESTRICT threshold, size_t size,
                   size_t first, SparseValue* HWY_RESTRICT out) {
  const hn::ScalableTag<float> df;
  const size_t N = hn::Lanes(df);
  size_t found = 0;
  for (size_t i = 0; i < size; i += N) {
    const size_t count = HWY_MIN(N, size - i);
    // Loads zeros beyond the end; they exceed no threshold.
    const auto values = hn::LoadN(df, x + i, count);
    const auto bounds = hn::LoadN(df, threshold + i, count);
    if (hn::AllFalse(df, hn::Gt(values, bounds))) continue;
    for (size_t k = i; k < i + count; ++k) {
      if (!(x[k] > threshold[k])) continue;
      out[found++] = {static_cast<uint32_t>(first + k), x[k]};
    }
  }
  return found;
}

// out[i] += factor * load(df, i, count) for vectors of `count` values; the last
// may be shorter.
template <class DF, class Load>
HWY_INLINE void AddScaled(DF df, float factor, Load load, size_t size,
                          float* HWY_RESTRICT out) {
  const auto factors = hn::Set(df, factor);
  for (size_t i = 0; i < size; i += hn::Lanes(df)) {
    const size_t count = HWY_MIN(hn::Lanes(df), size - i);
    const auto sum =
        hn::MulAdd(factors, load(i, count), hn::LoadN(df, out + i, count));
    hn::StoreN(sum, df, out + i, count);
  }
}

void AddF32(const uint8_t* HWY_RESTRICT row, float factor, size_t size,
            float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> df;
  const auto* from = reinterpret_cast<const float*>(row);
  AddScaled(
      df, factor,
      [&](size_t i, size_t count)
          HWY_ATTR { return hn::LoadN(df, from + i, count); },
      size, out);
}

void AddBF16(const uint8_t* HWY_RESTRICT row, float factor, size_t size,
             float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> df;
  const hn::Rebind<hwy::bfloat16_t, decltype(df)> d16;
  const auto* from = reinterpret_cast<const hwy::bfloat16_t*>(row);
  AddScaled(
      df, factor,
      [&](size_t i, size_t count) HWY_ATTR {
        return hn::PromoteTo(df, hn::LoadN(d16, from + i, count));
      },
      size, out);
}

// The product of scale and code is exact in float32.
void AddQ8_0(const uint8_t* HWY_RESTRICT row, float factor, size_t size,
             float* HWY_RESTRICT out) {
  constexpr size_t kCols = BlockValues(Format::kQ8_0);
  const hn::CappedTag<float, kCols> df;
  const hn::RebindToSigned<decltype(df)> d32;
  const hn::Rebind<int8_t, decltype(df)> d8;
  for (size_t col = 0; col < size; col += kCols) {
    uint16_t half;
    hwy::CopyBytes<sizeof(half)>(row, &half);
    const auto scale = hn::Set(df, HalfToFloat(half));
    const auto* codes = reinterpret_cast<const int8_t*>(row + sizeof(half));
    AddScaled(
        df, factor,
        [&](size_t i, size_t) HWY_ATTR {
          // Blocks are whole, though out may end within one.
          const auto code = hn::PromoteTo(d32, hn::LoadU(d8, codes + i));
          return hn::Mul(scale, hn::ConvertTo(df, code));
        },
        HWY_MIN(kCols, size - col), out + col);
    row += BlockBytes(Format::kQ8_0);
  }
}

void AddRow(Format format, const uint8_t* HWY_RESTRICT row, float factor,
            size_t size, float* HWY_RESTRICT out) {
  if (format == Format::kF32) return AddF32(row, factor, size, out);
  if (format == Format::kBF16) return AddBF16(row, factor, size, out);
  AddQ8_0(row, factor, size, out);
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

// ---- 3. Dispatch, and the choice of tasks.
#if HWY_ONCE
namespace gemma::internal {
namespace {

HWY_EXPORT(SelectAbove);
HWY_EXPORT(AddRow);

// The rows of w that a task multiplies.
constexpr size_t kTaskRows = kTaskPanels * kPanelRows;
// The rows of x at once: their products with a task's rows take 32 KiB.
constexpr size_t kMaxRows = 64;

// The values that the tasks found for some rows of x. The buffer has room for
// all values, but only the found ones touch memory.
class Found {
 public:
  Found(size_t rows, size_t num_tasks)
      : num_tasks_(num_tasks),
        values_(AlignedBuffer::Allocate(rows * num_tasks * kTaskRows *
                                        sizeof(SparseValue))),
        counts_(rows * num_tasks) {}
  bool ok() const { return values_.data() != nullptr; }

  SparseValue* values(size_t row, size_t task) const {
    return values_.As<SparseValue>() + (row * num_tasks_ + task) * kTaskRows;
  }
  size_t& count(size_t row, size_t task) {
    return counts_[row * num_tasks_ + task];
  }

  void Collect(size_t row, size_t top_k, std::vector<SparseValue>& out) {
    out.clear();
    for (size_t task = 0; task < num_tasks_; ++task) {
      const SparseValue* from = values(row, task);
      out.insert(out.end(), from, from + count(row, task));
    }
    if (top_k == 0) return;
    const size_t kept = std::min(top_k, out.size());
    std::partial_sort(out.begin(), out.begin() + static_cast<ptrdiff_t>(kept),
                      out.end(), IsStronger<SparseValue>);
    out.resize(kept);
  }

 private:
  size_t num_tasks_;
  AlignedBuffer values_;        // [rows, num_tasks, kTaskRows]
  std::vector<size_t> counts_;  // [rows, num_tasks]
};

// Multiplies rows [first, first + rows) of x with the task's rows of w.
void RunTask(const EncodeSparseJob& job, size_t first, size_t rows, size_t task,
             Found& found) {
  alignas(64) float products[kMaxRows * kTaskRows];
  const size_t begin = task * kTaskRows;
  const size_t size = std::min(kTaskRows, job.w.rows - begin);
  const PackedView w = {job.w.layout, size, job.w.cols,
                        job.w.Panel(task * kTaskPanels)};
  const MatrixView<float> out(products, rows, size);
  FloatPanels({job.x.Rows(first, rows), w, job.bias.subspan(begin, size), out},
              0, w.NumPanels());
  for (size_t row = 0; row < rows; ++row) {
    SparseValue* values = found.values(row, task);
    size_t count = HWY_DYNAMIC_DISPATCH(SelectAbove)(
        out.Row(row).data(), job.threshold.data() + begin, size, begin, values);
    if (job.top_k != 0 && count > job.top_k) {
      std::nth_element(values, values + job.top_k - 1, values + count,
                       IsStronger<SparseValue>);
      count = job.top_k;
    }
    found.count(row, task) = count;
  }
}

}  // namespace

bool EncodeSparse(const EncodeSparseJob& job, Workers& workers) {
  HWY_ASSERT(job.x.cols == job.w.cols && job.out.size() == job.x.rows);
  HWY_ASSERT(job.bias.size() == job.w.rows);
  HWY_ASSERT(job.threshold.size() == job.w.rows);
  const size_t num_tasks = hwy::DivCeil(job.w.rows, kTaskRows);
  Found found(std::min(job.x.rows, kMaxRows), num_tasks);
  if (!found.ok()) return false;
  for (size_t first = 0; first < job.x.rows; first += kMaxRows) {
    const size_t rows = std::min(kMaxRows, job.x.rows - first);
    workers.ForEach(num_tasks, [&](size_t task, size_t) {
      RunTask(job, first, rows, task, found);
    });
    for (size_t row = 0; row < rows; ++row) {
      found.Collect(row, job.top_k, job.out[first + row]);
    }
  }
  return true;
}

void AddRows(const WeightView& w, std::span<const SparseValue> rows,
             std::span<float> out) {
  HWY_ASSERT(w.format == Format::kF32 || w.format == Format::kBF16 ||
             w.format == Format::kQ8_0);
  HWY_ASSERT(out.size() <= w.cols);
  for (const SparseValue& row : rows) {
    HWY_ASSERT(row.index < w.rows);
    HWY_DYNAMIC_DISPATCH(AddRow)
    (w.format, w.Row(row.index), row.value, out.size(), out.data());
  }
}

}  // namespace gemma::internal
#endif  // HWY_ONCE

// The encoder of a sparse autoencoder: a product that keeps only the values
// above their thresholds, some hundred of many thousands. A task multiplies a
// few panels into memory that stays in the L1 cache, and keeps the values that
// pass.

#include <algorithm>

#include "ops/mat_mul_kernels.h"

// ---- 1. Compile part 2 once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/encode_sparse.cc"
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

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

// ---- 3. Dispatch, and the choice of tasks.
#if HWY_ONCE
namespace gemma::internal {
namespace {

HWY_EXPORT(SelectAbove);

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

}  // namespace gemma::internal
#endif  // HWY_ONCE

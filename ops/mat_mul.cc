// out = x w^T + bias for packed w. Most of the time of a forward pass is spent
// here. Rounds x as the arithmetic asks, chooses a kernel, and divides the
// panels of w among the threads.

#include "hwy/base.h"
#include "ops/mat_mul_kernels.h"
#include "ops/ops.h"

namespace gemma::internal {
namespace {

// Padding of a row: rows 2 * 2048 bytes apart would share cache sets.
constexpr size_t kBf16Padding = 32;
constexpr size_t kCacheLine = 64;

// Return the bytes of the rounded x. The int8 blocks come first; rounding up
// keeps the bfloat16 rows after them aligned.
size_t Int8Bytes(size_t rows, size_t cols) {
  return hwy::RoundUpTo(
      rows * hwy::DivCeil(cols, kTileCols) * sizeof(Int8Block), kCacheLine);
}
size_t Bf16Bytes(size_t rows, size_t cols) {
  return hwy::RoundUpTo(rows, kBf16RowMultiple) * (cols + kBf16Padding) *
         sizeof(uint16_t);
}

void CheckShapes(const MatMulJob& job) {
  HWY_ASSERT(job.x.cols == job.w.cols && job.out.cols == job.w.rows);
  HWY_ASSERT(job.x.rows == job.out.rows);
  HWY_ASSERT(job.bias.empty() || job.bias.size() == job.w.rows);
}

// How the panels of w are divided into tasks.
class Tasks {
 public:
  Tasks(const PackedView& w, size_t num_rows, const Workers& workers)
      : num_panels_(w.NumPanels()), task_panels_(kTaskPanels / 2) {
    if (num_rows > kFewRows) return;
    // Gives each thread equally many tasks, of more panels, which are read side
    // by side.
    const size_t least = hwy::DivCeil(num_panels_, kTaskPanels);
    const size_t even = hwy::RoundUpTo(least, workers.num_threads());
    task_panels_ = hwy::DivCeil(num_panels_, even);
  }

  size_t size() const { return hwy::DivCeil(num_panels_, task_panels_); }
  size_t Begin(size_t task) const { return task * task_panels_; }
  size_t End(size_t task) const {
    return HWY_MIN((task + 1) * task_panels_, num_panels_);
  }

 private:
  size_t num_panels_;
  size_t task_panels_;
};

enum class Kernel { kFloat, kInt8, kBf16 };

bool IsQuantized(const PackedView& w) {
  return TraitsOf(w.layout).code_bits != 0;
}

// Below kMinTileRows rows, tiles gain no speed. And the rows of a checked
// draft, up to 16, must give the same bits as one row at a time.
Kernel Choose(const MatMulContext& context, const MatMulJob& job) {
  const size_t rows =
      context.pass_rows() != 0 ? context.pass_rows() : job.x.rows;
  if (rows >= kMinTileRows && RowsMatter(job.w, context.arithmetic())) {
    return Kernel::kBf16;
  }
  return IsQuantized(job.w) && context.arithmetic() != Arithmetic::kFloat32
             ? Kernel::kInt8
             : Kernel::kFloat;
}

// The kernels that the jobs of one call use, and x rounded for them.
class Rounded {
 public:
  Rounded(std::span<const MatMulJob> jobs, MatMulContext& context)
      : context_(context), x_(jobs[0].x) {
    for (const MatMulJob& job : jobs) {
      CheckShapes(job);
      HWY_ASSERT(job.x.data == x_.data && job.x.rows == x_.rows);
      Round(Choose(context, job), context);
    }
  }

  // Computes panels [begin, end) of a job.
  void Run(const MatMulJob& job, size_t begin, size_t end) const {
    switch (Choose(context_, job)) {
      case Kernel::kFloat:
        return FloatPanels(job, begin, end);
      case Kernel::kInt8:
        return Int8Panels(job, int8_, begin, end);
      case Kernel::kBf16:
        return Bf16Panels(job, bf16_, begin, end);
    }
  }

 private:
  void Round(Kernel kernel, MatMulContext& context) {
    if (kernel == Kernel::kInt8 && int8_ == nullptr) {
      auto* blocks = reinterpret_cast<Int8Block*>(context.buffer().data());
      int8_ = blocks;
      HWY_ASSERT(Int8Bytes(x_.rows, x_.cols) <= context.buffer().size());
      context.workers().ForEach(x_.rows, [&](size_t row, size_t) {
        QuantizeRow(x_.Row(row), blocks + row * (x_.cols / kTileCols));
      });
    }
    if (kernel == Kernel::kBf16 && bf16_.data == nullptr) {
      // Jobs of one call may need both.
      const size_t begin = Int8Bytes(x_.rows, x_.cols);
      HWY_ASSERT(begin + Bf16Bytes(x_.rows, x_.cols) <=
                 context.buffer().size());
      auto* values =
          reinterpret_cast<uint16_t*>(context.buffer().data() + begin);
      bf16_ = {values, x_.cols + kBf16Padding};
      context.workers().ForEach(x_.rows, [&](size_t row, size_t) {
        RoundRow(x_.Row(row), values + row * bf16_.stride);
      });
    }
  }

  const MatMulContext& context_;
  MatrixView<const float> x_;
  const Int8Block* int8_ = nullptr;
  Bf16Rows bf16_ = {};
};

}  // namespace

MatMulContext::MatMulContext(Arithmetic arithmetic, size_t max_rows,
                             size_t max_cols, Workers& workers)
    : arithmetic_(arithmetic),
      workers_(&workers),
      buffer_(AlignedBuffer::Allocate(Bytes(max_rows, max_cols))) {}

size_t MatMulContext::Bytes(size_t max_rows, size_t max_cols) {
  return Int8Bytes(max_rows, max_cols) + Bf16Bytes(max_rows, max_cols);
}

bool RowsMatter(const PackedView& w, Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kFastest &&
         (IsQuantized(w) || w.layout == Layout::kBF16) &&
         w.cols % kTileCols == 0 && Bf16IsFast(w.layout);
}

void MatMul(std::span<const MatMulJob> jobs, MatMulContext& context) {
  const Rounded rounded(jobs, context);
  size_t num_tasks = 0;
  for (const MatMulJob& job : jobs) {
    num_tasks += Tasks(job.w, job.x.rows, context.workers()).size();
  }
  context.workers().ForEach(num_tasks, [&](size_t task, size_t) {
    for (const MatMulJob& job : jobs) {
      const Tasks tasks(job.w, job.x.rows, context.workers());
      if (task < tasks.size()) {
        return rounded.Run(job, tasks.Begin(task), tasks.End(task));
      }
      task -= tasks.size();
    }
  });
}

void MatMulPanels(const MatMulJob& job, std::span<const size_t> panels,
                  MatMulContext& context) {
  const Rounded rounded({&job, 1}, context);
  context.workers().ForEach(panels.size(), [&](size_t i, size_t) {
    rounded.Run(job, panels[i], panels[i] + 1);
  });
}

void MatMulInline(const MatMulJob& job) {
  CheckShapes(job);
  for (size_t begin = 0; begin < job.w.NumPanels(); begin += kTaskPanels) {
    FloatPanels(job, begin, HWY_MIN(begin + kTaskPanels, job.w.NumPanels()));
  }
}

void GatedMatMul(const GatedMatMulJob& job, MatMulContext& context) {
  const MatMulJob jobs[] = {{job.x, job.gate, job.gate_bias, job.out},
                            {job.x, job.up, job.up_bias, job.scratch}};
  HWY_ASSERT(job.gate.rows == job.up.rows);
  const Rounded rounded(jobs, context);
  const Tasks tasks(job.gate, job.x.rows, context.workers());
  context.workers().ForEach(tasks.size(), [&](size_t task, size_t) {
    const size_t begin = tasks.Begin(task);
    const size_t end = tasks.End(task);
    for (const MatMulJob& part : jobs) rounded.Run(part, begin, end);
    const size_t first = begin * kPanelRows;
    const size_t count = HWY_MIN(end * kPanelRows, job.gate.rows) - first;
    for (size_t row = 0; row < job.x.rows; ++row) {
      GatedGelu(job.out.Row(row).subspan(first, count),
                job.scratch.Row(row).subspan(first, count), job.gelu);
    }
  });
}

}  // namespace gemma::internal

// out = x w^T + bias for packed w. Most of the time of a forward pass is spent
// here. Divides the panels of w among the threads.

#include <algorithm>
#include <array>

#include "hwy/base.h"
#include "ops/ops.h"
#include "ops/products/mat_mul_kernels.h"
#include "ops/products/rounded_x.h"

namespace gemma::internal {
namespace {

void CheckShapes(const MatMulJob& job) {
  HWY_ASSERT(job.x.cols == job.w.cols && job.out.cols == job.w.rows);
  HWY_ASSERT(job.x.rows == job.out.rows);
  HWY_ASSERT(job.bias.empty() || job.bias.size() == job.w.rows);
}

// How the panels of w are divided into tasks.
class Tasks {
 public:
  Tasks(const PackedView& w, size_t num_rows, const Workers& workers)
      : num_panels_(w.NumPanels()) {
    if (num_rows > kFewRows) {
      // Each thread gets equally many tasks, of about as many panels.
      const size_t least = hwy::DivCeil(num_panels_, kTaskPanels);
      size_ =
          HWY_MIN(hwy::RoundUpTo(least, workers.num_threads()), num_panels_);
    } else {
      size_ = hwy::DivCeil(num_panels_, kTaskPanels / 2);
    }
  }

  size_t size() const { return size_; }
  size_t Begin(size_t task) const { return num_panels_ * task / size_; }
  size_t End(size_t task) const { return Begin(task + 1); }

 private:
  size_t num_panels_;
  size_t size_;
};

// Rounds the x of the jobs, which have the same.
RoundedX RoundFor(std::span<const MatMulJob> jobs, MatMulContext& context) {
  RoundedX x(jobs[0].x, {}, jobs[0].x.rows, context);
  for (const MatMulJob& job : jobs) {
    CheckShapes(job);
    HWY_ASSERT(job.x.data == jobs[0].x.data && job.x.rows == jobs[0].x.rows);
    x.Round(job.w);
  }
  return x;
}

// Computes panels [begin, end) of a job.
void Run(const RoundedX& x, const MatMulJob& job, size_t begin, size_t end) {
  x.Run(/*first=*/0, job.w, job.bias, job.out, begin, end);
}

// The results of some rows and panels of a gated product, before gate and up
// are multiplied. They stay in the L2 cache, in memory of their own: rows of a
// wide result often share cache sets, which hold fewer rows.
struct Results {
  alignas(64) float values[kOutlierRows * kTaskPanels * kPanelRows];
};
static_assert(2 * sizeof(Results) <= kCallerStackBytes);

// Computes panels [begin, end) of a gated product, whose jobs are gate, with
// the `out` of the whole, and up.
void GatedTask(const RoundedX& x, std::span<const MatMulJob, 2> jobs,
               GeluForm gelu, size_t begin, size_t end) {
  const MatMulJob& gate = jobs[0];
  const MatMulJob& up = jobs[1];
  const size_t first = begin * kPanelRows;
  const size_t count = HWY_MIN(end * kPanelRows, gate.w.rows) - first;
  Run(x, gate, begin, end);
  Run(x, up, begin, end);
  for (size_t r = 0; r < gate.out.rows; ++r) {
    GatedGelu(gate.out.Row(r).subspan(first, count),
              up.out.Row(r).subspan(first, count), gelu);
  }
}

// As GatedTask, a piece of the rows at a time. In a function of its own, so
// that only such tasks have the results on their stack.
HWY_NOINLINE void GatedTaskInPieces(const RoundedX& x,
                                    std::span<const MatMulJob, 2> jobs,
                                    GeluForm gelu, size_t begin, size_t end) {
  const MatrixView<float> out = jobs[0].out;
  const size_t first = begin * kPanelRows;
  const size_t count = HWY_MIN(end * kPanelRows, out.cols) - first;
  Results results[2];  // of gate and up
  for (size_t row = 0; row < out.rows; row += kOutlierRows) {
    const size_t num_rows = HWY_MIN(kOutlierRows, out.rows - row);
    MatrixView<float> piece[2];
    for (size_t i = 0; i < 2; ++i) {
      piece[i] = {results[i].values, num_rows, count};
      x.Run(row, jobs[i].w, jobs[i].bias, OutFrom(begin, piece[i], out.cols),
            begin, end);
    }
    for (size_t r = 0; r < num_rows; ++r) {
      const std::span<float> gate = piece[0].Row(r);
      GatedGelu(gate, piece[1].Row(r), gelu);
      std::ranges::copy(gate, &out.Row(row + r)[first]);
    }
  }
}

}  // namespace

MatMulContext::MatMulContext(Arithmetic arithmetic, size_t bytes,
                             Workers& workers)
    : arithmetic_(arithmetic),
      workers_(&workers),
      buffer_(AlignedBuffer::Allocate(bytes)) {}

size_t MatMulContext::Bytes(size_t max_rows, size_t max_cols) {
  return RoundedX::Bytes(max_rows, max_rows, max_cols);
}

void MatMul(std::span<const MatMulJob> jobs, MatMulContext& context) {
  const RoundedX x = RoundFor(jobs, context);
  size_t num_tasks = 0;
  for (const MatMulJob& job : jobs) {
    num_tasks += Tasks(job.w, job.x.rows, context.workers()).size();
  }
  context.workers().ForEach(num_tasks, [&](size_t task, size_t) {
    for (const MatMulJob& job : jobs) {
      const Tasks tasks(job.w, job.x.rows, context.workers());
      if (task < tasks.size()) {
        return Run(x, job, tasks.Begin(task), tasks.End(task));
      }
      task -= tasks.size();
    }
  });
}

void ExactMatMul(const MatMulJob& job, Workers& workers) {
  CheckShapes(job);
  const Tasks tasks(job.w, job.x.rows, workers);
  workers.ForEach(tasks.size(), [&](size_t task, size_t) {
    FloatPanels(job, tasks.Begin(task), tasks.End(task));
  });
}

void MatMulPanels(const MatMulJob& job, std::span<const size_t> panels,
                  MatMulContext& context) {
  const RoundedX x = RoundFor({&job, 1}, context);
  context.workers().ForEach(panels.size(), [&](size_t i, size_t) {
    Run(x, job, panels[i], panels[i] + 1);
  });
}

void MatMulInline(const MatMulJob& job) {
  CheckShapes(job);
  for (size_t begin = 0; begin < job.w.NumPanels(); begin += kTaskPanels) {
    FloatPanels(job, begin, HWY_MIN(begin + kTaskPanels, job.w.NumPanels()));
  }
}

void GatedMatMul(const GatedMatMulJob& job, MatMulContext& context) {
  const std::array jobs = {MatMulJob{job.x, job.gate, job.gate_bias, job.out},
                           MatMulJob{job.x, job.up, job.up_bias, job.scratch}};
  HWY_ASSERT(job.gate.rows == job.up.rows);
  const RoundedX x = RoundFor(jobs, context);
  const bool divide = x.CanDivideRows(job.gate) && x.CanDivideRows(job.up);
  const auto run = divide ? GatedTaskInPieces : GatedTask;
  const Tasks tasks(job.gate, job.x.rows, context.workers());
  context.workers().ForEach(tasks.size(), [&](size_t task, size_t) {
    run(x, jobs, job.gelu, tasks.Begin(task), tasks.End(task));
  });
}

}  // namespace gemma::internal

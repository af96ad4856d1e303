// Products of a pass with the experts that its rows chose. All experts share
// one division of panels among the threads, so that a single row, too, keeps
// all threads reading. A task takes the rows of an expert in pieces, whose
// results stay in the L2 cache until they are multiplied or added.

#include "ops/experts.h"

#include <algorithm>
#include <cmath>

#include "hwy/base.h"
#include "ops/products/mat_mul_kernels.h"
#include "ops/products/rounded_x.h"

namespace gemma::internal {
namespace {

// The most rows of an expert at once, and the panels of a task if that many.
constexpr size_t kPieceRows = kOutlierRows;
constexpr size_t kPiecePanels = kTaskPanels / 2;
static_assert(kFewRows * kTaskPanels <= kPieceRows * kPiecePanels);

// Results of one piece of rows and the columns of a task.
struct Piece {
  MatrixView<float> View(size_t rows, size_t cols) {
    return {values, rows, cols};
  }

  alignas(64) float values[kPieceRows * kPiecePanels * kPanelRows];
};
static_assert(2 * sizeof(Piece) <= kCallerStackBytes);

// Returns the panels of a task if `num_panels` panels are divided among the
// threads for products with up to `rows` rows each.
size_t TaskPanels(size_t num_panels, size_t rows, const Workers& workers) {
  if (rows > kFewRows) return kPiecePanels;
  const size_t least = hwy::DivCeil(num_panels, kTaskPanels);
  const size_t even = hwy::RoundUpTo(least, workers.num_threads());
  return hwy::DivCeil(num_panels, even);
}

size_t MostUses(std::span<const Expert> experts) {
  size_t most = 0;
  for (const Expert& expert : experts) most = std::max(most, expert.count);
  return most;
}

void CheckShapes(const ExpertsJob& job) {
  size_t uses = 0;
  for (const Expert& e : job.experts) {
    HWY_ASSERT(e.begin == uses && e.count != 0);
    HWY_ASSERT(e.gate.rows == job.hidden.cols && e.up.rows == job.hidden.cols);
    HWY_ASSERT(e.down.rows == job.out.cols);
    uses += e.count;
  }
  HWY_ASSERT(job.rows.size() == uses && job.slots.size() == uses);
  HWY_ASSERT(job.weights.size() == uses && job.hidden.rows == uses);
  HWY_ASSERT(job.x.rows == job.out.rows);
}

// Calls piece(first, count) for uses [first, first + count) of an expert.
template <class Body>
void ForEachPiece(const Expert& expert, Body piece) {
  for (size_t done = 0; done < expert.count; done += kPieceRows) {
    piece(expert.begin + done, std::min(kPieceRows, expert.count - done));
  }
}

// Makes a group of the uses of each expert. For few uses, starting the threads
// takes longer.
void AddGroups(const ExpertsJob& job, RoundedX& x, Workers& workers) {
  const auto add = [&](size_t e) {
    x.AddGroup(job.experts[e].begin, job.experts[e].count);
  };
  if (job.rows.size() <= kFewRows) {
    for (size_t e = 0; e < job.experts.size(); ++e) add(e);
  } else {
    workers.ForEach(job.experts.size(), [&](size_t e, size_t) { add(e); });
  }
}

// Columns [begin, end) of a result that has `cols`, of panels [begin, end).
struct Cols {
  Cols(size_t begin_panel, size_t end_panel, size_t cols)
      : begin(begin_panel * kPanelRows),
        count(std::min(end_panel * kPanelRows, cols) - begin) {}

  size_t begin;
  size_t count;
};

// Computes panels [begin, end) of the gates of an expert.
void GatedPanels(const ExpertsJob& job, const RoundedX& x, const Expert& expert,
                 size_t begin, size_t end) {
  const Cols cols(begin, end, job.hidden.cols);
  Piece gates, ups;
  ForEachPiece(expert, [&](size_t first, size_t count) {
    const MatrixView<float> gate = gates.View(count, cols.count);
    const MatrixView<float> up = ups.View(count, cols.count);
    x.Run(first, expert.gate, {}, OutFrom(begin, gate, job.hidden.cols), begin,
          end);
    x.Run(first, expert.up, {}, OutFrom(begin, up, job.hidden.cols), begin,
          end);
    for (size_t i = 0; i < count; ++i) {
      GatedGelu(gate.Row(i), up.Row(i), job.gelu);
      std::copy_n(gate.Row(i).data(), cols.count,
                  job.hidden.Row(job.slots[first + i]).data() + cols.begin);
    }
  });
}

// Adds panels [begin, end) of the results of an expert to job.out.
void AddPanels(const ExpertsJob& job, const RoundedX& hidden,
               const Expert& expert, size_t begin, size_t end) {
  const Cols cols(begin, end, job.out.cols);
  Piece results;
  ForEachPiece(expert, [&](size_t first, size_t count) {
    const MatrixView<float> result = results.View(count, cols.count);
    hidden.Run(first, expert.down, {}, OutFrom(begin, result, job.out.cols),
               begin, end);
    for (size_t i = 0; i < count; ++i) {
      AddScaledTo(
          job.weights[first + i], result.Row(i),
          job.out.Row(job.rows[first + i]).subspan(cols.begin, cols.count));
    }
  });
}

}  // namespace

void ChooseExperts(std::span<const float> logits, float scale,
                   std::span<const float> expert_scale,
                   std::span<ExpertChoice> out) {
  HWY_ASSERT(out.size() <= logits.size() && !out.empty());
  HWY_ASSERT(expert_scale.size() == logits.size());
  const size_t used = out.size();
  // NaN if a logit is not finite, else 0.
  float poison = 0.0f;
  // The strongest so far, weights being their logits. A later one goes after
  // its equals.
  for (size_t e = 0; e < logits.size(); ++e) {
    poison += logits[e] - logits[e];
    size_t at = std::min(e, used);
    while (at != 0 && logits[e] > out[at - 1].weight) --at;
    if (at == used) continue;
    std::move_backward(out.begin() + at, out.begin() + std::min(e, used - 1),
                       out.begin() + std::min(e + 1, used));
    out[at] = {static_cast<uint32_t>(e), logits[e]};
  }
  const float largest = out[0].weight;
  float sum = poison;
  for (ExpertChoice& choice : out) {
    choice.weight = std::exp(scale * (choice.weight - largest));
    sum += choice.weight;
  }
  for (ExpertChoice& choice : out) {
    choice.weight = choice.weight / sum * expert_scale[choice.expert];
  }
  std::sort(out.begin(), out.end(),
            [](const ExpertChoice& a, const ExpertChoice& b) {
              return a.expert < b.expert;
            });
}

void GatedExperts(const ExpertsJob& job, MatMulContext& context) {
  CheckShapes(job);
  RoundedX x(job.x, job.rows, job.x.rows, context);
  for (const Expert& expert : job.experts) {
    x.Round(expert.gate);
    x.Round(expert.up);
  }
  AddGroups(job, x, context.workers());
  // The panels of all experts follow each other.
  const size_t num_panels = hwy::DivCeil(job.hidden.cols, kPanelRows);
  const size_t all = job.experts.size() * num_panels;
  const size_t step = TaskPanels(all, MostUses(job.experts), context.workers());
  context.workers().ForEach(hwy::DivCeil(all, step), [&](size_t task, size_t) {
    const size_t end = std::min((task + 1) * step, all);
    for (size_t at = task * step; at < end;) {
      const size_t begin = at % num_panels;
      const size_t count = std::min(end - at, num_panels - begin);
      GatedPanels(job, x, job.experts[at / num_panels], begin, begin + count);
      at += count;
    }
  });
}

// Each task adds the results of all experts, so that their order is the same
// for any division.
void SumExperts(const ExpertsJob& job, MatMulContext& context) {
  CheckShapes(job);
  RoundedX hidden(job.hidden, job.slots, job.x.rows, context);
  for (const Expert& expert : job.experts) hidden.Round(expert.down);
  AddGroups(job, hidden, context.workers());
  const size_t num_panels = hwy::DivCeil(job.out.cols, kPanelRows);
  const size_t step =
      TaskPanels(num_panels, MostUses(job.experts), context.workers());
  context.workers().ForEach(
      hwy::DivCeil(num_panels, step), [&](size_t task, size_t) {
        const size_t begin = task * step;
        const size_t end = std::min(begin + step, num_panels);
        const Cols cols(begin, end, job.out.cols);
        for (size_t row = 0; row < job.out.rows; ++row) {
          std::fill_n(job.out.Row(row).data() + cols.begin, cols.count, 0.0f);
        }
        for (const Expert& expert : job.experts) {
          AddPanels(job, hidden, expert, begin, end);
        }
      });
}

size_t ExpertsBytes(size_t rows, size_t experts_used, size_t model_dim,
                    size_t expert_dim) {
  const size_t uses = rows * experts_used;
  return std::max(RoundedX::Bytes(rows, uses, model_dim),
                  RoundedX::Bytes(uses, uses, expert_dim));
}

}  // namespace gemma::internal

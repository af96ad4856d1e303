// A mixture of experts: gated feed-forward layers of which each row uses some.

#ifndef GEMMA_OPS_EXPERTS_H_
#define GEMMA_OPS_EXPERTS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "compression/weight_view.h"
#include "ops/matrix_view.h"
#include "ops/ops.h"

namespace gemma::internal {

// An expert that a row uses, and the factor of the expert's result.
struct ExpertChoice {
  uint32_t expert = 0;
  float weight = 0.0f;
};

// Chooses the experts with the largest logits, the lower index first among
// equals, and writes them to `out` in ascending order of indices. `out` has at
// most as many as there are logits. An expert's weight is
//   softmax(scale * logits)[e] / (sum over the chosen) * expert_scale[e].
// If a logit is not finite, all weights are NaN. scale > 0. logits,
// expert_scale: [experts].
void ChooseExperts(std::span<const float> logits, float scale,
                   std::span<const float> expert_scale,
                   std::span<ExpertChoice> out);

// An expert, and uses [begin, begin + count) of it: one of each row that chose
// it.
struct Expert {
  PackedView gate, up;  // [expert_dim, model_dim] each
  PackedView down;      // [model_dim, expert_dim]
  size_t begin = 0;
  size_t count = 0;  // at least 1
};

// The experts that the rows of a pass use. Only these are read.
struct ExpertsJob {
  // In the order in which a row's results are added: their uses follow each
  // other.
  std::span<const Expert> experts;
  // Each use has a row of x and out, a row of `hidden` of its own, and a factor
  // for the expert's result.
  std::span<const uint32_t> rows;
  std::span<const uint32_t> slots;
  std::span<const float> weights;
  MatrixView<const float> x;  // [rows, model_dim]
  MatrixView<float> hidden;   // [uses, expert_dim]
  MatrixView<float> out;      // [rows, model_dim]
  GeluForm gelu = GeluForm::kTanh;
};

// Writes gelu(x gate^T) * (x up^T) of all uses to job.hidden. The number of
// rows of x, or MatMulContext::SetPassRows, chooses the arithmetic, not the
// number of uses of an expert.
void GatedExperts(const ExpertsJob& job, MatMulContext& context);

// out = sum over a row's experts, in their order, of weight * (hidden down^T),
// with one fused multiply-add each.
void SumExperts(const ExpertsJob& job, MatMulContext& context);

// The bytes of the context's buffer that both need, for `rows` rows that use
// `experts_used` experts each.
size_t ExpertsBytes(size_t rows, size_t experts_used, size_t model_dim,
                    size_t expert_dim);

}  // namespace gemma::internal

#endif  // GEMMA_OPS_EXPERTS_H_

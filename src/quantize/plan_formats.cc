#include "src/quantize/plan_formats.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/formats/tensor_values.h"
#include "src/model/low_rank.h"
#include "src/model/sampled_error.h"
#include "src/model/wanted_format.h"

namespace gemma::internal {
namespace {

// Rows of a matrix that errors are measured on.
constexpr size_t kSampleRows = 64;

// A format that a matrix may be converted to.
struct Choice {
  Format format;
  double bits;  // for all values
  double loss;  // nats
};

// The useful choices of a matrix, by ascending bits: each further bit reduces
// the loss by less than the bits before it.
using Choices = std::vector<Choice>;

// Keeps only choices on the lower convex hull of loss over bits.
Choices Hull(Choices all) {
  std::sort(all.begin(), all.end(), [](const Choice& a, const Choice& b) {
    return std::pair(a.bits, a.loss) < std::pair(b.bits, b.loss);
  });
  Choices hull;
  for (const Choice& next : all) {
    if (!hull.empty() && next.loss >= hull.back().loss) continue;
    // Drops the last choice if the line from the one before it to `next` is
    // below it.
    while (hull.size() >= 2) {
      const Choice& a = hull[hull.size() - 2];
      const Choice& b = hull.back();
      if ((a.loss - b.loss) * (next.bits - a.bits) >
          (a.loss - next.loss) * (b.bits - a.bits)) {
        break;
      }
      hull.pop_back();
    }
    hull.push_back(next);
  }
  return hull;
}

// Returns the choices of a matrix. `share`: the matrix's share of its role's
// sensitivity.
absl::StatusOr<Choices> ChoicesOf(const BoundWeight& weight,
                                  absl::Span<const Format> ladder,
                                  double share) {
  const WeightView view = RowsOf(weight);
  WeightView sampled = view;
  std::optional<TensorValues> stored;
  std::vector<float> merged;
  if (weight.low_ranks.empty()) {
    GEMMA_ASSIGN_OR_RETURN(stored, TensorValues::Read(*weight.tensor));
    sampled.data = stored->data();
  } else {
    GEMMA_ASSIGN_OR_RETURN(merged, SampleMerged(weight, kSampleRows));
    sampled = {Format::kF32, merged.size() / view.cols, view.cols,
               reinterpret_cast<const uint8_t*>(merged.data())};
  }
  const double values = static_cast<double>(view.rows * view.cols);
  const Format kept = KeptFormat(view.format);
  const double own_bits = BitsPerWeight(kept, view.cols);
  Choices all = {{kept, own_bits * values, 0.0}};
  for (const Format format : ladder) {
    if (view.cols % BlockValues(format) != 0) continue;
    const double bits = BitsPerWeight(format, view.cols);
    if (bits >= own_bits) continue;  // keeping the codes is better
    const std::optional<double> squared =
        SampledError(sampled, format, kSampleRows);
    if (!squared) {
      return absl::InvalidArgumentError(
          FormatText("%s: tensor '%s' has values that are not finite",
                     weight.tensor->file, weight.name));
    }
    all.push_back({format, bits * values,
                   RowOf(weight.spec.role).sensitivity * share * *squared});
  }
  return Hull(std::move(all));
}

double BitsOf(const std::vector<Choices>& choices) {
  double bits = 0;
  for (const Choices& of : choices) bits += of.front().bits;
  return bits;
}

// One choice for each matrix.
struct Plan {
  std::vector<Choice> taken;
  double loss = 0.0;
};

// Steps along the hulls: always takes the step that reduces the loss most for
// its bits, as long as it fits into `budget`.
Plan TakeSteps(const std::vector<Choices>& choices, double budget) {
  double left = budget - BitsOf(choices);
  std::vector<size_t> at(choices.size(), 0);
  std::vector<bool> is_full(choices.size(), false);
  for (;;) {
    std::optional<size_t> best;
    double best_gain = 0;
    for (size_t i = 0; i < choices.size(); ++i) {
      if (is_full[i] || at[i] + 1 >= choices[i].size()) continue;
      const Choice& now = choices[i][at[i]];
      const Choice& next = choices[i][at[i] + 1];
      const double gain = (now.loss - next.loss) / (next.bits - now.bits);
      if (!best || gain > best_gain) {
        best = i;
        best_gain = gain;
      }
    }
    if (!best) break;
    const Choices& of = choices[*best];
    const double bits = of[at[*best] + 1].bits - of[at[*best]].bits;
    if (bits > left) {
      is_full[*best] = true;
      continue;
    }
    left -= bits;
    ++at[*best];
  }
  Plan plan;
  for (size_t i = 0; i < choices.size(); ++i) {
    plan.taken.push_back(choices[i][at[i]]);
    plan.loss += plan.taken.back().loss;
  }
  return plan;
}

// Returns the best of several plans, one for each choice of the largest matrix.
// TakeSteps alone may do badly for a small model, whose embeddings are most of
// its weights: other matrices could spend bits for little gain and leave too
// few for the embeddings' next step.
Plan BestPlan(const std::vector<Choices>& choices, double budget) {
  const auto less = [](const Choices& a, const Choices& b) {
    return a.front().bits < b.front().bits;
  };
  const size_t largest =
      std::max_element(choices.begin(), choices.end(), less) - choices.begin();
  Plan best;
  for (const Choice& choice : choices[largest]) {
    std::vector<Choices> others = choices;
    others[largest] = {choice};
    if (BitsOf(others) > budget) break;
    Plan plan = TakeSteps(others, budget);
    if (best.taken.empty() || plan.loss < best.loss) best = std::move(plan);
  }
  return best;
}

}  // namespace

absl::StatusOr<std::vector<Format>> PlanFormats(
    absl::Span<const BoundWeight> weights, double bits,
    absl::Span<const Format> ladder, Workers& workers) {
  std::map<WeightRole, double> role_weights;
  double all_values = 0;
  double budget = 0;
  for (const BoundWeight& weight : weights) {
    const auto values = static_cast<double>(weight.tensor->NumValues());
    all_values += values;
    budget += bits * values;
    if (weight.spec.kind == WeightKind::kMatrix) {
      role_weights[weight.spec.role] += 1;
    } else {
      budget -= 32 * values;
    }
  }
  std::vector<absl::StatusOr<Choices>> measured(
      weights.size(), absl::StatusOr<Choices>(Choices()));
  workers.ForEach(weights.size(), [&](size_t i, size_t) {
    const BoundWeight& weight = weights[i];
    if (weight.spec.kind != WeightKind::kMatrix) {
      measured[i] = Choices{{weight.tensor->format, 0.0, 0.0}};
      return;
    }
    measured[i] =
        ChoicesOf(weight, ladder, 1.0 / role_weights[weight.spec.role]);
  });

  std::vector<Choices> choices;
  for (absl::StatusOr<Choices>& of : measured) {
    GEMMA_RETURN_IF_ERROR(of.status());
    choices.push_back(*std::move(of));
  }
  const double least = BitsOf(choices);
  if (least > budget) {
    return absl::InvalidArgumentError(FormatText(
        "%g bits for each weight are too few, the smallest formats take %.3f",
        bits, bits + (least - budget) / all_values));
  }
  std::vector<Format> out;
  for (const Choice& choice : BestPlan(choices, budget).taken) {
    out.push_back(choice.format);
  }
  return out;
}

}  // namespace gemma::internal

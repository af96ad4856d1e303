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
#include "src/model/tensors/low_rank.h"
#include "src/model/tensors/sampled_error.h"
#include "src/model/tensors/wanted_format.h"

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

// Rows of a weight, spread over it. They point into one of the other members.
struct Sample {
  WeightView rows;
  std::optional<TensorValues> stored;
  std::vector<float> merged;
  std::vector<uint8_t> gathered;
};

// Copies rows of experts one after the other.
void GatherRows(const BoundWeight& weight, Sample& sample) {
  const size_t rows = weight.spec.shape[1];
  const size_t all = weight.spec.shape[0] * rows;
  const size_t count = std::min(kSampleRows, all);
  WeightView view = ExpertOf(weight, sample.stored->data(), 0);
  for (size_t i = 0; i < count; ++i) {
    const size_t row = i * all / count;
    view = ExpertOf(weight, sample.stored->data(), row / rows);
    const uint8_t* from = view.Row(row % rows);
    sample.gathered.insert(sample.gathered.end(), from, from + view.RowBytes());
  }
  sample.rows = {view.format, count, view.cols, sample.gathered.data()};
}

absl::StatusOr<Sample> SampleOf(const BoundWeight& weight) {
  Sample sample;
  sample.rows = RowsOf(weight);
  if (!weight.low_ranks.empty()) {
    GEMMA_ASSIGN_OR_RETURN(sample.merged, SampleMerged(weight, kSampleRows));
    const size_t cols = sample.rows.cols;
    sample.rows = {Format::kF32, sample.merged.size() / cols, cols,
                   reinterpret_cast<const uint8_t*>(sample.merged.data())};
    return sample;
  }
  GEMMA_ASSIGN_OR_RETURN(sample.stored, TensorValues::Read(*weight.tensor));
  sample.rows.data = sample.stored->data();
  if (weight.spec.kind == WeightKind::kExperts) GatherRows(weight, sample);
  return sample;
}

// The number of values of a weight, which may be a part of its tensor.
double NumValues(const BoundWeight& weight) {
  double values = 1;
  for (const size_t size : weight.spec.shape) {
    values *= static_cast<double>(size);
  }
  return values;
}

// Whether a weight without a ladder takes the bits of its format.
bool IsStoredIn(const WeightSpec& spec) {
  return spec.kind == WeightKind::kMatrix ||
         spec.kind == WeightKind::kExactMatrix ||
         spec.kind == WeightKind::kExperts || spec.kind == WeightKind::kStack ||
         spec.kind == WeightKind::kTable;
}

// Returns the choices of a weight. `share`: its share of its role's
// sensitivity.
absl::StatusOr<Choices> ChoicesOf(const BoundWeight& weight,
                                  const FormatChoice& choice, double share) {
  const double values = NumValues(weight);
  const size_t cols = weight.spec.shape.back();
  if (choice.fixed.has_value()) {
    const double bits =
        IsStoredIn(weight.spec) ? BitsPerWeight(*choice.fixed, cols) : 32.0;
    return Choices{{*choice.fixed, bits * values, 0.0}};
  }
  GEMMA_ASSIGN_OR_RETURN(const Sample sample, SampleOf(weight));
  const Format kept = KeptFormat(RowsOf(weight).format);
  const double own_bits = BitsPerWeight(kept, cols);
  Choices all = {{kept, own_bits * values, 0.0}};
  for (const Format format : choice.ladder) {
    if (cols % BlockValues(format) != 0) continue;
    const double bits = BitsPerWeight(format, cols);
    if (bits >= own_bits) continue;  // keeping the codes is better
    const std::optional<double> squared =
        SampledError(sample.rows, format, kSampleRows);
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
    absl::Span<const BoundWeight> weights,
    absl::Span<const FormatChoice> choices, double bits, Workers& workers) {
  std::map<WeightRole, double> role_weights;
  double all_values = 0;
  for (const BoundWeight& weight : weights) {
    all_values += NumValues(weight);
    role_weights[weight.spec.role] += 1;
  }
  const double budget = bits * all_values;
  std::vector<absl::StatusOr<Choices>> measured(
      weights.size(), absl::StatusOr<Choices>(Choices()));
  workers.ForEach(weights.size(), [&](size_t i, size_t) {
    measured[i] = ChoicesOf(weights[i], choices[i],
                            1.0 / role_weights[weights[i].spec.role]);
  });

  std::vector<Choices> hulls;
  for (absl::StatusOr<Choices>& of : measured) {
    GEMMA_RETURN_IF_ERROR(of.status());
    hulls.push_back(*std::move(of));
  }
  const double least = BitsOf(hulls);
  if (least > budget) {
    return absl::InvalidArgumentError(FormatText(
        "%g %s for each weight %s too few, the smallest formats take %.3f",
        bits, bits == 1 ? "bit" : "bits", bits == 1 ? "is" : "are",
        bits + (least - budget) / all_values));
  }
  std::vector<Format> out;
  for (const Choice& choice : BestPlan(hulls, budget).taken) {
    out.push_back(choice.format);
  }
  return out;
}

}  // namespace gemma::internal

// What a written file holds of each weight.

#ifndef GEMMA_SRC_QUANTIZE_WEIGHT_PLAN_H_
#define GEMMA_SRC_QUANTIZE_WEIGHT_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/quantize.h"
#include "ops/workers.h"
#include "src/formats/gguf_writer.h"
#include "src/model/tensors/outline.h"
#include "src/quantize/encode.h"
#include "src/quantize/importance.h"

namespace gemma::internal {

// A weight and its target encoding.
struct WeightPlan {
  BoundWeight from;
  Encoding to;
  std::string name;  // in the written file
  // How much each column matters, or, of experts and stacks, each column of
  // each matrix; empty: all alike.
  absl::Span<const float> importance;
  // Rows of a table that the file holds after the weight's own, all equal to
  // the first: llama.cpp wants one for each token, and tokens without a row use
  // the first.
  size_t more_rows = 0;
};

// A tensor of zeros that no computation uses, but that readers look for.
struct UnusedTensor {
  std::string name;
  Format format;
  std::vector<size_t> shape;  // outermost first
  uint64_t bytes;
};

// The matrices, each of shape [rows, cols], that follow each other in a written
// tensor of two dimensions or more.
struct MatricesOf {
  explicit MatricesOf(const WeightSpec& spec);

  size_t count, rows, cols;
};

// Plans all weights of an outline, which is that of `model`, a path for
// messages. `importance` may be null; the plans point into it. Errors: those of
// ChooseFormats; InvalidArgument if the importance is of another model.
absl::StatusOr<std::vector<WeightPlan>> PlanWeightsOf(
    const Outline& outline, std::string_view model,
    const QuantizeOptions& options, const Importance* importance,
    Workers& workers);

// The keys and values of Gemma 3n's layers that use those of others, without
// which llama.cpp does not load a file. Empty for other models, and for packed
// files, which only this library reads.
std::vector<UnusedTensor> UnusedKeysOf(const ModelConfig& config,
                                       const std::vector<WeightPlan>& plans,
                                       FileLayout layout);

// Whether the weight's packed bytes are written as they are.
bool IsCopied(const BoundWeight& weight);

// The bytes of the weight's values in its source that count as progress: those
// that are encoded, which for arranged tensors are not those of the file.
uint64_t ProgressBytes(const BoundWeight& weight);

// Declares the tensors and the keys that describe their types.
void DeclareWeights(const std::vector<WeightPlan>& plans, GgufFileWriter& file);

// The factors that divide the frequencies of RoPE in Gemma 4's global layers,
// from which readers of GGUF files learn how many pairs of a head rotate: a
// tensor `kRopeFactors`. Empty for other models.
inline constexpr char kRopeFactors[] = "rope_freqs.weight";
std::vector<float> RopeFactors(const ModelConfig& config);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_QUANTIZE_WEIGHT_PLAN_H_

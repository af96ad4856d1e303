#include <cmath>
#include <limits>
#include <vector>

#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/model/config/gemma3n.h"
#include "src/model/config/rope_from_gguf.h"
#include "src/model/config/shared_layers.h"

namespace gemma::internal {
namespace {

absl::Status ReadStreams(const KeyReader& keys, const Checkpoint& checkpoint,
                         ConfigDraft& c) {
  size_t active = 0;
  GEMMA_RETURN_IF_ERROR(keys.ReadRequired(kStreamsKey, c.altup_streams));
  GEMMA_RETURN_IF_ERROR(keys.ReadRequired(kActiveStreamKey, active));
  if (c.altup_streams < 2 || c.altup_streams > kMaxStreams) {
    return absl::InvalidArgumentError(FormatText("%s is %u, wanted 2 to %u",
                                                 keys.Where(kStreamsKey),
                                                 c.altup_streams, kMaxStreams));
  }
  if (active != 0) {
    return absl::InvalidArgumentError(
        FormatText("%s is %u, wanted 0", keys.Where(kActiveStreamKey), active));
  }
  // No key states the rank. A tensor that is missing is an error once it is
  // looked for.
  const Tensor* left = FindGgufTensor(checkpoint, WeightRole::kLaurelLeft);
  c.laurel_rank =
      left != nullptr && left->shape.size() == 2 ? left->shape[0] : 1;
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadGemma3n(const KeyReader& keys, const Checkpoint& checkpoint,
                         ConfigDraft& c) {
  c.post_norms = true;
  c.qk_norm = true;
  c.value_norm = true;
  c.rope_base_global = 1000000.0f;
  GEMMA_RETURN_IF_ERROR(
      keys.ReadRequired("attention.sliding_window", c.sliding_window));
  GEMMA_RETURN_IF_ERROR(ReadTwoRopes(keys, /*num_layers=*/c.blocks.size(), c));
  c.final_logits_soft_cap = 30.0f;  // as llama.cpp, for files without the key
  GEMMA_RETURN_IF_ERROR(
      keys.Read("final_logit_softcapping", c.final_logits_soft_cap));
  GEMMA_RETURN_IF_ERROR(ReadStreams(keys, checkpoint, c));
  constexpr char kWidth[] = "embedding_length_per_layer_input";
  GEMMA_RETURN_IF_ERROR(keys.ReadRequired(kWidth, c.per_layer_dim));
  if (c.per_layer_dim == 0) {
    return absl::InvalidArgumentError(
        FormatText("%s is 0, wanted at least 1", keys.Where(kWidth)));
  }
  // As above, a table that is missing is an error later.
  const Tensor* table = FindGgufTensor(checkpoint, WeightRole::kPerLayerTable);
  c.per_layer_vocab =
      table != nullptr && table->shape.size() == 2 ? table->shape[0] : 1;
  return absl::OkStatus();
}

absl::Status ReadGemma3nLayers(const KeyReader& keys, ModelConfig& c) {
  constexpr char kShared[] = "attention.shared_kv_layers";
  size_t num_shared = 0;
  GEMMA_RETURN_IF_ERROR(keys.ReadRequired(kShared, num_shared));
  GEMMA_RETURN_IF_ERROR(ShareKeys(num_shared, keys.Where(kShared), c.layers));
  std::vector<double> cutoffs;
  GEMMA_RETURN_IF_ERROR(keys.ReadRequired(kCutoffKey, cutoffs));
  if (cutoffs.size() != c.num_layers()) {
    return absl::InvalidArgumentError(
        FormatText("%s has %u elements, block_count is %u",
                   keys.Where(kCutoffKey), cutoffs.size(), c.num_layers()));
  }
  for (size_t i = 0; i < cutoffs.size(); ++i) {
    if (cutoffs[i] == -std::numeric_limits<double>::infinity()) continue;
    if (!(std::abs(cutoffs[i]) <= std::numeric_limits<float>::max())) {
      return absl::InvalidArgumentError(
          FormatText("%s is %g for layer %u, wanted a finite number, or "
                     "-infinity for gates that stay",
                     keys.Where(kCutoffKey), cutoffs[i], i));
    }
    c.layers[i].gate_cutoff = static_cast<float>(cutoffs[i]);
  }
  return absl::OkStatus();
}

}  // namespace gemma::internal

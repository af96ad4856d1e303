#include "src/model/tensors/fused_tensors.h"

#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/model/tensors/tensor_names.h"

namespace gemma::internal {
namespace {

// Gives the tensor's scale, if it has one, to a part of it; see
// tensor_scales.h.
void ShareScale(const std::string& stem, std::string part,
                Checkpoint& checkpoint) {
  const auto scale = checkpoint.tensors.find(absl::StrCat(stem, ".scale"));
  if (scale == checkpoint.tensors.end()) return;
  const Tensor tensor = scale->second;
  part.resize(part.size() - std::string_view("weight").size());
  checkpoint.tensors.try_emplace(absl::StrCat(part, "scale"), tensor);
}

absl::Status SplitLayer(const LayerConfig& layer, size_t index,
                        Checkpoint& checkpoint) {
  const std::string stem = absl::StrCat("blk.", index, ".attn_qkv");
  const std::string name = absl::StrCat(stem, ".weight");
  const auto found = checkpoint.tensors.find(name);
  if (found == checkpoint.tensors.end()) return absl::OkStatus();
  const Tensor fused = found->second;
  const size_t rows = layer.q_dim() + 2 * layer.kv_dim();
  if (fused.shape.size() != 2 || fused.shape[0] != rows ||
      fused.arrangement.has_value() || fused.packed.has_value()) {
    return absl::InvalidArgumentError(
        FormatText("%s: tensor '%s' is [%s], the configuration needs %u rows",
                   fused.file, name, absl::StrJoin(fused.shape, ", "), rows));
  }
  checkpoint.tensors.erase(found);
  const size_t row_bytes = RowsOf(fused).RowBytes();
  const TensorNames names = TensorNames::Gguf();
  Tensor part = fused;
  for (const auto& [role, count] :
       {std::pair(WeightRole::kQProj, layer.q_dim()),
        std::pair(WeightRole::kKProj, layer.kv_dim()),
        std::pair(WeightRole::kVProj, layer.kv_dim())}) {
    part.shape[0] = count;
    part.bytes = count * row_bytes;
    if (role == WeightRole::kQProj || layer.has_own_kv()) {
      const std::string of_part = names.Name(role, index);
      if (!checkpoint.tensors.try_emplace(of_part, part).second) {
        return absl::InvalidArgumentError(FormatText(
            "%s: tensors '%s' and '%s' are both there, wanted one of them",
            fused.file, of_part, name));
      }
      ShareScale(stem, of_part, checkpoint);
    }
    part.data += part.bytes;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SplitFused(const ModelConfig& config, Checkpoint& checkpoint) {
  if (checkpoint.kind != CheckpointKind::kGguf) return absl::OkStatus();
  for (size_t i = 0; i < config.num_layers(); ++i) {
    if (config.layers[i].type == BlockType::kRecurrent) continue;
    GEMMA_RETURN_IF_ERROR(SplitLayer(config.layers[i], i, checkpoint));
  }
  return absl::OkStatus();
}

}  // namespace gemma::internal

#include "src/model/config/read_config.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {

std::vector<BlockType> BlocksOf(const ModelConfig& config) {
  std::vector<BlockType> blocks;
  for (const LayerConfig& layer : config.layers) blocks.push_back(layer.type);
  return blocks;
}

std::vector<BlockType> PeriodicBlocks(size_t num_layers, size_t period) {
  std::vector<BlockType> blocks(num_layers);
  for (size_t l = 0; l < num_layers; ++l) {
    blocks[l] = (l + 1) % period == 0 ? BlockType::kGlobalAttention
                                      : BlockType::kLocalAttention;
  }
  return blocks;
}

absl::StatusOr<std::vector<BlockType>> RepeatedBlocks(
    const std::vector<std::string>& pattern, size_t num_layers,
    std::string_view where) {
  if (pattern.empty()) {
    return absl::InvalidArgumentError(
        FormatText("%s is empty, wanted 'recurrent' and 'attention'", where));
  }
  for (const std::string& word : pattern) {
    if (word != "recurrent" && word != "attention") {
      return absl::InvalidArgumentError(
          FormatText("%s holds %s, wanted 'recurrent' or 'attention'", where,
                     Quoted(word)));
    }
  }
  std::vector<BlockType> blocks(num_layers);
  for (size_t l = 0; l < num_layers; ++l) {
    blocks[l] = pattern[l % pattern.size()] == "recurrent"
                    ? BlockType::kRecurrent
                    : BlockType::kLocalAttention;
  }
  return blocks;
}

bool IsOfFamily(std::string_view name) {
  return absl::StrContainsIgnoreCase(name, "gemma");
}

void FillLayers(ConfigDraft& draft) {
  if (!draft.layers.empty()) return;
  for (const BlockType type : draft.blocks) {
    LayerConfig& layer = draft.layers.emplace_back(draft.all);
    layer.type = type;
    const bool global = type == BlockType::kGlobalAttention;
    layer.rope.base = global ? draft.rope_base_global : draft.rope_base_local;
    layer.rope.factor =
        global ? draft.rope_factor_global : draft.rope_factor_local;
    if (type == BlockType::kLocalAttention) {
      layer.sliding_window = draft.sliding_window;
    }
  }
}

ModelConfig Finished(ConfigDraft draft, Notes* notes) {
  FillLayers(draft);
  if (notes != nullptr) {
    std::move(draft.notes.begin(), draft.notes.end(),
              std::back_inserter(*notes));
  }
  return draft;
}

float InverseRoot(size_t value) {
  return 1.0f / std::sqrt(static_cast<float>(value));
}

absl::StatusOr<ModelConfig> ReadConfig(const Checkpoint& checkpoint,
                                       RecurrentWindow window, Notes* notes) {
  switch (checkpoint.kind) {
    case CheckpointKind::kGguf:
      return ConfigFromGguf(checkpoint, window, notes);
    case CheckpointKind::kHuggingFace:
      return ConfigFromJson(checkpoint, window, notes);
    case CheckpointKind::kSbs:
      return ConfigFromSbs(checkpoint, window);
  }
  return absl::InternalError("unknown kind of checkpoint");
}

Conventions ConventionsOf(const Checkpoint& checkpoint) {
  switch (checkpoint.kind) {
    case CheckpointKind::kGguf:
      return GgufConventionsOf(checkpoint);
    case CheckpointKind::kHuggingFace:
      return HfConventionsOf(checkpoint);
    case CheckpointKind::kSbs:
      return {.norms_minus_one = true, .stores_log_a = true};
  }
  return {};
}

}  // namespace gemma::internal

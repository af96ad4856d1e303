#include "src/model/tensors/unused_tensors.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "compression/codec.h"
#include "src/base/format_text.h"
#include "src/base/hash_table.h"
#include "src/base/messages.h"
#include "src/model/config/gemma3n.h"
#include "src/model/config/gemma4_from_gguf.h"

namespace gemma::internal {
namespace {

// Bytes that are compared before their memory is released.
constexpr size_t kPieceBytes = size_t{16} << 20;

// The first words of the names of towers that are not text, and of what
// connects them: in Hugging Face's files, and in those of llama.cpp and Ollama.
constexpr std::string_view kOtherTowers[] = {
    "vision_tower.",    "vision_model.", "multi_modal_projector.",
    "vision_embedder.", "embed_vision.", "audio_tower.",
    "embed_audio."};
constexpr std::string_view kGgufTowers[] = {"v.", "mm.", "a."};

template <size_t kSize>
bool BeginsWithOne(std::string_view name,
                   const std::string_view (&words)[kSize]) {
  return std::any_of(
      std::begin(words), std::end(words),
      [&](std::string_view word) { return absl::StartsWith(name, word); });
}

// Whether published files of the model hold towers that are not text.
bool ComesWithTowers(const ModelConfig& config) {
  return IsGemma4(config.architecture) || config.architecture == kGemma3n;
}

// Frequencies of RoPE, which some tools save with the weights. They follow from
// the configuration; readers use the factors of Gemma 4's GGUF files for it.
bool IsFrequency(std::string_view name, const ModelConfig& config) {
  return absl::EndsWith(name, "rotary_emb.inv_freq") ||
         (IsGemma4(config.architecture) && name == "rope_freqs.weight");
}

bool IsOfTower(std::string_view name, bool is_gguf) {
  return is_gguf ? BeginsWithOne(name, kGgufTowers) : IsTowerName(name);
}

// The names of the weights that layers would have if they did not read the keys
// and values of others. Published files have them.
HashSet<std::string> NamesOfShared(const ModelConfig& config,
                                   const TensorNames& names) {
  HashSet<std::string> out;
  for (size_t i = 0; i < config.num_layers(); ++i) {
    if (config.layers[i].has_own_kv()) continue;
    for (const WeightRole role :
         {WeightRole::kKProj, WeightRole::kVProj, WeightRole::kKNorm}) {
      out.insert(names.Name(role, i));
    }
  }
  return out;
}

// Scales of a tensor that is used; see tensor_scales.h.
bool IsScaleOf(const HashSet<std::string_view>& used, std::string_view name) {
  if (absl::ConsumeSuffix(&name, "_scale_inv") ||
      absl::ConsumeSuffix(&name, "_scale")) {
    return used.contains(name);
  }
  return absl::ConsumeSuffix(&name, ".scale") &&
         used.contains(absl::StrCat(name, ".weight"));
}

bool SameBytes(const Checkpoint& checkpoint, const Tensor& a, const Tensor& b) {
  for (size_t begin = 0; begin < a.bytes; begin += kPieceBytes) {
    const size_t size = std::min(kPieceBytes, a.bytes - begin);
    if (std::memcmp(a.data + begin, b.data + begin, size) != 0) return false;
    for (Tensor part : {a, b}) {
      part.data += begin;
      part.bytes = size;
      checkpoint.Release(part);
    }
  }
  return true;
}

// Adds one note for tensors without use that published files have.
void NoteSkipped(const Checkpoint& checkpoint, size_t num_of_towers,
                 size_t num_shared, Notes& notes) {
  std::vector<std::string> parts;
  if (num_of_towers != 0) {
    parts.push_back(
        FormatText("towers for images or sound (%u tensors)", num_of_towers));
  }
  if (num_shared != 0) {
    parts.push_back(FormatText(
        "keys and values of layers that use those of others (%u tensors)",
        num_shared));
  }
  if (parts.empty()) return;
  notes.push_back(FormatText("%s: skips %s", checkpoint.path,
                             absl::StrJoin(parts, ", and ")));
}

}  // namespace

bool IsTowerName(std::string_view name) {
  absl::ConsumePrefix(&name, "model.");
  return BeginsWithOne(name, kOtherTowers);
}

bool SameValues(const Checkpoint& checkpoint, const Tensor& a,
                const Tensor& b) {
  if (a.shape != b.shape || a.shape.size() != 2) return false;
  if (a.format == b.format && a.packed == b.packed && a.bytes == b.bytes) {
    return SameBytes(checkpoint, a, b);
  }
  if (a.packed.has_value() || b.packed.has_value()) return false;
  const WeightView x = RowsOf(a);
  const WeightView y = RowsOf(b);
  std::vector<float> x_row(x.cols);
  std::vector<float> y_row(y.cols);
  for (size_t row = 0; row < x.rows; ++row) {
    DecodeRow(x, row, x_row.data());
    DecodeRow(y, row, y_row.data());
    if (x_row != y_row) return false;
  }
  return true;
}

void NoteUnused(const Checkpoint& checkpoint, const ModelConfig& config,
                const TensorNames& names,
                const std::vector<BoundWeight>& weights, Notes& notes) {
  HashSet<std::string_view> used;
  for (const BoundWeight& weight : weights) {
    used.insert(weight.name);
    for (const BoundPart& part : weight.parts) used.insert(part.name);
  }
  // A copy of the embedding is of use to other programs.
  const std::string head = names.Name(WeightRole::kHead);
  used.insert(head);
  const bool is_gguf = checkpoint.kind == CheckpointKind::kGguf;
  const HashSet<std::string> shared = NamesOfShared(config, names);
  std::vector<std::string_view> unused;
  size_t num_of_towers = 0;
  size_t num_shared = 0;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    if (used.contains(name) || IsFrequency(name, config) ||
        IsScaleOf(used, name)) {
      continue;
    }
    if (IsOfTower(name, is_gguf)) {
      ++num_of_towers;
    } else if (shared.contains(name)) {
      ++num_shared;
    } else {
      unused.push_back(name);
    }
  }
  NoteSkipped(checkpoint,
              is_gguf || ComesWithTowers(config) ? num_of_towers : 0,
              num_shared, notes);
  if (unused.empty()) return;
  notes.push_back(
      FormatText("%s: %u tensors have no use in this model, for example %s",
                 checkpoint.path, unused.size(),
                 Quoted(*std::min_element(unused.begin(), unused.end()))));
}

}  // namespace gemma::internal

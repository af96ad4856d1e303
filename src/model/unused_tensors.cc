#include "src/model/unused_tensors.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "compression/codec.h"
#include "src/base/format_text.h"
#include "src/base/hash_table.h"
#include "src/base/messages.h"

namespace gemma::internal {
namespace {

// Bytes that are compared before their memory is released.
constexpr size_t kPieceBytes = size_t{16} << 20;

// The first words of the names of vision towers: in Hugging Face's files, and
// in those of llama.cpp and Ollama.
constexpr std::string_view kVision[] = {
    "vision_tower.",       "multi_modal_projector.",
    "vision_model.",       "model.vision_tower.",
    "model.vision_model.", "model.multi_modal_projector."};
constexpr std::string_view kGgufVision[] = {"v.", "mm."};

template <size_t kSize>
bool BeginsWithOne(std::string_view name,
                   const std::string_view (&words)[kSize]) {
  return std::any_of(
      std::begin(words), std::end(words),
      [&](std::string_view word) { return absl::StartsWith(name, word); });
}

// Frequencies of RoPE, which some tools save with the weights. They follow from
// the configuration.
bool IsFrequency(std::string_view name) {
  return absl::EndsWith(name, "rotary_emb.inv_freq");
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

}  // namespace

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

void NoteUnused(const Checkpoint& checkpoint, const TensorNames& names,
                const std::vector<BoundWeight>& weights, Notes& notes) {
  HashSet<std::string_view> used;
  for (const BoundWeight& weight : weights) used.insert(weight.name);
  // A copy of the embedding is of use to other programs.
  const std::string head = names.Name(WeightRole::kHead);
  used.insert(head);
  const bool is_gguf = checkpoint.kind == CheckpointKind::kGguf;
  std::vector<std::string_view> unused;
  size_t vision = 0;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    if (used.contains(name) || IsFrequency(name) || IsScaleOf(used, name)) {
      continue;
    }
    if (is_gguf ? BeginsWithOne(name, kGgufVision)
                : BeginsWithOne(name, kVision)) {
      ++vision;
    } else {
      unused.push_back(name);
    }
  }
  if (is_gguf && vision != 0) {
    notes.push_back(
        FormatText("%s: skips a vision tower (%u tensors): only text is read",
                   checkpoint.path, vision));
  }
  if (unused.empty()) return;
  notes.push_back(
      FormatText("%s: %u tensors have no use in this model, for example %s",
                 checkpoint.path, unused.size(),
                 Quoted(*std::min_element(unused.begin(), unused.end()))));
}

}  // namespace gemma::internal

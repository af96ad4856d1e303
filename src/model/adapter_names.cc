#include "src/model/adapter_names.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "src/model/tensor_names.h"
#include "src/model/weight_table.h"

namespace gemma::internal {
namespace {

constexpr std::string_view kPeftPrefix = "base_model.model.";
constexpr std::string_view kWeight = ".weight";

// Prefixes of the text tower's modules, longest first; see TensorNames.
constexpr std::string_view kTowers[] = {"model.language_model.",
                                        "language_model.model.", "model.",
                                        "language_model.", ""};

// The infix that begins the last part of a PEFT name.
struct Infix {
  std::string_view text;
  AdapterPart part;
  std::string_view ending;  // after the adapter's name, if there is one
};
constexpr Infix kInfixes[] = {
    {".lora_A", AdapterPart::kA, kWeight},
    {".lora_B", AdapterPart::kB, kWeight},
    {".lora_embedding_A", AdapterPart::kEmbeddingA, ""},
    {".lora_embedding_B", AdapterPart::kEmbeddingB, ""},
};

// Whether `text` is empty or the name of an adapter, ".default".
bool IsAdapterName(std::string_view text) {
  return text.empty() || (text.size() > 1 && text.rfind('.') == 0);
}

}  // namespace

std::optional<AdapterTensorName> ParsePeftName(std::string_view name) {
  absl::ConsumePrefix(&name, kPeftPrefix);
  for (const Infix& infix : kInfixes) {
    const size_t at = name.rfind(infix.text);
    if (at == std::string_view::npos) continue;
    std::string_view rest = name.substr(at + infix.text.size());
    if (absl::ConsumeSuffix(&rest, infix.ending) && IsAdapterName(rest)) {
      return AdapterTensorName{name.substr(0, at), infix.part};
    }
  }
  if (!absl::ConsumeSuffix(&name, kWeight)) return std::nullopt;
  absl::ConsumeSuffix(&name, ".base_layer");
  return AdapterTensorName{name, AdapterPart::kWhole};
}

std::optional<AdapterTensorName> ParseGgufName(std::string_view name) {
  if (absl::ConsumeSuffix(&name, ".lora_a")) {
    return AdapterTensorName{name, AdapterPart::kA};
  }
  if (absl::ConsumeSuffix(&name, ".lora_b")) {
    return AdapterTensorName{name, AdapterPart::kB};
  }
  return std::nullopt;
}

bool IsVisionModule(std::string_view module) {
  absl::ConsumePrefix(&module, "model.");
  return absl::StartsWith(module, "vision_tower.") ||
         absl::StartsWith(module, "multi_modal_projector.");
}

AdapterTargets::AdapterTargets(Outline& outline) {
  BoundWeight* embedding = nullptr;
  BoundWeight* head = nullptr;
  for (BoundWeight& weight : outline.weights) {
    const WeightSpec& spec = weight.spec;
    const WeightRow& row = RowOf(spec.role);
    if (spec.kind != WeightKind::kMatrix || row.scope == WeightScope::kDense) {
      continue;
    }
    if (spec.role == WeightRole::kEmbedding) embedding = &weight;
    if (spec.role == WeightRole::kHead) head = &weight;
    gguf_[TensorNames::Gguf().Name(spec.role, spec.layer)] = &weight;
    std::string_view name =
        outline.config.lru_width != 0 ? row.names.recurrent : row.names.hf;
    absl::ConsumeSuffix(&name, kWeight);
    modules_[row.scope == WeightScope::kLayer
                 ? absl::StrCat("layers.", spec.layer, ".", name)
                 : std::string(name)] = &weight;
  }
  if (head == nullptr && outline.config.pooling == Pooling::kNone) {
    tied_ = true;
    const WeightNames& names = RowOf(WeightRole::kHead).names;
    std::string_view name = names.hf;
    absl::ConsumeSuffix(&name, kWeight);
    modules_[std::string(name)] = embedding;
    gguf_[std::string(names.gguf)] = embedding;
  }
}

BoundWeight* AdapterTargets::FindModule(std::string_view module) const {
  for (const std::string_view tower : kTowers) {
    if (!absl::StartsWith(module, tower)) continue;
    const auto found = modules_.find(module.substr(tower.size()));
    if (found != modules_.end()) return found->second;
  }
  return nullptr;
}

BoundWeight* AdapterTargets::FindGguf(std::string_view tensor) const {
  const auto found = gguf_.find(tensor);
  return found == gguf_.end() ? nullptr : found->second;
}

}  // namespace gemma::internal

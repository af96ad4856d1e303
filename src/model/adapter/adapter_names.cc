#include "src/model/adapter/adapter_names.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "src/model/tensors/tensor_names.h"
#include "src/model/tensors/weight_table.h"

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

// The module of a weight, without the tower's prefix.
std::string ModuleOf(const ModelConfig& config, const WeightRow& row,
                     size_t layer) {
  std::string_view name =
      config.lru_width != 0 ? row.names.recurrent : row.names.hf;
  absl::ConsumeSuffix(&name, kWeight);
  const std::string_view folder =
      FolderOf(row.role, config.architecture == "gemma-embedding2"
                             ? Naming::kHfEmbedding2
                             : Naming::kHf);
  return row.scope == WeightScope::kLayer
             ? absl::StrCat("layers.", layer, ".", folder, name)
             : absl::StrCat(folder, name);
}

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
    modules_[ModuleOf(outline.config, row, spec.layer)] = &weight;
  }
  AddRefused(outline.config);
  if (head == nullptr && outline.config.pooling == Pooling::kNone) {
    tied_ = true;
    const WeightNames& names = RowOf(WeightRole::kHead).names;
    std::string_view name = names.hf;
    absl::ConsumeSuffix(&name, kWeight);
    modules_[std::string(name)] = embedding;
    gguf_[std::string(names.gguf)] = embedding;
  }
}

void AdapterTargets::AddRefused(const ModelConfig& config) {
  const auto refuse = [&](WeightRole role, size_t layer, std::string why) {
    refused_modules_[ModuleOf(config, RowOf(role), layer)] = why;
    refused_gguf_[TensorNames::Gguf().Name(role, layer)] = std::move(why);
  };
  if (config.per_layer_vocab != 0) {
    refuse(WeightRole::kPerLayerTable, 0,
           ": the table of per-layer embeddings stays as it is in its file");
  }
  for (const WeightRole role :
       {WeightRole::kAltUpProj, WeightRole::kAltUpUnembed}) {
    const std::string why = ": adapters of AltUp's matrices are not read";
    const std::string module = ModuleOf(config, RowOf(role), 0);
    for (size_t i = 0; i + 1 < config.altup_streams; ++i) {
      refused_modules_[absl::StrReplaceAll(module, {{"*", absl::StrCat(i)}})] =
          why;
      refused_gguf_[TensorNames::Gguf().Name(role)] = why;
    }
  }
  for (size_t i = 0; i < config.num_layers(); ++i) {
    const LayerConfig& layer = config.layers[i];
    if (config.altup_streams != 0) {
      for (const WeightRole role :
           {WeightRole::kAltUpRouter, WeightRole::kAltUpPredict,
            WeightRole::kAltUpCorrect}) {
        refuse(role, i, ": adapters of AltUp's matrices are not read");
      }
    }
    if (layer.k_eq_v) {
      refuse(WeightRole::kVProj, i,
             absl::StrCat(": the values of layer ", i, " are its keys"));
    }
    if (!layer.has_own_kv()) {
      for (const WeightRole role : {WeightRole::kKProj, WeightRole::kVProj}) {
        refuse(
            role, i,
            absl::StrCat(": layer ", i, " reads the keys and values of layer ",
                         *layer.kv_source));
      }
    }
    if (layer.num_experts == 0) continue;
    refuse(WeightRole::kRouter, i,
           ": adapters of the router of experts are not read");
    const std::string experts = ": adapters of experts are not read";
    for (const WeightRole role :
         {WeightRole::kExpertGate, WeightRole::kExpertUp,
          WeightRole::kExpertDown}) {
      refuse(role, i, experts);
    }
    // PEFT's name for an adapter of a parameter without a module of its own.
    refused_modules_[absl::StrCat("layers.", i, ".experts")] = experts;
    refused_gguf_[TensorNames::Gguf().FusedName(WeightRole::kExpertUp, i)] =
        experts;
  }
}

std::string_view AdapterTargets::WhyNotModule(std::string_view module) const {
  // Layers of PEFT may be nested.
  while (absl::ConsumeSuffix(&module, ".base_layer")) {
  }
  for (const std::string_view tower : kTowers) {
    if (!absl::StartsWith(module, tower)) continue;
    const auto found = refused_modules_.find(module.substr(tower.size()));
    if (found != refused_modules_.end()) return found->second;
  }
  return "";
}

std::string_view AdapterTargets::WhyNotGguf(std::string_view tensor) const {
  const auto found = refused_gguf_.find(tensor);
  return found == refused_gguf_.end() ? std::string_view() : found->second;
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

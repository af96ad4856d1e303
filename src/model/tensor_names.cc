#include "src/model/tensor_names.h"

#include <string_view>

#include "absl/strings/str_cat.h"

namespace gemma::internal {
namespace {

// Returns the prefix of the text tower's names. Some files have none; those of
// models with vision have a longer one, in an old and a new form.
std::string FindPrefix(const Checkpoint& checkpoint) {
  for (const char* prefix :
       {"model.", "language_model.model.", "model.language_model.", ""}) {
    if (checkpoint.tensors.contains(
            absl::StrCat(prefix, RowOf(WeightRole::kEmbedding).names.hf))) {
      return prefix;
    }
  }
  return "model.";
}

std::string_view NameIn(const WeightNames& names, Naming naming) {
  switch (naming) {
    case Naming::kGguf:
      return names.gguf;
    case Naming::kHf:
      return names.hf;
    case Naming::kHfGemma1:
      return names.hf_gemma1.empty() ? names.hf : names.hf_gemma1;
    case Naming::kHfRecurrent:
      return names.recurrent;
  }
  return "";
}

}  // namespace

TensorNames::TensorNames(const Checkpoint& checkpoint, Naming naming)
    : naming_(naming) {
  if (naming_ == Naming::kGguf) return;
  prefix_ = FindPrefix(checkpoint);
  for (const Module* module : ModulesOf(checkpoint, "Dense")) {
    dense_.push_back(module->TensorName(RowOf(WeightRole::kDense).names.hf));
  }
}

std::string TensorNames::Name(WeightRole role, size_t layer) const {
  const WeightRow& row = RowOf(role);
  const bool gguf = naming_ == Naming::kGguf;
  if (row.scope == WeightScope::kDense && !gguf) {
    return layer < dense_.size() ? dense_[layer] : "";
  }
  const std::string_view name = NameIn(row.names, naming_);
  if (name.empty()) return "";
  switch (row.scope) {
    case WeightScope::kModel:
      // The head does not belong to the text tower.
      if (gguf || role == WeightRole::kHead) return std::string(name);
      return absl::StrCat(prefix_, name);
    case WeightScope::kLayer:
      return gguf ? absl::StrCat("blk.", layer, ".", name)
                  : absl::StrCat(prefix_, "layers.", layer, ".", name);
    case WeightScope::kDense:
      // llama.cpp numbers them as sentence-transformers' modules, the first two
      // of which are the transformer and pooling.
      return absl::StrCat("dense_", layer + 2, ".", name);
  }
  return "";
}

}  // namespace gemma::internal

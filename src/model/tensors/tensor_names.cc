#include "src/model/tensors/tensor_names.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace gemma::internal {
namespace {

bool IsGguf(Naming naming) {
  return naming == Naming::kGguf || naming == Naming::kGgufEmbedding2;
}

std::string_view NameIn(const WeightNames& names, Naming naming) {
  switch (naming) {
    case Naming::kGguf:
    case Naming::kGgufEmbedding2:
      return names.gguf;
    case Naming::kHf:
    case Naming::kHfEmbedding2:
      return names.hf;
    case Naming::kHfGemma1:
      return names.hf_gemma1.empty() ? names.hf : names.hf_gemma1;
    case Naming::kHfRecurrent:
      return names.recurrent;
  }
  return "";
}

// Returns the prefix of the text tower's names. Some files have none; those of
// models with vision have a longer one, in an old and a new form. A file that
// lacks the embedding under its own name still has the last norm.
std::string FindPrefix(const Checkpoint& checkpoint, Naming naming) {
  for (const WeightRole role :
       {WeightRole::kEmbedding, WeightRole::kFinalNorm}) {
    for (const char* prefix :
         {"model.", "language_model.model.", "model.language_model.",
          "language_model.", ""}) {
      if (checkpoint.tensors.contains(
              absl::StrCat(prefix, NameIn(RowOf(role).names, naming)))) {
        return prefix;
      }
    }
  }
  return "model.";
}

// Returns the name of the head, which is outside the text tower in most files.
std::string FindHead(const Checkpoint& checkpoint, std::string_view name,
                     std::string_view prefix) {
  for (const std::string_view outer :
       {std::string_view(""), std::string_view("language_model."),
        std::string_view("model.language_model."), prefix}) {
    std::string full = absl::StrCat(outer, name);
    if (checkpoint.tensors.contains(full)) return full;
  }
  return std::string(name);
}

// Whether the files may store the embedding under the head's name.
bool MayBeTied(const Checkpoint& checkpoint) {
  bool tied = true;
  if (checkpoint.config.has_value()) {
    checkpoint.config->Read("tie_word_embeddings", tied).IgnoreError();
  }
  return tied;
}

}  // namespace

std::string_view FolderOf(WeightRole role, Naming naming) {
  if (naming != Naming::kHfEmbedding2) return "";
  switch (role) {
    case WeightRole::kPerLayerContext:
    case WeightRole::kPerLayerNorm:
      return "ple.";
    case WeightRole::kPerLayerGate:
    case WeightRole::kPerLayerProj:
    case WeightRole::kPostPerLayerNorm:
      return "ple_block.";
    default:
      return "";
  }
}

TensorNames::TensorNames(const Checkpoint& checkpoint, Naming naming)
    : naming_(naming) {
  const std::string_view head = NameIn(RowOf(WeightRole::kHead).names, naming);
  if (!IsGguf(naming_)) prefix_ = FindPrefix(checkpoint, naming);
  head_ =
      IsGguf(naming_) ? std::string(head) : FindHead(checkpoint, head, prefix_);
  table_is_head_ = !checkpoint.tensors.contains(Name(WeightRole::kEmbedding)) &&
                   checkpoint.tensors.contains(head_) && MayBeTied(checkpoint);
  if (naming_ == Naming::kGgufEmbedding2) dense_.push_back(head_);
  if (naming_ == Naming::kHfEmbedding2) {
    dense_.push_back(absl::StrCat(prefix_, "embedding_projection.weight"));
  }
  if (IsGguf(naming_)) return;
  for (const Module* module : ModulesOf(checkpoint.modules, "Dense")) {
    dense_.push_back(module->TensorName(RowOf(WeightRole::kDense).names.hf));
  }
}

TensorNames TensorNames::Gguf(std::string_view architecture) {
  TensorNames names;
  if (architecture == "gemma-embedding2") {
    names.naming_ = Naming::kGgufEmbedding2;
    names.dense_ = {std::string(RowOf(WeightRole::kHead).names.gguf)};
  }
  return names;
}

std::string TensorNames::Name(WeightRole role, size_t layer) const {
  const WeightRow& row = RowOf(role);
  const bool gguf = IsGguf(naming_);
  if (row.scope == WeightScope::kDense && naming_ != Naming::kGguf) {
    return layer < dense_.size() ? dense_[layer] : "";
  }
  if (!head_.empty() && (role == WeightRole::kHead ||
                         (role == WeightRole::kEmbedding && table_is_head_))) {
    return head_;
  }
  const std::string_view name = NameIn(row.names, naming_);
  const std::string_view folder = FolderOf(role, naming_);
  if (name.empty()) return "";
  switch (row.scope) {
    case WeightScope::kModel:
      return absl::StrCat(prefix_, folder, name);
    case WeightScope::kLayer:
      return gguf ? absl::StrCat("blk.", layer, ".", name)
                  : absl::StrCat(prefix_, "layers.", layer, ".", folder, name);
    case WeightScope::kDense:
      // llama.cpp numbers them as sentence-transformers' modules, the first two
      // of which are the transformer and pooling.
      return absl::StrCat("dense_", layer + 2, ".", name);
  }
  return "";
}

std::string TensorNames::PartName(WeightRole role, size_t part) const {
  return absl::StrReplaceAll(Name(role), {{"*", absl::StrCat(part)}});
}

std::string TensorNames::FusedName(WeightRole role, size_t layer) const {
  if (role != WeightRole::kExpertGate && role != WeightRole::kExpertUp) {
    return "";
  }
  return IsGguf(naming_)
             ? absl::StrCat("blk.", layer, ".", "ffn_gate_up_exps.weight")
             : Name(role, layer);
}

}  // namespace gemma::internal

#include "src/model/tensor_names.h"

#include <string_view>

#include "absl/strings/str_cat.h"

namespace gemma::internal {
namespace {

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

TensorNames::TensorNames(const Checkpoint& checkpoint, Naming naming)
    : naming_(naming) {
  const std::string_view head = NameIn(RowOf(WeightRole::kHead).names, naming);
  if (naming_ != Naming::kGguf) prefix_ = FindPrefix(checkpoint, naming);
  head_ = naming_ == Naming::kGguf ? std::string(head)
                                   : FindHead(checkpoint, head, prefix_);
  table_is_head_ = !checkpoint.tensors.contains(Name(WeightRole::kEmbedding)) &&
                   checkpoint.tensors.contains(head_) && MayBeTied(checkpoint);
  if (naming_ == Naming::kGguf) return;
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
  if (!head_.empty() && (role == WeightRole::kHead ||
                         (role == WeightRole::kEmbedding && table_is_head_))) {
    return head_;
  }
  const std::string_view name = NameIn(row.names, naming_);
  if (name.empty()) return "";
  switch (row.scope) {
    case WeightScope::kModel:
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

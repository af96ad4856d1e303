// The names of tensors in adapters.

#ifndef GEMMA_SRC_MODEL_ADAPTER_ADAPTER_NAMES_H_
#define GEMMA_SRC_MODEL_ADAPTER_ADAPTER_NAMES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/hash_table.h"
#include "src/model/tensors/outline.h"

namespace gemma::internal {

// What a tensor of an adapter is.
enum class AdapterPart {
  kA,           // [r, cols]
  kB,           // [rows, r]
  kEmbeddingA,  // PEFT, of the embedding: [r, rows]
  kEmbeddingB,  // PEFT, of the embedding: [cols, r]
  kWhole,       // PEFT: a copy of the matrix itself, [rows, cols]
};

struct AdapterTensorName {
  // PEFT: a module of the base model, such as "model.layers.0.mlp.up_proj".
  // GGUF: the name of the model's tensor.
  std::string_view target;
  AdapterPart part;
};

// Takes a name apart; nothing if it is not that of an adapter's tensor. PEFT
// writes "base_model.model.<module>.lora_A.weight", in older versions with the
// adapter's name after "lora_A", and the base layer of an embedding that has an
// adapter ("base_layer.weight") or was resized ("weight"). llama.cpp writes
// "<tensor>.lora_a".
std::optional<AdapterTensorName> ParsePeftName(std::string_view name);
std::optional<AdapterTensorName> ParseGgufName(std::string_view name);

// Finds the matrices of a model by the names that adapters use.
class AdapterTargets {
 public:
  // The outline must outlive this, with the same weights.
  explicit AdapterTargets(Outline& outline);

  // Return the weight, or null. The head of a model without one is its
  // embedding.
  BoundWeight* FindModule(std::string_view module) const;
  BoundWeight* FindGguf(std::string_view tensor) const;

  // Why the model has no such matrix, or why adapters cannot change it, to be
  // added to a message: ": ...". Empty if nothing is known of the name.
  std::string_view WhyNotModule(std::string_view module) const;
  std::string_view WhyNotGguf(std::string_view tensor) const;

  // Whether the embedding is the head, too.
  bool tied() const { return tied_; }

 private:
  // Adds the names of weights that layers of Gemma 3n and 4 lack, or that no
  // adapter changes.
  void AddRefused(const ModelConfig& config);

  HashMap<std::string, std::string> refused_modules_, refused_gguf_;
  HashMap<std::string, BoundWeight*> modules_;  // without the tower's prefix
  HashMap<std::string, BoundWeight*> gguf_;
  bool tied_ = false;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_ADAPTER_ADAPTER_NAMES_H_

// The names of the weights in the files of a checkpoint.

#ifndef GEMMA_SRC_MODEL_TENSORS_TENSOR_NAMES_H_
#define GEMMA_SRC_MODEL_TENSORS_TENSOR_NAMES_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "src/formats/checkpoint.h"
#include "src/model/config/conventions.h"
#include "src/model/tensors/weight_table.h"

namespace gemma::internal {

// The folder, "" or ending in a dot, in which EmbeddingGemma 2's Hugging Face
// files keep a weight that Gemma 4's keep beside the others.
std::string_view FolderOf(WeightRole role, Naming naming);

// Names of the tensors of one checkpoint or of one kind of file. Where the head
// and the embedding are one matrix, a file may hold it under either name.
class TensorNames {
 public:
  TensorNames(const Checkpoint& checkpoint, Naming naming);
  // Names in GGUF files.
  static TensorNames Gguf() { return TensorNames(); }
  // The same, for a model of the architecture.
  static TensorNames Gguf(std::string_view architecture);

  // The tensor's name in the files, or empty if the family has no such tensor.
  // `layer` is the number of the layer or dense layer; ignored for roles that a
  // model has once. PartName replaces a "*", which names of stacks may have.
  std::string Name(WeightRole role, size_t layer = 0) const;

  // The name of the tensor that holds matrix `part` of a stack.
  std::string PartName(WeightRole role, size_t part) const;

  // The name of the tensor that holds the gates of a layer's experts and the
  // matrices that they gate, or empty for other roles than these two.
  std::string FusedName(WeightRole role, size_t layer) const;

 private:
  TensorNames() = default;

  Naming naming_ = Naming::kGguf;
  std::string prefix_;              // of every name, in Hugging Face files
  std::string head_;                // the name of the head
  bool table_is_head_ = false;      // the embedding table has the head's name
  std::vector<std::string> dense_;  // names of the dense layers, likewise
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_TENSORS_TENSOR_NAMES_H_

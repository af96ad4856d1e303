// What the files of a checkpoint call the weights.

#ifndef GEMMA_SRC_MODEL_TENSOR_NAMES_H_
#define GEMMA_SRC_MODEL_TENSOR_NAMES_H_

#include <cstddef>
#include <string>
#include <vector>

#include "src/formats/checkpoint.h"
#include "src/model/conventions.h"
#include "src/model/weight_table.h"

namespace gemma {

// Names of the tensors of one checkpoint or kind of file.
class TensorNames {
 public:
  TensorNames(const Checkpoint& checkpoint, Naming naming);
  // Those of GGUF files.
  static TensorNames Gguf() { return TensorNames(); }

  // The tensor's name in the files; `layer` counts only for roles that each
  // layer has, and is the number of a dense layer. Empty if the family has no
  // such tensor.
  std::string Name(WeightRole role, size_t layer = 0) const;

 private:
  TensorNames() = default;

  Naming naming_ = Naming::kGguf;
  std::string prefix_;              // of every name, in Hugging Face files
  std::vector<std::string> dense_;  // names of the dense layers there
};

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_TENSOR_NAMES_H_

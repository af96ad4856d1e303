// Tensors of a checkpoint that are not weights of the model.

#ifndef GEMMA_SRC_MODEL_TENSORS_UNUSED_TENSORS_H_
#define GEMMA_SRC_MODEL_TENSORS_UNUSED_TENSORS_H_

#include <string_view>
#include <vector>

#include "src/formats/checkpoint.h"
#include "src/model/config/read_config.h"
#include "src/model/tensors/outline.h"
#include "src/model/tensors/tensor_names.h"

namespace gemma::internal {

// Whether a Hugging Face name, or that of a module of an adapter, belongs to a
// tower of images or sound, or to what connects one.
bool IsTowerName(std::string_view name);

// Whether two matrices have the same values. Reads both as far as they agree,
// and returns their memory to the system.
bool SameValues(const Checkpoint& checkpoint, const Tensor& a, const Tensor& b);

// Adds a note for the tensors that are not among `weights`, and one for towers
// of images and sound and for keys and values that no layer reads. A vision
// tower beside a Gemma 3 in a Hugging Face directory needs no note: every such
// model is published with one.
void NoteUnused(const Checkpoint& checkpoint, const ModelConfig& config,
                const TensorNames& names,
                const std::vector<BoundWeight>& weights, Notes& notes);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_TENSORS_UNUSED_TENSORS_H_

// The tensors of gemma.cpp's files, under the names and in the shapes of the
// other kinds of files.

#ifndef GEMMA_SRC_MODEL_SBS_TENSORS_H_
#define GEMMA_SRC_MODEL_SBS_TENSORS_H_

#include "absl/status/status.h"
#include "gemma/model_config.h"
#include "src/formats/checkpoint.h"

namespace gemma {

// Fills checkpoint.tensors from checkpoint.sbs, if there is one; a checkpoint
// of another kind has its tensors already. Fused tensors are split; those that
// the file keeps in another order get an arrangement, so that nothing is copied
// before it is loaded. Fails if the configuration or the file makes no sense,
// naming the tensor, what it is and what the configuration needs.
absl::Status BindSbsTensors(const ModelConfig& config, Checkpoint& checkpoint);

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_SBS_TENSORS_H_

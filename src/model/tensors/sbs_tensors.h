// Gives the tensors of gemma.cpp files the names and shapes that they have in
// GGUF files.

#ifndef GEMMA_SRC_MODEL_TENSORS_SBS_TENSORS_H_
#define GEMMA_SRC_MODEL_TENSORS_SBS_TENSORS_H_

#include "absl/status/status.h"
#include "gemma/model_config.h"
#include "src/formats/checkpoint.h"

namespace gemma::internal {

// Fills checkpoint.tensors from checkpoint.sbs. Does nothing for a checkpoint
// of another kind. Splits fused tensors. A tensor that the file stores in
// another order gets an arrangement, so that it is copied only when it is
// loaded. Fails if the configuration is invalid or does not fit the file. The
// error names the tensor, what it is and what the configuration needs.
absl::Status BindSbsTensors(const ModelConfig& config, Checkpoint& checkpoint);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_TENSORS_SBS_TENSORS_H_

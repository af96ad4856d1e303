// Adds adapters to the outline of a model.

#ifndef GEMMA_SRC_MODEL_ADAPTER_ADAPTER_H_
#define GEMMA_SRC_MODEL_ADAPTER_ADAPTER_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/adapter.h"
#include "src/formats/checkpoint.h"
#include "src/model/tensors/outline.h"

namespace gemma::internal {

// Reads the adapters and adds their products to the weights of the outline,
// which keeps what it needs of their files. Each tensor of an adapter must have
// a use; those of towers for images or sound are counted in a note, because the
// model's own towers are not read either. Also notes an adapter in the model's
// own directory that is not one of `adapters`.
//
// Errors name the file, and the field or tensor that is not supported, does not
// fit the model, or has no use.
absl::Status AddAdapters(absl::Span<const Adapter> adapters,
                         const Checkpoint& checkpoint, Outline& outline);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_ADAPTER_ADAPTER_H_

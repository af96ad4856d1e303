// A number that identifies a model.

#ifndef GEMMA_SRC_MODEL_DESCRIBE_FINGERPRINT_H_
#define GEMMA_SRC_MODEL_DESCRIBE_FINGERPRINT_H_

#include <cstdint>
#include <vector>

#include "gemma/model.h"
#include "src/model/tensors/weights.h"

namespace gemma::internal {

// Hashes the configuration, the files' tensors, the tokenizer's pieces and a
// sample of the weights' bytes, except those of tables that stay in their file.
// The same files give the same number on every
// machine. `tokenizer` may be null; the weights must be loaded.
uint64_t Fingerprint(const ModelConfig& config,
                     const std::vector<TensorSummary>& tensors,
                     const Tokenizer* tokenizer, const Weights& weights);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_DESCRIBE_FINGERPRINT_H_

// A number that tells models apart.

#ifndef GEMMA_SRC_MODEL_FINGERPRINT_H_
#define GEMMA_SRC_MODEL_FINGERPRINT_H_

#include <cstdint>

#include "gemma/model.h"

namespace gemma {

// Of the configuration, the files' tensors, the tokenizer's pieces and a sample
// of the weights' bytes: the same for the same files, whatever the machine.
uint64_t Fingerprint(const Model::Impl& model);

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_FINGERPRINT_H_

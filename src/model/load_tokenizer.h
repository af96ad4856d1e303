// The tokenizer of a checkpoint.

#ifndef GEMMA_SRC_MODEL_LOAD_TOKENIZER_H_
#define GEMMA_SRC_MODEL_LOAD_TOKENIZER_H_

#include "absl/status/statusor.h"
#include "gemma/tokenizer.h"
#include "src/formats/checkpoint.h"

namespace gemma {

// Reads the tokenizer from GGUF metadata, tokenizer.model or tokenizer.json, in
// this order. NotFound if the checkpoint has none of them.
absl::StatusOr<Tokenizer> LoadTokenizer(const Checkpoint& checkpoint);

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_LOAD_TOKENIZER_H_

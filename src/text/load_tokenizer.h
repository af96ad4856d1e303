// The tokenizer of a checkpoint.

#ifndef GEMMA_SRC_TEXT_LOAD_TOKENIZER_H_
#define GEMMA_SRC_TEXT_LOAD_TOKENIZER_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/model_config.h"
#include "gemma/tokenizer.h"
#include "src/formats/checkpoint.h"

namespace gemma::internal {

// Reads the tokenizer from GGUF metadata, tokenizer.model or tokenizer.json, in
// this order; of a file of gemma.cpp, from its blob, tokenizer.spm or
// tokenizer.model. NotFound if the checkpoint has none of them.
absl::StatusOr<Tokenizer> LoadTokenizer(const Checkpoint& checkpoint);

// Returns OK, or an error that begins with `path` if the tokenizer has tokens
// that the model lacks.
absl::Status CheckTokenizer(const Tokenizer& tokenizer,
                            const ModelConfig& config, std::string_view path);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_LOAD_TOKENIZER_H_

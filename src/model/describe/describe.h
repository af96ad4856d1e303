// Writes a model's GGUF metadata: the inverse of ConfigFromGguf and
// LoadTokenizer.

#ifndef GEMMA_SRC_MODEL_DESCRIBE_DESCRIBE_H_
#define GEMMA_SRC_MODEL_DESCRIBE_DESCRIBE_H_

#include "absl/status/status.h"
#include "compression/format.h"
#include "gemma/model_config.h"
#include "gemma/tokenizer.h"
#include "src/formats/checkpoint.h"
#include "src/formats/gguf_writer.h"

namespace gemma::internal {

// Sets all keys that describe the checkpoint's model. The caller sets those for
// the types of the written tensors. Keys from a GGUF file are copied byte by
// byte. `config` comes from the checkpoint's outline, read with
// RecurrentWindow::kTransformers; `table` is the format in which the embedding
// table is written.
absl::Status Describe(const Checkpoint& checkpoint, const ModelConfig& config,
                      Format table, GgufFileWriter& out);

// The parts of Describe for other containers than GGUF. Uses llama.cpp's keys,
// or our own (tools/reference/README.md) where llama.cpp has no key.
// Unimplemented if layers differ in a value that has only one key.
absl::Status DescribeConfig(const ModelConfig& config, GgufFileWriter& out);
// Pads the tokens with unused ones to one for each row of the embedding table.
// Without a tokenizer (null), sets the keys that llama.cpp expects in that
// case.
void DescribeTokenizer(const Tokenizer* tokenizer, const ModelConfig& config,
                       GgufFileWriter& out);
absl::Status DescribeChatTemplate(const Checkpoint& checkpoint,
                                  GgufFileWriter& out);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_DESCRIBE_DESCRIBE_H_

// The metadata of a GGUF file for a model: what ConfigFromGguf and
// LoadTokenizer read, the other way round.

#ifndef GEMMA_SRC_MODEL_DESCRIBE_H_
#define GEMMA_SRC_MODEL_DESCRIBE_H_

#include "absl/status/status.h"
#include "compression/format.h"
#include "gemma/model_config.h"
#include "gemma/tokenizer.h"
#include "src/formats/checkpoint.h"
#include "src/formats/gguf_writer.h"

namespace gemma {

// Sets all keys that say what the checkpoint's model is, but for those of the
// types that its tensors get. What a GGUF file says is kept, byte by byte.
// `config` is that of the checkpoint's outline, of
// RecurrentWindow::kTransformers;
// `table` the format that the embedding table gets.
absl::Status Describe(const Checkpoint& checkpoint, const ModelConfig& config,
                      Format table, GgufFileWriter& out);

// The parts of Describe for what is no GGUF file: llama.cpp's keys, and where
// there are none for something, ours (tools/reference/README.md). Unimplemented
// if layers differ in what both have one key for.
absl::Status DescribeConfig(const ModelConfig& config, GgufFileWriter& out);
// Tokens are as many as rows of the embedding table: unused ones are added. A
// model without a tokenizer (null) gets the keys that llama.cpp wants then.
void DescribeTokenizer(const Tokenizer* tokenizer, const ModelConfig& config,
                       GgufFileWriter& out);
absl::Status DescribeChatTemplate(const Checkpoint& checkpoint,
                                  GgufFileWriter& out);

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_DESCRIBE_H_

// The words that a model wants before the texts that it embeds.

#ifndef GEMMA_SRC_MODEL_CONFIG_TEXT_PROMPTS_H_
#define GEMMA_SRC_MODEL_CONFIG_TEXT_PROMPTS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/formats/checkpoint.h"
#include "src/formats/gguf_writer.h"

namespace gemma::internal {

// Words for one purpose.
struct TextPrompt {
  std::string name;
  std::string words;  // as the file states them
};

// All prompts of a model's files.
struct TextPrompts {
  std::vector<TextPrompt> all;
  std::string default_name;  // for texts without a purpose; empty: no words
};

// Reads config_sentence_transformers.json, or our own keys of a GGUF file.
// Returns nothing if the files have neither. As in sentence-transformers, the
// names "query" and "document" always exist.
absl::StatusOr<std::optional<TextPrompts>> ReadTextPrompts(
    const Checkpoint& checkpoint);

// Sets our own keys.
void DescribeTextPrompts(const TextPrompts& prompts, GgufFileWriter& out);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_TEXT_PROMPTS_H_

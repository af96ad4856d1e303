// The tokenizer of a checkpoint.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_LOAD_TOKENIZER_H_
#define GEMMA_SRC_TEXT_TOKENIZER_LOAD_TOKENIZER_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/model_config.h"
#include "gemma/tokenizer.h"
#include "src/formats/checkpoint.h"
#include "src/text/tokenizer/tokenizer_impl.h"

namespace gemma::internal {

// Keys of our own in GGUF files, for what llama.cpp has no keys for.
//
// TextRules in the form of a tokenizer.json: see TextRulesToJson.
inline constexpr std::string_view kTextRulesKey = "gemma.text_rules";
// The pieces without a row in the embedding table, and their types as in
// tokenizer.ggml.token_type. Their ids follow those of tokenizer.ggml.tokens.
inline constexpr std::string_view kExtraTokensKey = "gemma.extra_tokens";
inline constexpr std::string_view kExtraTypesKey = "gemma.extra_token_types";

// Reads the tokenizer:
// - of a GGUF file, from its metadata;
// - of a file of gemma.cpp, from its blob, tokenizer.spm or tokenizer.model, in
//   this order;
// - of a directory, from tokenizer.json or else tokenizer.model, with the
//   tokens that tokenizer_config.json and added_tokens.json add. As in
//   transformers, tokenizer.json counts if the two contradict each other.
// NotFound if the checkpoint has none of them. `num_rows` is as in
// MakeTokenizer.
absl::StatusOr<Tokenizer> LoadTokenizer(const Checkpoint& checkpoint,
                                        size_t num_rows = kAnyRows);

// Returns OK, or an error that begins with `path` if the tokenizer has ordinary
// pieces that the model lacks. Added tokens may be beyond the embedding table:
// files often name "<image_soft_token>" there.
absl::Status CheckTokenizer(const Tokenizer& tokenizer,
                            const ModelConfig& config, std::string_view path);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TOKENIZER_LOAD_TOKENIZER_H_

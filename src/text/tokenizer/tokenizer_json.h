// Reads Hugging Face's tokenizer.json and the files beside it.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_TOKENIZER_JSON_H_
#define GEMMA_SRC_TEXT_TOKENIZER_TOKENIZER_JSON_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/json.h"
#include "src/text/tokenizer/vocabulary.h"

namespace gemma::internal {

// The text of a tokenizer.json in parts. `vocab` and `merges` are the values of
// these keys of "model", and `rest` is the text without them: some kilobytes of
// 33 MB. The parts are views of the text or empty.
struct TokenizerJsonParts {
  std::string rest;
  std::string_view vocab;
  std::string_view merges;
};

// Takes a text apart. If it is not JSON, `rest` is not JSON either, or the
// fault is in one of the views.
TokenizerJsonParts TakeApart(std::string_view tokenizer_json);

// Reads everything except the vocabulary and the merges: the added tokens and
// the rules, into `data`, and lines for Vocabulary::notes. A field with which
// tokenizers would encode differently than this library can is an error, which
// names the field.
absl::Status ReadTokenizerRules(const Json& json, HfTokenizerData& data,
                                std::vector<std::string>& notes);

// Reads "normalizer" and "pre_tokenizer" into `rules`, and "added_tokens".
absl::Status ReadTextRules(const Json& json, TextRules& rules,
                           std::vector<AddedToken>& added);

// Returns these rules as a JSON text that ReadTextRules reads.
std::string TextRulesToJson(const TextRules& rules);

// Reads the vocabulary and the merges of "model" into `data`.
absl::Status ReadTokenizerPieces(const Json& json, HfTokenizerData& data);

// Whether the vocabulary of a tokenizer.json (TokenizerJsonParts::vocab) gives
// the ids of `vocabulary` to the same pieces. Entries with the ids of `added`
// may differ.
bool HasSamePieces(std::string_view vocab, const std::vector<AddedToken>& added,
                   const Vocabulary& vocabulary);

// Reads the names of BOS, EOS and padding that an object has.
absl::Status ReadRoles(const Json& config, HfTokenizerData& data);

// Reads the fields of tokenizer_config.json: those of ReadRoles, and the tokens
// of "added_tokens_decoder".
absl::Status ReadTokenizerConfig(const Json& config, HfTokenizerData& data,
                                 std::vector<AddedToken>& added);

// Reads added_tokens.json, an object of ids by name. Tokens that one of
// `configs` names as special are special: tokenizer_config.json and
// special_tokens_map.json.
absl::Status ReadAddedTokensJson(const Json& json,
                                 const std::vector<Json>& configs,
                                 std::vector<AddedToken>& added);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TOKENIZER_TOKENIZER_JSON_H_

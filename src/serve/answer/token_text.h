// Tokens as responses show them.

#ifndef GEMMA_SRC_SERVE_ANSWER_TOKEN_TEXT_H_
#define GEMMA_SRC_SERVE_ANSWER_TOKEN_TEXT_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/types/span.h"
#include "gemma/generate.h"
#include "gemma/tokenizer.h"
#include "src/serve/answer/json_writer.h"

namespace gemma::internal {

// Returns the bytes that a token adds to a text, or nothing for a control
// token.
std::optional<std::string> TokenBytes(const Tokenizer& tokenizer,
                                      TokenId token);

// Returns a token's bytes as a text; for a part of a character
// "bytes:\xe2", as in OpenAI's API, and for a control token its name.
std::string TokenText(const Tokenizer& tokenizer, TokenId token);

// Returns how many tokens of an answer are thoughts, the marks around them
// included. Thoughts that the end of the answer cuts count as well.
size_t NumThoughtTokens(const Tokenizer& tokenizer,
                        absl::Span<const TokenId> tokens);

// Returns a log-probability that JSON can hold: -9999, as in OpenAI's API, for
// one that is not finite.
double FiniteLogprob(double log_probability);

// Writes an element of a chat's log-probabilities: {"token", "logprob",
// "bytes", "top_logprobs"}.
void WriteChatLogprob(const Tokenizer& tokenizer, const ScoredToken& token,
                      JsonWriter& json);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_ANSWER_TOKEN_TEXT_H_

// The fields of a request that chats and completions have in common.

#ifndef GEMMA_SRC_SERVE_REQUEST_ANSWER_FIELDS_H_
#define GEMMA_SRC_SERVE_REQUEST_ANSWER_FIELDS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "gemma/generate.h"
#include "gemma/grammar.h"
#include "gemma/model_config.h"
#include "src/serve/request/fields.h"
#include "src/serve/request/grammar_fields.h"

namespace gemma::internal {

// The most alternatives of a token that a response lists.
inline constexpr size_t kMaxTopLogprobs = 20;

// How to answer. Without a field, an answer is that of the library's defaults,
// which are those published with the models.
struct AnswerFields {
  bool stream = false;
  bool include_usage = false;  // a last event of the stream has the usage
  bool progress = false;       // events of the stream say how far the prompt is
  size_t n = 1;                // answers to each prompt
  // Chooses all random numbers: answer i of a prompt has the seed of the
  // request + i. Drawn if the request has none. The text is what the response
  // says: a number from -2^63 to 2^64 - 1.
  bool has_seed = false;
  std::string seed_text;
  // The sampling, stops and alternatives. The functions are set when the
  // request begins.
  GenerateOptions options;
  std::optional<GrammarField> form;  // what restricts the text
  std::optional<Grammar> grammar;    // made of `form` when the request begins
  double timeout = 0;                // seconds; 0: as the server's
  bool logprobs = false;             // the response has log-probabilities
};

// Reads these fields:
//   stream, stream_options {include_usage}, return_progress, n, seed,
//   temperature, top_k, top_p, min_p, typical_p, repetition_penalty,
//   frequency_penalty, presence_penalty, penalty_window, logit_bias, stop,
//   stop_token_ids, min_tokens, samplers, timeout, regex, choice,
//   response_format
// and ignores those that change nothing. `max_choices`: the most answers.
absl::Status ReadAnswerFields(const ModelConfig& config, size_t max_choices,
                              Fields& fields, AnswerFields& answer);

// Reads the most tokens of an answer from the fields max_tokens and
// max_completion_tokens. Leaves `value` as it is without them.
absl::Status ReadMaxTokens(Fields& fields, std::optional<size_t>& value);

// Refuses a min_tokens that the form or the most tokens of the answer do not
// allow. Call this when both were read.
absl::Status CheckMinTokens(Fields& fields, const AnswerFields& answer);

// Reads the field timeout, in seconds.
absl::Status ReadTimeout(Fields& fields, double& seconds);

// Sets the seed of an answer that has none.
void SetSeed(uint64_t seed, AnswerFields& answer);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_REQUEST_ANSWER_FIELDS_H_

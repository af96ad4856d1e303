#include "src/serve/request/answer_fields.h"

#include <cmath>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/serve/request/samplers.h"

namespace gemma::internal {
namespace {

// Bounds of lists, far above what clients send.
constexpr size_t kMaxStops = 64;
constexpr double kMaxTimeout = 1e6;  // seconds

absl::Status ReadStream(Fields& fields, AnswerFields& answer) {
  GEMMA_RETURN_IF_ERROR(fields.Read("stream", answer.stream));
  const std::optional<Json> json = fields.Take("stream_options");
  if (json.has_value()) {
    if (!answer.stream) {
      return FieldError(*json, "needs \"stream\": true");
    }
    GEMMA_ASSIGN_OR_RETURN(Fields options, Fields::Of(*json));
    GEMMA_RETURN_IF_ERROR(options.Read("include_usage", answer.include_usage));
    options.Ignore({"include_obfuscation"});
    GEMMA_RETURN_IF_ERROR(options.RefuseOthers());
  }
  const std::optional<Json> progress = fields.Take("return_progress");
  if (!progress.has_value()) return absl::OkStatus();
  GEMMA_RETURN_IF_ERROR(AtField(progress->Get(answer.progress), *progress));
  if (!answer.progress || answer.stream) return absl::OkStatus();
  return FieldError(*progress, "needs \"stream\": true");
}

// Reads a field of the sampling options, and checks it.
template <class T>
absl::Status ReadOption(Fields& fields, std::string_view name, T& value,
                        const SamplingOptions& options) {
  const std::optional<Json> field = fields.Take(name);
  if (!field.has_value()) return absl::OkStatus();
  GEMMA_RETURN_IF_ERROR(AtField(field->Get(value), *field));
  return AtField(Validate(options), *field);
}

absl::Status ReadLogitBias(const ModelConfig& config, Fields& fields,
                           SamplingOptions& sampling) {
  const std::optional<Json> json = fields.Take("logit_bias");
  if (!json.has_value()) return absl::OkStatus();
  if (!json->is_object()) {
    return AtField(json->Unexpected("an object of token ids"), *json);
  }
  for (const auto& [name, value] : json->Members()) {
    LogitBias bias;
    // SimpleAtoi accepts blanks and signs.
    if (name.empty() || name.front() < '0' || name.front() > '9' ||
        name.back() < '0' || name.back() > '9' ||
        !absl::SimpleAtoi(name, &bias.token) || !config.has_token(bias.token)) {
      return FieldError(value, FormatText("is not a token id, wanted 0 to %u",
                                          config.vocab_size - 1));
    }
    GEMMA_RETURN_IF_ERROR(AtField(value.Get(bias.bias), value));
    sampling.logit_bias.push_back(bias);
  }
  return AtField(Validate(sampling), *json);
}

absl::Status ReadSampling(const ModelConfig& config, Fields& fields,
                          SamplingOptions& s) {
  const auto read = [&](std::string_view name, auto& value) {
    return ReadOption(fields, name, value, s);
  };
  GEMMA_RETURN_IF_ERROR(read("temperature", s.temperature));
  GEMMA_RETURN_IF_ERROR(read("top_k", s.top_k));
  GEMMA_RETURN_IF_ERROR(read("top_p", s.top_p));
  GEMMA_RETURN_IF_ERROR(read("min_p", s.min_p));
  GEMMA_RETURN_IF_ERROR(read("typical_p", s.typical_p));
  GEMMA_RETURN_IF_ERROR(read("repetition_penalty", s.repetition_penalty));
  GEMMA_RETURN_IF_ERROR(read("frequency_penalty", s.frequency_penalty));
  GEMMA_RETURN_IF_ERROR(read("presence_penalty", s.presence_penalty));
  GEMMA_RETURN_IF_ERROR(read("penalty_window", s.penalty_window));
  return ReadLogitBias(config, fields, s);
}

absl::Status ReadSeed(Fields& fields, AnswerFields& answer) {
  const std::optional<Json> json = fields.Take("seed");
  if (!json.has_value()) return absl::OkStatus();
  int64_t small = 0;
  size_t large = 0;
  if (json->Get(small).ok()) {
    SetSeed(static_cast<uint64_t>(small), answer);
  } else if (json->Get(large).ok()) {
    SetSeed(large, answer);
  } else {
    return AtField(json->Unexpected("an integer of 64 bits"), *json);
  }
  return json->GetDigits(answer.seed_text);
}

absl::Status ReadStops(const ModelConfig& config, Fields& fields,
                       GenerateOptions& options) {
  if (const std::optional<Json> json = fields.Take("stop"); json.has_value()) {
    if (json->is_string()) {
      GEMMA_RETURN_IF_ERROR(json->Get(options.stop_strings.emplace_back()));
    } else if (json->is_array()) {
      GEMMA_RETURN_IF_ERROR(AtField(json->Get(options.stop_strings), *json));
    } else {
      return AtField(json->Unexpected("a string or an array of strings"),
                     *json);
    }
    if (options.stop_strings.size() > kMaxStops) {
      return FieldError(*json,
                        FormatText("has %u strings, wanted at most %u",
                                   options.stop_strings.size(), kMaxStops));
    }
    for (const std::string& stop : options.stop_strings) {
      if (!stop.empty()) continue;
      return FieldError(*json,
                        "has an empty string, which would end every "
                        "answer at once");
    }
  }
  const std::optional<Json> ids = fields.Take("stop_token_ids");
  if (!ids.has_value()) return absl::OkStatus();
  GEMMA_RETURN_IF_ERROR(AtField(ids->Get(options.stop_tokens), *ids));
  return AtField(CheckTokens(options.stop_tokens, config, "stop_token_ids"),
                 *ids);
}

}  // namespace

absl::Status ReadAnswerFields(const ModelConfig& config, size_t max_choices,
                              Fields& fields, AnswerFields& answer) {
  GEMMA_RETURN_IF_ERROR(ReadStream(fields, answer));
  if (const std::optional<Json> n = fields.Take("n"); n.has_value()) {
    GEMMA_RETURN_IF_ERROR(AtField(n->Get(answer.n), *n));
    if (answer.n < 1 || answer.n > max_choices) {
      return FieldError(
          *n, FormatText("is %u, wanted 1 to %u", answer.n, max_choices));
    }
  }
  GEMMA_RETURN_IF_ERROR(ReadSampling(config, fields, answer.options.sampling));
  GEMMA_RETURN_IF_ERROR(ReadSeed(fields, answer));
  GEMMA_RETURN_IF_ERROR(ReadStops(config, fields, answer.options));
  GEMMA_RETURN_IF_ERROR(ReadTimeout(fields, answer.timeout));
  GEMMA_RETURN_IF_ERROR(
      fields.Read("min_tokens", answer.options.min_new_tokens));
  GEMMA_RETURN_IF_ERROR(ReadSamplers(fields, answer.options));
  GEMMA_ASSIGN_OR_RETURN(answer.form, ReadGrammarFields(fields));
  // These describe the request, or only its speed.
  fields.Ignore({"user", "metadata", "store", "safety_identifier",
                 "prompt_cache_key", "prompt_cache_retention", "service_tier",
                 "prediction", "cache_prompt", "id_slot"});
  return absl::OkStatus();
}

absl::Status ReadMaxTokens(Fields& fields, std::optional<size_t>& value) {
  for (const std::string_view name : {"max_tokens", "max_completion_tokens"}) {
    const std::optional<Json> json = fields.Take(name);
    if (!json.has_value()) continue;
    const std::optional<size_t> other = value;
    size_t tokens = 0;
    GEMMA_RETURN_IF_ERROR(AtField(json->Get(tokens), *json));
    if (other.has_value() && *other != tokens) {
      return FieldError(*json, FormatText("is %u and 'max_tokens' is %u, "
                                          "wanted one of them",
                                          tokens, *other));
    }
    value = tokens;
  }
  return absl::OkStatus();
}

absl::Status CheckMinTokens(Fields& fields, const AnswerFields& answer) {
  const GenerateOptions& options = answer.options;
  if (options.min_new_tokens > 0) {
    const Json field = *fields.Take("min_tokens");
    if (options.prompt_only ||
        (options.max_new_tokens != 0 &&
         options.max_new_tokens < options.min_new_tokens)) {
      return FieldError(
          field, FormatText("is %u, wanted at most %u, the most "
                            "tokens of the answer",
                            options.min_new_tokens, options.max_new_tokens));
    }
    if (options.fill_sampling) {
      return FieldError(field,
                        "and the sampler 'infill', which may end the answer "
                        "anywhere, do not go together");
    }
  }
  if (!options.fill_sampling || !answer.form.has_value()) {
    return absl::OkStatus();
  }
  return FieldError(*fields.Take("samplers"),
                    "has 'infill', which may end the answer anywhere, and the "
                    "answer must have a form");
}

absl::Status ReadTimeout(Fields& fields, double& timeout) {
  const std::optional<Json> json = fields.Take("timeout");
  if (!json.has_value()) return absl::OkStatus();
  double seconds = 0;
  GEMMA_RETURN_IF_ERROR(AtField(json->Get(seconds), *json));
  if (!(seconds > 0 && seconds <= kMaxTimeout)) {
    return FieldError(*json, FormatText("is %g seconds, wanted more than 0 and "
                                        "at most %g",
                                        seconds, kMaxTimeout));
  }
  timeout = seconds;
  return absl::OkStatus();
}

void SetSeed(uint64_t seed, AnswerFields& answer) {
  answer.has_seed = true;
  answer.seed_text = absl::StrCat(seed);
  answer.options.sampling.seed = seed;
}

}  // namespace gemma::internal

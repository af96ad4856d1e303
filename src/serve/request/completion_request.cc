#include "src/serve/request/completion_request.h"

#include <utility>

#include "gemma/fill_in_middle.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// OpenAI's API makes 16 tokens if the request has no limit.
constexpr size_t kDefaultMaxTokens = 16;

constexpr std::string_view kWantedPrompt =
    "a text, an array of texts, an array of tokens or an array of those";

absl::StatusOr<PromptInput> ReadTokens(const Json& json,
                                       const ModelConfig& config) {
  PromptInput prompt = {.has_tokens = true};
  GEMMA_RETURN_IF_ERROR(AtField(json.Get(prompt.tokens), json));
  GEMMA_RETURN_IF_ERROR(
      AtField(CheckTokens(prompt.tokens, config, ParamOf(json)), json));
  if (prompt.tokens.empty()) {
    return FieldError(json, "has no tokens, wanted one or more");
  }
  return prompt;
}

absl::Status ReadNumLogprobs(Fields& fields, AnswerFields& answer) {
  const std::optional<Json> json = fields.Take("logprobs");
  if (!json.has_value()) return absl::OkStatus();
  size_t& count = answer.options.num_alternatives;
  GEMMA_RETURN_IF_ERROR(AtField(json->Get(count), *json));
  if (count > kMaxTopLogprobs) {
    return FieldError(
        *json, FormatText("is %u, wanted 0 to %u", count, kMaxTopLogprobs));
  }
  answer.logprobs = true;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<PromptInput>> ReadPrompts(
    const Json& json, const ModelConfig& config) {
  std::vector<PromptInput> prompts;
  if (json.is_string()) {
    GEMMA_RETURN_IF_ERROR(json.Get(prompts.emplace_back().text));
    return prompts;
  }
  if (!json.is_array()) return AtField(json.Unexpected(kWantedPrompt), json);
  if (json.size() == 0) {
    return FieldError(json, "is empty, wanted one prompt or more");
  }
  // An array of numbers is one prompt.
  if ((*json.Elements().begin()).type() == Json::Type::kNumber) {
    GEMMA_ASSIGN_OR_RETURN(prompts.emplace_back(), ReadTokens(json, config));
    return prompts;
  }
  for (const Json& element : json.Elements()) {
    PromptInput& prompt = prompts.emplace_back();
    if (element.is_string()) {
      GEMMA_RETURN_IF_ERROR(element.Get(prompt.text));
    } else if (element.is_array()) {
      GEMMA_ASSIGN_OR_RETURN(prompt, ReadTokens(element, config));
    } else {
      return AtField(element.Unexpected("a text or an array of tokens"),
                     element);
    }
  }
  return prompts;
}

absl::StatusOr<CompletionRequest> ReadCompletionRequest(
    const ModelConfig& config, size_t max_choices, Fields& fields) {
  CompletionRequest request;
  const std::optional<Json> prompt = fields.Take("prompt");
  if (!prompt.has_value()) return fields.Missing("prompt");
  GEMMA_ASSIGN_OR_RETURN(request.prompts, ReadPrompts(*prompt, config));
  GEMMA_RETURN_IF_ERROR(
      ReadAnswerFields(config, max_choices, fields, request.answer));
  if (request.prompts.size() > max_choices / request.answer.n) {
    return FieldError(*prompt, FormatText("has %u prompts with %u answers "
                                          "each, wanted at most %u answers",
                                          request.prompts.size(),
                                          request.answer.n, max_choices));
  }
  GEMMA_RETURN_IF_ERROR(ReadNumLogprobs(fields, request.answer));
  GEMMA_RETURN_IF_ERROR(fields.Read("echo", request.echo));
  GEMMA_RETURN_IF_ERROR(fields.Read("suffix", request.suffix));
  GEMMA_RETURN_IF_ERROR(fields.Read("add_special_tokens", request.bos));
  GEMMA_RETURN_IF_ERROR(fields.Read("parse_control", request.parse_control));
  std::optional<size_t> max_tokens;
  GEMMA_RETURN_IF_ERROR(ReadMaxTokens(fields, max_tokens));
  request.answer.options.prompt_only = max_tokens == 0;
  request.answer.options.max_new_tokens =
      max_tokens.value_or(kDefaultMaxTokens);
  GEMMA_RETURN_IF_ERROR(CheckMinTokens(fields, request.answer));
  if (const std::optional<Json> best = fields.Take("best_of");
      best.has_value()) {
    size_t count = 0;
    GEMMA_RETURN_IF_ERROR(AtField(best->Get(count), *best));
    if (count != request.answer.n) {
      return FieldError(*best, FormatText("is %u, wanted %u as 'n': all "
                                          "answers are returned",
                                          count, request.answer.n));
    }
  }
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  return request;
}

absl::StatusOr<std::vector<TokenId>> EncodePrompt(const Tokenizer& tokenizer,
                                                  PromptInput prompt) {
  CompletionRequest request;
  request.prompts.push_back(std::move(prompt));
  GEMMA_RETURN_IF_ERROR(EncodePrompts(tokenizer, request));
  return std::move(request.prompts[0].tokens);
}

absl::Status EncodePrompts(const Tokenizer& tokenizer,
                           CompletionRequest& request) {
  std::optional<FillInMiddle> fill;
  if (request.suffix.has_value()) {
    absl::StatusOr<FillInMiddle> made = FillInMiddle::Create(tokenizer);
    // An empty one changes nothing in a model that fills no gaps.
    if (!made.ok() && !request.suffix->empty()) {
      return AtParam(made.status(), "suffix");
    }
    if (made.ok()) {
      fill = *std::move(made);
      const std::vector<TokenId> stops = fill->stop_tokens();
      std::vector<TokenId>& all = request.answer.options.stop_tokens;
      all.insert(all.end(), stops.begin(), stops.end());
    }
  }
  for (PromptInput& prompt : request.prompts) {
    if (prompt.has_tokens) {
      if (fill.has_value()) {
        return AtParam(absl::InvalidArgumentError(
                           "'suffix' needs a prompt that is a text"),
                       "suffix");
      }
      prompt.text = tokenizer.Decode(prompt.tokens);
      continue;
    }
    absl::StatusOr<std::vector<TokenId>> tokens =
        fill.has_value()
            ? fill->Prompt({.prefix = prompt.text, .suffix = *request.suffix})
            : tokenizer.Encode(prompt.text, request.parse_control
                                                ? ControlTokens::kParse
                                                : ControlTokens::kAsText);
    if (!tokens.ok()) return AtParam(tokens.status(), "prompt");
    if (!fill.has_value() && request.bos) {
      tokens->insert(tokens->begin(), tokenizer.bos());
    }
    if (tokens->empty()) {
      return AtParam(absl::InvalidArgumentError(
                         "'prompt' has no tokens, wanted one or more"),
                     "prompt");
    }
    prompt.tokens = *std::move(tokens);
  }
  return absl::OkStatus();
}

}  // namespace gemma::internal

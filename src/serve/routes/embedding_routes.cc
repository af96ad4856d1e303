// /v1/embeddings: texts as vectors.

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/serve/answer/gather.h"
#include "src/serve/api_error.h"
#include "src/serve/request/completion_request.h"
#include "src/serve/start.h"

namespace gemma::internal {
namespace {

// The most texts of a request, as in OpenAI's API.
constexpr size_t kMaxTexts = 2048;

struct EmbeddingRequest {
  std::vector<std::string> texts;
  EmbedOptions options;
  bool base64 = false;
  bool truncate = false;  // cut texts that are too long
  double timeout = 0;
};

// Returns the text that has these tokens, with or without BOS and EOS.
absl::StatusOr<std::string> TextOfTokens(const Tokenizer& tokenizer,
                                         absl::Span<const TokenId> tokens) {
  if (!tokens.empty() && tokens.front() == tokenizer.bos()) {
    tokens.remove_prefix(1);
  }
  if (!tokens.empty() && tokens.back() == tokenizer.eos()) {
    tokens.remove_suffix(1);
  }
  std::string text = tokenizer.Decode(tokens);
  GEMMA_ASSIGN_OR_RETURN(const std::vector<TokenId> back,
                         tokenizer.Encode(text));
  if (std::ranges::equal(back, tokens)) return text;
  return absl::InvalidArgumentError(
      "'input' has tokens that are not those of their text by this model's "
      "vocabulary: send texts, or tokens of /tokenize");
}

absl::Status ReadInput(const Served& served, Fields& fields,
                       EmbeddingRequest& request) {
  const std::optional<Json> input = fields.Take("input");
  if (!input.has_value()) return fields.Missing("input");
  GEMMA_ASSIGN_OR_RETURN(std::vector<PromptInput> prompts,
                         ReadPrompts(*input, served.model.config()));
  if (prompts.size() > kMaxTexts) {
    return FieldError(*input, FormatText("has %u texts, wanted at most %u",
                                         prompts.size(), kMaxTexts));
  }
  const bool has_tokens = prompts[0].has_tokens;
  for (PromptInput& prompt : prompts) {
    if (prompt.has_tokens != has_tokens) {
      return FieldError(*input, "has texts and tokens, wanted one of them");
    }
    if (!has_tokens) {
      request.texts.push_back(std::move(prompt.text));
      continue;
    }
    absl::StatusOr<std::string> text =
        TextOfTokens(served.tokenizer, prompt.tokens);
    if (!text.ok()) return AtField(text.status(), *input);
    request.texts.push_back(*std::move(text));
  }
  // Tokens are the whole of what the model reads.
  request.options.use_default_prompt = !has_tokens;
  if (!has_tokens || request.options.prompt.empty()) return absl::OkStatus();
  return FieldError(*input, "has tokens, so 'prompt' has no effect");
}

absl::StatusOr<EmbeddingRequest> ReadEmbeddingRequest(const Served& served,
                                                      Fields& fields) {
  EmbeddingRequest request;
  EmbedOptions& options = request.options;
  GEMMA_RETURN_IF_ERROR(fields.Read("prompt", options.prompt));
  GEMMA_RETURN_IF_ERROR(fields.Read("title", options.title));
  const absl::Status words =
      served.embedder->Prefix(options.prompt, options.title).status();
  if (!words.ok()) {
    return AtParam(words, options.title.empty() ? "prompt" : "title");
  }
  GEMMA_RETURN_IF_ERROR(ReadInput(served, fields, request));
  if (const std::optional<Json> json = fields.Take("dimensions");
      json.has_value()) {
    GEMMA_RETURN_IF_ERROR(AtField(json->Get(options.dimensions), *json));
    const size_t most = served.embedder->dimensions();
    if (options.dimensions < 1 || options.dimensions > most) {
      return FieldError(
          *json, FormatText("is %u, wanted 1 to %u", options.dimensions, most));
    }
  }
  if (const std::optional<Json> json = fields.Take("encoding_format");
      json.has_value()) {
    std::string format;
    GEMMA_RETURN_IF_ERROR(AtField(json->Get(format), *json));
    request.base64 = format == "base64";
    if (!request.base64 && format != "float") {
      return FieldError(*json, absl::StrCat("is ", Quoted(format),
                                            ", wanted 'float' or 'base64'"));
    }
  }
  GEMMA_RETURN_IF_ERROR(fields.Read("truncate", request.truncate));
  GEMMA_RETURN_IF_ERROR(ReadTimeout(fields, request.timeout));
  fields.Ignore({"user"});
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  return request;
}

// Returns the values as bytes in little-endian order, in base64.
std::string Base64Of(absl::Span<const float> values) {
  std::string bytes;
  for (const float value : values) {
    const auto bits = std::bit_cast<uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) {
      bytes += static_cast<char>(bits >> shift & 0xFF);
    }
  }
  return absl::Base64Escape(bytes);
}

absl::Status TooLong(const Served& served, const EmbeddingRequest& request,
                     size_t index) {
  const Embedder& embedder = *served.embedder;
  std::string prefix;
  if (request.options.use_default_prompt) {
    GEMMA_ASSIGN_OR_RETURN(
        prefix, embedder.Prefix(request.options.prompt, request.options.title));
  }
  GEMMA_ASSIGN_OR_RETURN(
      const std::vector<TokenId> tokens,
      served.tokenizer.Encode(absl::StrCat(prefix, request.texts[index])));
  // BOS and EOS count too.
  return AtParam(
      ApiError(400, "context_length_exceeded",
               FormatText("text %u of 'input' has %u tokens, the model reads "
                          "%u: send less, or \"truncate\": true",
                          index, tokens.size() + 2, embedder.max_tokens())),
      "input");
}

std::string EmbeddingsJson(const Served& served,
                           const EmbeddingRequest& request,
                           const Embeddings& embeddings) {
  JsonWriter json;
  json.Object().Member("object", "list").Member("model", served.name);
  json.Key("data").Array();
  const size_t size = embeddings.dimensions;
  size_t tokens = 0;
  for (size_t i = 0; i < request.texts.size(); ++i) {
    const auto values =
        absl::MakeConstSpan(embeddings.values).subspan(i * size, size);
    json.Object().Member("object", "embedding").Member("index", i);
    json.Key("embedding");
    if (request.base64) {
      json.Value(Base64Of(values));
    } else {
      json.Array();
      for (const float value : values) json.Value(value);
      json.Close();
    }
    json.Close();
    tokens += embeddings.num_tokens[i];
  }
  json.Close();
  if (request.truncate) {
    json.Key("truncated").Array();
    for (const size_t index : embeddings.truncated) json.Value(index);
    json.Close();
  }
  json.Key("usage").Object().Member("prompt_tokens", tokens);
  return json.Member("total_tokens", tokens).Close().Close().Take();
}

}  // namespace

absl::Status Embed(const std::shared_ptr<Served>& served, Call& call,
                   Fields& fields) {
  if (!served->embedder.has_value()) {
    return AtParam(ApiError(400, "wrong_model",
                            absl::StrCat("the model '", served->name,
                                         "' does not embed texts")),
                   "model");
  }
  GEMMA_ASSIGN_OR_RETURN(Admission::Place place, TakePlace(*served, call, 1));
  GEMMA_ASSIGN_OR_RETURN(EmbeddingRequest request,
                         ReadEmbeddingRequest(*served, fields));
  Request embed;
  embed.texts = request.texts;
  embed.embed = request.options;
  const double timeout = request.timeout;
  std::vector<Request> requests;
  requests.push_back(std::move(embed));
  return GatherAnswers(
      served, call, timeout, std::move(place), std::move(requests),
      [served = served.get(), request = std::move(request)](
          absl::Span<const Completion> answers) -> absl::StatusOr<std::string> {
        const Embeddings& embeddings = answers[0].embeddings;
        if (!embeddings.truncated.empty() && !request.truncate) {
          return TooLong(*served, request, embeddings.truncated[0]);
        }
        return EmbeddingsJson(*served, request, embeddings);
      },
      "input");
}

}  // namespace gemma::internal

// /v1/features: what the autoencoders of a model find in a text.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/serve/answer/answer_writer.h"
#include "src/serve/answer/gather.h"
#include "src/serve/api_error.h"
#include "src/serve/request/chat_messages.h"
#include "src/serve/request/completion_request.h"
#include "src/serve/request/feature_fields.h"
#include "src/serve/start.h"

namespace gemma::internal {
namespace {

constexpr size_t kDefaultTop = 10;
constexpr size_t kMaxFeatures = 1024;  // that a request names
// About the size of a feature in a response.
constexpr size_t kFeatureBytes = 40;

struct FeatureRequest {
  std::vector<TokenId> tokens;
  std::string param;  // the field that they come from
  std::vector<size_t> autoencoders;
  std::vector<size_t> features;  // if not empty, only these
  size_t top_k = kDefaultTop;    // 0: all active ones
  std::vector<FeatureChange> changes;
  double timeout = 0;
};

// The features of a text, written during its passes.
struct FoundFeatures {
  // By token and reader.
  std::vector<std::vector<std::vector<Feature>>> tokens;
  size_t bytes = 0;  // of the response, about
  size_t max_bytes = 0;

  void Take(const TokenFeatures& of) {
    bytes += of.features.size() * kFeatureBytes;
    if (bytes > max_bytes) return;  // the response is an error
    tokens[of.position][of.reader].assign(of.features.begin(),
                                          of.features.end());
  }
};

absl::StatusOr<std::vector<TokenId>> TokensOfInput(const Served& served,
                                                   const Json& input,
                                                   ControlTokens control) {
  GEMMA_ASSIGN_OR_RETURN(std::vector<PromptInput> prompts,
                         ReadPrompts(input, served.model.config()));
  if (prompts.size() != 1) {
    return FieldError(input, "has several texts, wanted one");
  }
  if (prompts[0].has_tokens) return std::move(prompts[0].tokens);
  absl::StatusOr<std::vector<TokenId>> tokens =
      served.tokenizer.Encode(prompts[0].text, control);
  if (!tokens.ok()) return AtField(tokens.status(), input);
  tokens->insert(tokens->begin(), served.tokenizer.bos());
  return tokens;
}

absl::StatusOr<std::vector<TokenId>> TokensOfChat(const Served& served,
                                                  const Json& messages) {
  if (!served.turns.ok()) return AtField(served.turns.status(), messages);
  GEMMA_ASSIGN_OR_RETURN(std::vector<Message> chat, ReadMessages(messages));
  absl::StatusOr<std::vector<TokenId>> tokens =
      ChatTokens(served.tokenizer, *served.turns, std::move(chat), {});
  if (!tokens.ok()) return AtField(tokens.status(), messages);
  return tokens;
}

absl::Status ReadText(const Served& served, Fields& fields,
                      FeatureRequest& request) {
  bool parse_control = false;
  GEMMA_RETURN_IF_ERROR(fields.Read("parse_control", parse_control));
  const std::optional<Json> input = fields.Take("input");
  const std::optional<Json> messages = fields.Take("messages");
  if (input.has_value() == messages.has_value()) {
    return absl::InvalidArgumentError(
        "the request needs one of 'input' and 'messages'");
  }
  request.param = input.has_value() ? "input" : "messages";
  GEMMA_ASSIGN_OR_RETURN(
      request.tokens,
      input.has_value() ? TokensOfInput(served, *input,
                                        parse_control ? ControlTokens::kParse
                                                      : ControlTokens::kAsText)
                        : TokensOfChat(served, *messages));
  return absl::OkStatus();
}

absl::Status ReadReaders(const Served& served, Fields& fields,
                         FeatureRequest& request) {
  const std::optional<Json> names = fields.Take("autoencoders");
  if (!names.has_value()) {
    for (size_t i = 0; i < served.autoencoders.size(); ++i) {
      request.autoencoders.push_back(i);
    }
  } else {
    if (!names->is_array()) {
      return AtField(names->Unexpected("an array of names"), *names);
    }
    if (names->size() == 0) {
      return FieldError(*names, "is empty, wanted one name or more");
    }
    for (const Json& name : names->Elements()) {
      GEMMA_ASSIGN_OR_RETURN(const size_t index, AutoencoderOf(served, name));
      if (std::ranges::count(request.autoencoders, index) > 0) {
        return FieldError(name, "is named twice");
      }
      request.autoencoders.push_back(index);
    }
  }
  GEMMA_RETURN_IF_ERROR(fields.Read("top_k", request.top_k));
  const std::optional<Json> features = fields.Take("features");
  if (!features.has_value()) return absl::OkStatus();
  GEMMA_RETURN_IF_ERROR(AtField(features->Get(request.features), *features));
  if (request.features.empty() || request.features.size() > kMaxFeatures) {
    return FieldError(*features,
                      FormatText("has %u features, wanted 1 to %u",
                                 request.features.size(), kMaxFeatures));
  }
  for (const size_t index : request.autoencoders) {
    const ServedAutoencoder& one = served.autoencoders[index];
    const size_t count = one.autoencoder.num_features();
    for (const size_t feature : request.features) {
      if (feature < count) continue;
      return FieldError(*features,
                        FormatText("has %u, and the features of %s are 0 to %u",
                                   feature, Quoted(one.name), count - 1));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<FeatureRequest> ReadFeatureRequest(const Served& served,
                                                  Fields& fields) {
  FeatureRequest request;
  GEMMA_RETURN_IF_ERROR(ReadReaders(served, fields, request));
  GEMMA_ASSIGN_OR_RETURN(request.changes, ReadSteer(served, fields));
  GEMMA_RETURN_IF_ERROR(ReadTimeout(fields, request.timeout));
  GEMMA_RETURN_IF_ERROR(ReadText(served, fields, request));
  fields.Ignore({"user"});
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  return request;
}

std::string FeaturesJson(const Served& served, const FeatureRequest& request,
                         const FoundFeatures& found) {
  JsonWriter json;
  json.Object().Member("object", "features").Member("model", served.name);
  json.Key("autoencoders").Array();
  for (const size_t index : request.autoencoders) {
    WriteAutoencoder(served.autoencoders[index], json.Object());
    json.Close();
  }
  json.Close().Key("tokens").Array();
  for (size_t i = 0; i < request.tokens.size(); ++i) {
    json.Object().Member("id", request.tokens[i]);
    json.Member("piece", served.tokenizer.Piece(request.tokens[i]));
    json.Key("features").Array();
    for (const std::vector<Feature>& of_reader : found.tokens[i]) {
      json.Array();
      for (const Feature& feature : of_reader) {
        json.Object().Member("index", feature.index);
        json.Member("value", feature.value).Close();
      }
      json.Close();
    }
    json.Close().Close();
  }
  json.Close();
  WriteUsage({.prompt_tokens = request.tokens.size()}, json);
  return json.Close().Take();
}

}  // namespace

absl::Status ShowFeatures(const std::shared_ptr<Served>& served, Call& call,
                          Fields& fields) {
  GEMMA_RETURN_IF_ERROR(NeedAnswers(*served));
  if (served->autoencoders.empty()) {
    return AtParam(
        ApiError(400, "wrong_model",
                 absl::StrCat("the server has no autoencoders for the model '",
                              served->name, "'")),
        "model");
  }
  GEMMA_ASSIGN_OR_RETURN(Admission::Place place, TakePlace(*served, call, 1));
  GEMMA_ASSIGN_OR_RETURN(FeatureRequest request,
                         ReadFeatureRequest(*served, fields));
  const auto found = std::make_shared<FoundFeatures>();
  found->max_bytes = call.options.max_response_bytes;
  found->tokens.assign(request.tokens.size(), std::vector<std::vector<Feature>>(
                                                  request.autoencoders.size()));
  FeatureTapOptions tap = {.changes = std::move(request.changes)};
  for (const size_t index : request.autoencoders) {
    tap.readers.push_back({&served->autoencoders[index].autoencoder,
                           request.top_k, request.features});
  }
  tap.on_features = [found](const TokenFeatures& of) { found->Take(of); };
  std::vector<Request> requests(1);
  GEMMA_ASSIGN_OR_RETURN(requests[0].tap,
                         FeatureTap(served->model, std::move(tap)));
  requests[0].prompt = request.tokens;
  requests[0].options.prompt_only = true;
  const double timeout = request.timeout;
  const std::string param = request.param;
  return GatherAnswers(
      served, call, timeout, std::move(place), std::move(requests),
      [served = served.get(), found, request = std::move(request)](
          absl::Span<const Completion>) -> absl::StatusOr<std::string> {
        if (found->bytes > found->max_bytes) {
          return ApiError(
              400, "response_too_large",
              FormatText("the response would have more than %u bytes of "
                         "features: send less text, or a smaller top_k",
                         found->max_bytes));
        }
        return FeaturesJson(*served, request, *found);
      },
      param);
}

}  // namespace gemma::internal

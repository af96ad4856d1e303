// The routes of tokens: /tokenize, /detokenize and /tokenizer_info.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "src/serve/answer/json_writer.h"
#include "src/serve/call.h"
#include "src/serve/request/chat_messages.h"
#include "src/serve/request/chat_request.h"

namespace gemma::internal {
namespace {

// The tokens of a text, under `prompt` as vLLM has it or `content` as
// llama-server has it, or of the messages of a chat.
absl::StatusOr<std::vector<TokenId>> TokensOf(const Served& served,
                                              Fields& fields) {
  bool bos = true, parse_control = false;
  const std::optional<Json> messages = fields.Take("messages");
  const std::optional<Json> prompt = fields.Take("prompt");
  const std::optional<Json> content = fields.Take("content");
  GEMMA_RETURN_IF_ERROR(fields.Read("add_special_tokens", bos));
  GEMMA_RETURN_IF_ERROR(fields.Read("add_special", bos));
  GEMMA_RETURN_IF_ERROR(fields.Read("parse_control", parse_control));
  const int given = (messages.has_value() ? 1 : 0) +
                    (prompt.has_value() ? 1 : 0) +
                    (content.has_value() ? 1 : 0);
  if (given != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the request has ", given,
        " of 'prompt', 'content' and 'messages', wanted one of them"));
  }
  if (messages.has_value()) {
    if (!served.turns.ok()) return AtField(served.turns.status(), *messages);
    GEMMA_ASSIGN_OR_RETURN(std::vector<Message> chat, ReadMessages(*messages));
    GEMMA_RETURN_IF_ERROR(CheckContinues(fields, chat));
    GEMMA_ASSIGN_OR_RETURN(const std::optional<ToolFields> tools,
                           ReadToolFields(fields));
    if (tools.has_value()) {
      GEMMA_RETURN_IF_ERROR(
          NeedDialect(served.turns->tool_dialect(), served.name));
    }
    const ChatOptions options = {.tools = tools ? tools->tools : ""};
    absl::StatusOr<std::vector<TokenId>> tokens =
        ChatTokens(served.tokenizer, *served.turns, std::move(chat), options);
    if (!tokens.ok()) return AtField(tokens.status(), *messages);
    return tokens;
  }
  const Json& field = prompt.has_value() ? *prompt : *content;
  std::string_view text;
  GEMMA_RETURN_IF_ERROR(AtField(field.Get(text), field));
  absl::StatusOr<std::vector<TokenId>> tokens = served.tokenizer.Encode(
      text, parse_control ? ControlTokens::kParse : ControlTokens::kAsText);
  if (!tokens.ok()) return AtField(tokens.status(), field);
  if (bos) tokens->insert(tokens->begin(), served.tokenizer.bos());
  return tokens;
}

// The text of tokens, with the names of control tokens.
std::string TextOf(const Tokenizer& tokenizer,
                   absl::Span<const TokenId> tokens) {
  std::string text;
  size_t begin = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!tokenizer.IsControl(tokens[i])) continue;
    absl::StrAppend(&text, tokenizer.Decode(tokens.subspan(begin, i - begin)),
                    tokenizer.Piece(tokens[i]));
    begin = i + 1;
  }
  absl::StrAppend(&text, tokenizer.Decode(tokens.subspan(begin)));
  return text;
}

}  // namespace

absl::Status Tokenize(const std::shared_ptr<Served>& served, Call& call,
                      Fields& fields) {
  bool texts = false;
  GEMMA_RETURN_IF_ERROR(fields.Read("return_token_strs", texts));
  GEMMA_ASSIGN_OR_RETURN(const std::vector<TokenId> tokens,
                         TokensOf(*served, fields));
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  JsonWriter json;
  json.Object().Member("count", tokens.size());
  json.Member("max_model_len", served->context()).Key("tokens").Array();
  for (const TokenId token : tokens) json.Value(token);
  json.Close();
  if (texts) {
    json.Key("token_strs").Array();
    for (const TokenId token : tokens) {
      json.Value(served->tokenizer.Piece(token));
    }
    json.Close();
  }
  call.Respond(json.Close().Take());
  return absl::OkStatus();
}

absl::Status Detokenize(const std::shared_ptr<Served>& served, Call& call,
                        Fields& fields) {
  const std::optional<Json> json = fields.Take("tokens");
  if (!json.has_value()) return fields.Missing("tokens");
  std::vector<TokenId> tokens;
  GEMMA_RETURN_IF_ERROR(AtField(json->Get(tokens), *json));
  GEMMA_RETURN_IF_ERROR(
      AtField(CheckTokens(tokens, served->model.config(), "tokens"), *json));
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  const std::string text = TextOf(served->tokenizer, tokens);
  JsonWriter out;
  // As vLLM names the text, and as llama-server does.
  out.Object().Member("prompt", text).Member("content", text);
  call.Respond(out.Close().Take());
  return absl::OkStatus();
}

std::string TokenizerInfo(const Served& served) {
  const Tokenizer& tokenizer = served.tokenizer;
  JsonWriter json;
  json.Object().Member("model", served.name);
  json.Member("vocab_size", tokenizer.vocab_size());
  json.Member("max_model_len", served.context());
  json.Member("bos_token", tokenizer.Piece(tokenizer.bos()));
  json.Member("bos_token_id", tokenizer.bos());
  json.Member("eos_token", tokenizer.Piece(tokenizer.eos()));
  json.Member("eos_token_id", tokenizer.eos());
  json.Key("stop_tokens").Array();
  for (const TokenId token : served.model.config().stop_tokens) {
    json.Value(token);
  }
  json.Close().Member("chat", served.turns.ok());
  json.Member("tool_dialect", ToolDialectName(served.tool_dialect()));
  return json.Close().Take();
}

}  // namespace gemma::internal

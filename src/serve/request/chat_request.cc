#include "src/serve/request/chat_request.h"

#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/serve/request/chat_messages.h"

namespace gemma::internal {
namespace {

absl::Status ReadLogprobs(Fields& fields, AnswerFields& answer) {
  GEMMA_RETURN_IF_ERROR(fields.Read("logprobs", answer.logprobs));
  const std::optional<Json> top = fields.Take("top_logprobs");
  if (!top.has_value()) return absl::OkStatus();
  size_t& count = answer.options.num_alternatives;
  GEMMA_RETURN_IF_ERROR(AtField(top->Get(count), *top));
  if (count > kMaxTopLogprobs) {
    return FieldError(
        *top, FormatText("is %u, wanted 0 to %u", count, kMaxTopLogprobs));
  }
  if (count == 0 || answer.logprobs) return absl::OkStatus();
  return FieldError(*top, "needs \"logprobs\": true");
}

// Turns thoughts on or off, as `field` wants. Fields before it must not differ.
absl::Status SetThinking(const Json& field, bool thinks, ChatRequest& request) {
  if (request.turns.thinking.value_or(thinks) != thinks) {
    return FieldError(field,
                      FormatText("turns thoughts %s, and another field "
                                 "turns them %s: send one of them",
                                 thinks ? "on" : "off", thinks ? "off" : "on"));
  }
  request.turns.thinking = thinks;
  request.thinking_param = ParamOf(field);
  return absl::OkStatus();
}

absl::Status ReadThinking(Fields& fields, ChatRequest& request) {
  if (const std::optional<Json> think = fields.Take("think");
      think.has_value()) {
    bool thinks = false;
    GEMMA_RETURN_IF_ERROR(AtField(think->Get(thinks), *think));
    GEMMA_RETURN_IF_ERROR(SetThinking(*think, thinks, request));
  }
  if (const std::optional<Json> effort = fields.Take("reasoning_effort");
      effort.has_value()) {
    std::string word;
    GEMMA_RETURN_IF_ERROR(AtField(effort->Get(word), *effort));
    const bool off = word == "none" || word == "minimal";
    if (!off && word != "low" && word != "medium" && word != "high" &&
        word != "xhigh") {
      return FieldError(*effort,
                        absl::StrCat("is ", Quoted(word),
                                     ", wanted none, minimal, low, medium, "
                                     "high or xhigh"));
    }
    GEMMA_RETURN_IF_ERROR(SetThinking(*effort, !off, request));
  }
  const std::optional<Json> kwargs = fields.Take("chat_template_kwargs");
  if (!kwargs.has_value()) return absl::OkStatus();
  GEMMA_ASSIGN_OR_RETURN(Fields variables, Fields::Of(*kwargs));
  if (const std::optional<Json> enable = variables.Take("enable_thinking");
      enable.has_value()) {
    bool thinks = false;
    GEMMA_RETURN_IF_ERROR(AtField(enable->Get(thinks), *enable));
    GEMMA_RETURN_IF_ERROR(SetThinking(*enable, thinks, request));
  }
  return variables.RefuseOthers();
}

absl::Status CheckModalities(Fields& fields) {
  const std::optional<Json> json = fields.Take("modalities");
  if (!json.has_value()) return absl::OkStatus();
  std::vector<std::string> words;
  if (json->Get(words).ok() && words == std::vector<std::string>{"text"}) {
    return absl::OkStatus();
  }
  return FieldError(*json, "is more than [\"text\"]: answers are texts");
}

}  // namespace

absl::Status CheckContinues(Fields& fields,
                            const std::vector<Message>& messages) {
  const bool is_open = messages.back().role == Role::kModel &&
                       messages.back().tool_calls.empty();
  const auto check = [&](std::string_view name, bool if_open) {
    const std::optional<Json> field = fields.Take(name);
    bool value = false;
    if (!field.has_value()) return absl::OkStatus();
    absl::Status status = AtField(field->Get(value), *field);
    if (!status.ok() || value == (is_open ? if_open : !if_open)) return status;
    return FieldError(
        *field, absl::StrCat("is ", value ? "true" : "false",
                             ", but the last message is ",
                             is_open ? "the assistant's, which the answer "
                                       "continues"
                                     : "not the assistant's, so the answer "
                                       "is a new message"));
  };
  GEMMA_RETURN_IF_ERROR(check("continue_final_message", true));
  return check("add_generation_prompt", false);
}

absl::StatusOr<ChatRequest> ReadChatRequest(const ModelConfig& config,
                                            size_t max_choices,
                                            Fields& fields) {
  ChatRequest request;
  const std::optional<Json> messages = fields.Take("messages");
  if (!messages.has_value()) return fields.Missing("messages");
  GEMMA_ASSIGN_OR_RETURN(request.messages, ReadMessages(*messages));
  GEMMA_RETURN_IF_ERROR(
      ReadAnswerFields(config, max_choices, fields, request.answer));
  GEMMA_RETURN_IF_ERROR(ReadLogprobs(fields, request.answer));
  GEMMA_RETURN_IF_ERROR(ReadThinking(fields, request));
  std::optional<size_t> max_tokens;
  GEMMA_RETURN_IF_ERROR(ReadMaxTokens(fields, max_tokens));
  if (max_tokens == 0) {
    const std::string_view name = fields.Take("max_tokens").has_value()
                                      ? "max_tokens"
                                      : "max_completion_tokens";
    return AtParam(absl::InvalidArgumentError(
                       absl::StrCat("'", name, "' is 0, wanted 1 or more")),
                   name);
  }
  // Without a limit, an answer may fill the context.
  request.answer.options.max_new_tokens = max_tokens.value_or(0);
  GEMMA_RETURN_IF_ERROR(CheckMinTokens(fields, request.answer));
  GEMMA_RETURN_IF_ERROR(CheckContinues(fields, request.messages));
  GEMMA_RETURN_IF_ERROR(CheckModalities(fields));
  GEMMA_ASSIGN_OR_RETURN(request.tools, ReadToolFields(fields));
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  if (request.turns.thinking.value_or(false) &&
      request.answer.form.has_value()) {
    return AtParam(
        absl::InvalidArgumentError(
            "the request asks for thoughts and for a form of the answer, and "
            "a form leaves no room for thoughts: ask for one of them"),
        request.thinking_param);
  }
  return request;
}

absl::Status NeedDialect(ToolDialect dialect, std::string_view name) {
  if (dialect != ToolDialect::kNone) return absl::OkStatus();
  return AtParam(absl::InvalidArgumentError(absl::StrCat(
                     "'tools' has tools, but the model ", Quoted(name),
                     " was not trained to call any: see tool_dialect in "
                     "/v1/models")),
                 "tools");
}

absl::Status UseTools(ToolDialect dialect, std::string_view name,
                      ChatRequest& request) {
  if (!request.tools.has_value()) return absl::OkStatus();
  ToolFields& tools = *request.tools;
  GEMMA_RETURN_IF_ERROR(NeedDialect(dialect, name));
  std::optional<GrammarField>& form = request.answer.form;
  if (form.has_value() && tools.rules.choice != ToolChoice::kNone) {
    return AtParam(
        absl::InvalidArgumentError(absl::StrCat(
            "'", form->param,
            "' restricts the answer, and a call would not have this form: "
            "leave it out, or set \"tool_choice\" to \"none\"")),
        form->param);
  }
  const Message& last = request.messages.back();
  if (dialect == ToolDialect::kJson && last.role == Role::kModel &&
      last.tool_calls.empty() && tools.rules.choice != ToolChoice::kNone) {
    return AtParam(
        absl::InvalidArgumentError(
            "the last message is the assistant's, which the answer continues, "
            "but this model calls tools only at the beginning of an answer"),
        "messages");
  }
  tools.rules.dialect = dialect;
  tools.rules.thinking = request.turns.thinking.value_or(false);
  request.turns.tools = tools.tools;
  if (form.has_value()) return absl::OkStatus();
  if (request.answer.options.fill_sampling) {
    return AtParam(absl::InvalidArgumentError(
                       "'samplers' has 'infill', which may end the answer "
                       "anywhere, and 'tools' give the answer a form"),
                   "samplers");
  }
  form = {{.kind = GrammarSource::Kind::kTools,
           .text = tools.tools,
           .rules = tools.rules},
          "tools"};
  return absl::OkStatus();
}

}  // namespace gemma::internal

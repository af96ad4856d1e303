// Implements gemma/c_chat.h with the C++ library.

#include "gemma/c_chat.h"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gemma/answer_parser.h"
#include "gemma/chat_template.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

struct gemma_chat {
  gemma::ChatTemplate turns;
  std::vector<gemma::Message> messages = {};
  gemma::ChatOptions options = {};
};

namespace gemma::internal {
namespace {

gemma_status AddResult(gemma_chat* chat, const char* tool, const char* id,
                       std::string Message::*place, const char* content,
                       const char* name) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(chat);
    if (content == nullptr) return NullError(name);
    Message message = {.role = Role::kTool,
                       .tool_name = TextOrEmpty(tool),
                       .call_id = TextOrEmpty(id)};
    message.*place = content;
    chat->messages.push_back(std::move(message));
    return absl::OkStatus();
  });
}

gemma_status AddMessage(gemma_chat* chat, const gemma_role& role,
                        std::string Message::*place, const char* content,
                        const char* name) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(chat);
    if (content == nullptr) return NullError(name);
    Message message;
    GEMMA_RETURN_IF_ERROR(ReadRole(role, "role", message.role));
    message.*place = content;
    chat->messages.push_back(std::move(message));
    return absl::OkStatus();
  });
}

// Returns the text and writes its size.
const char* TextOf(const std::string* text, size_t* size) {
  if (size != nullptr) *size = text == nullptr ? 0 : text->size();
  return text == nullptr ? "" : text->c_str();
}

const ToolCall* CallAt(const gemma_answer* answer, size_t index) {
  if (answer == nullptr || index >= answer->parts.tool_calls.size()) {
    return nullptr;
  }
  return &answer->parts.tool_calls[index];
}

}  // namespace
}  // namespace gemma::internal

using gemma::internal::Reported;

// ---- Chats

gemma_status gemma_chat_create(const gemma_model* model, gemma_chat** chat) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(chat);
    auto turns = model->model.chat_template();
    GEMMA_RETURN_IF_ERROR(turns.status());
    *chat = new gemma_chat{*std::move(turns)};
    return absl::OkStatus();
  });
}

void gemma_chat_free(gemma_chat* chat) { delete chat; }

gemma_status gemma_chat_set_tools(gemma_chat* chat, const char* json) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(chat);
    chat->options.tools = gemma::internal::TextOrEmpty(json);
    return absl::OkStatus();
  });
}

gemma_status gemma_chat_set_thinking(gemma_chat* chat,
                                     gemma_thinking thinking) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(chat);
    constexpr std::optional<bool> kValues[] = {std::nullopt, false, true};
    const unsigned number = gemma::internal::NumberOf(thinking);
    if (number >= std::size(kValues)) {
      return absl::InvalidArgumentError(
          absl::StrCat("thinking is ", number, ", wanted 0 to 2"));
    }
    chat->options.thinking = kValues[number];
    return absl::OkStatus();
  });
}

gemma_tool_dialect gemma_chat_tool_dialect(const gemma_chat* chat) {
  if (chat == nullptr) return GEMMA_TOOLS_NONE;
  return static_cast<gemma_tool_dialect>(chat->turns.tool_dialect());
}

gemma_status gemma_chat_compile(const gemma_chat* chat,
                                const gemma_tool_rules* rules,
                                gemma_compiled_grammar** grammar) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(chat);
    GEMMA_C_REQUIRE(grammar);
    gemma::ToolRules read;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadToolRules(rules, read));
    if (read.dialect != gemma::ToolDialect::kNone || read.thinking) {
      return absl::InvalidArgumentError(
          "rules set dialect or thinking, which the chat sets");
    }
    read.dialect = chat->turns.tool_dialect();
    read.thinking = chat->options.thinking.value_or(false);
    GEMMA_ASSIGN_OR_RETURN(
        auto compiled, gemma::Grammar::FromTools(chat->options.tools, read));
    *grammar = new gemma_compiled_grammar{std::move(compiled)};
    return absl::OkStatus();
  });
}

gemma_status gemma_chat_add(gemma_chat* chat, gemma_role role,
                            const char* text) {
  return gemma::internal::AddMessage(chat, role, &gemma::Message::text, text,
                                     "text");
}

gemma_status gemma_chat_add_json(gemma_chat* chat, gemma_role role,
                                 const char* json) {
  return gemma::internal::AddMessage(chat, role, &gemma::Message::content_json,
                                     json, "json");
}

gemma_status gemma_chat_add_call(gemma_chat* chat, const char* tool,
                                 const char* arguments, const char* id) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(chat);
    GEMMA_C_REQUIRE(tool);
    if (chat->messages.empty() ||
        chat->messages.back().role != gemma::Role::kModel) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a call of ", tool,
          " follows no message of the model: add one first, which may be ''"));
    }
    chat->messages.back().tool_calls.push_back(
        {tool, gemma::internal::TextOrEmpty(arguments),
         gemma::internal::TextOrEmpty(id)});
    return absl::OkStatus();
  });
}

gemma_status gemma_chat_add_result(gemma_chat* chat, const char* tool,
                                   const char* id, const char* text) {
  return gemma::internal::AddResult(chat, tool, id, &gemma::Message::text, text,
                                    "text");
}

gemma_status gemma_chat_add_result_json(gemma_chat* chat, const char* tool,
                                        const char* id, const char* json) {
  return gemma::internal::AddResult(
      chat, tool, id, &gemma::Message::content_json, json, "json");
}

gemma_status gemma_chat_add_answer(gemma_chat* chat,
                                   const gemma_answer* answer) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(chat);
    GEMMA_C_REQUIRE(answer);
    gemma::Message message = {.role = gemma::Role::kModel,
                              .text = answer->parts.text,
                              .tool_calls = answer->parts.tool_calls};
    if (!message.tool_calls.empty()) message.thoughts = answer->parts.thoughts;
    chat->messages.push_back(std::move(message));
    return absl::OkStatus();
  });
}

size_t gemma_chat_size(const gemma_chat* chat) {
  return chat == nullptr ? 0 : chat->messages.size();
}

gemma_status gemma_chat_truncate(gemma_chat* chat, size_t size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(chat);
    if (size > chat->messages.size()) {
      return absl::OutOfRangeError(
          absl::StrCat("size is ", size, ", but the chat has ",
                       chat->messages.size(), " messages"));
    }
    chat->messages.resize(size);
    return absl::OkStatus();
  });
}

gemma_status gemma_chat_render(const gemma_chat* chat, int32_t* tokens,
                               size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(chat);
    GEMMA_C_REQUIRE(size);
    const auto rendered = chat->turns.Render(chat->messages, chat->options);
    GEMMA_RETURN_IF_ERROR(rendered.status());
    return gemma::internal::Write(*rendered, tokens, capacity, size);
  });
}

gemma_status gemma_chat_continue(const gemma_chat* chat, size_t num_read,
                                 int32_t* tokens, size_t capacity, size_t* size,
                                 bool* whole) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(chat);
    GEMMA_C_REQUIRE(size);
    GEMMA_C_REQUIRE(whole);
    const auto next =
        chat->turns.Continue(chat->messages, num_read, chat->options);
    GEMMA_RETURN_IF_ERROR(next.status());
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::Write(next->tokens, tokens, capacity, size));
    *whole = next->whole;
    return absl::OkStatus();
  });
}

// ---- Answers in parts

gemma_status gemma_answer_create(const gemma_model* model,
                                 gemma_answer** answer) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(answer);
    const auto tokenizer = model->model.tokenizer();
    GEMMA_RETURN_IF_ERROR(tokenizer.status());
    *answer = new gemma_answer{**tokenizer};
    return absl::OkStatus();
  });
}

void gemma_answer_free(gemma_answer* answer) { delete answer; }

gemma_status gemma_answer_set_dialect(gemma_answer* answer,
                                      gemma_tool_dialect dialect) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(answer);
    return gemma::internal::ReadEnum(dialect, "dialect", GEMMA_TOOLS_GEMMA4 + 1,
                                     answer->dialect);
  });
}

gemma_status gemma_answer_read(gemma_answer* answer, const int32_t* tokens,
                               size_t num_tokens) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(answer);
    if (num_tokens != 0) GEMMA_C_REQUIRE(tokens);
    const gemma::Tokenizer& tokenizer = answer->tokenizer;
    const auto vocab_size = static_cast<int64_t>(tokenizer.vocab_size());
    gemma::AnswerParser parser(tokenizer, {}, {}, {}, answer->dialect);
    gemma::StreamDecoder decoder(tokenizer);
    for (size_t i = 0; i < num_tokens; ++i) {
      const gemma::TokenId token = tokens[i];
      if (token < 0 || token >= vocab_size) {
        return absl::InvalidArgumentError(
            absl::StrCat("token ", token, " at ", i,
                         " is not in the vocabulary of ", vocab_size));
      }
      if (tokenizer.IsControl(token)) {
        parser.Text(decoder.Finish());
        parser.Control(token);
      } else {
        parser.Text(decoder.Append(token));
      }
    }
    parser.Text(decoder.Finish());
    parser.Finish();
    answer->parts = parser.answer();
    return absl::OkStatus();
  });
}

const char* gemma_answer_text(const gemma_answer* answer, size_t* size) {
  return gemma::internal::TextOf(
      answer == nullptr ? nullptr : &answer->parts.text, size);
}

const char* gemma_answer_thoughts(const gemma_answer* answer, size_t* size) {
  return gemma::internal::TextOf(
      answer == nullptr ? nullptr : &answer->parts.thoughts, size);
}

size_t gemma_answer_num_calls(const gemma_answer* answer) {
  return answer == nullptr ? 0 : answer->parts.tool_calls.size();
}

const char* gemma_answer_call_tool(const gemma_answer* answer, size_t index) {
  const gemma::ToolCall* call = gemma::internal::CallAt(answer, index);
  return call == nullptr ? "" : call->name.c_str();
}

const char* gemma_answer_call_arguments(const gemma_answer* answer,
                                        size_t index) {
  const gemma::ToolCall* call = gemma::internal::CallAt(answer, index);
  return call == nullptr ? "" : call->arguments.c_str();
}

bool gemma_answer_has_markers(const gemma_answer* answer) {
  return answer != nullptr && answer->parts.has_markers;
}

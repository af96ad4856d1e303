// The turns of Gemma 4 and FunctionGemma, which declare and call tools.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gemma/chat_template.h"
#include "gemma/tokenizer.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/text/tokenizer/control_names.h"
#include "src/text/turns/chat_template_impl.h"
#include "src/text/turns/json_values.h"
#include "src/text/turns/marked_turns.h"
#include "src/text/turns/tool_writer.h"

namespace gemma::internal {
namespace {

// What differs between the two.
struct TurnWords {
  TurnMarks marks;
  std::string_view instructor;     // role of instructions
  std::string_view trained_words;  // instructions if there are only tools
};

constexpr TurnWords kGemma4Words = {
    .marks = kGemma4Turns, .instructor = "system", .trained_words = ""};
constexpr TurnWords kFunctionGemmaWords = {
    .marks = kGemma3Turns,
    .instructor = "developer",
    .trained_words =
        "You are a model that can do function calling with the following "
        "functions"};

using Chat = absl::Span<const Message>;

bool IsInstruction(const Message& message) {
  return message.role == Role::kSystem || message.role == Role::kDeveloper;
}

// An error about messages[i].
absl::Status Refusal(size_t i, std::string_view what) {
  return absl::InvalidArgumentError(FormatText("message %d %s", i, what));
}

// The texts of a message: its text, or those of its parts.
absl::StatusOr<std::vector<std::string>> TextsOf(const Message& message,
                                                 size_t i) {
  std::vector<std::string> texts;
  if (message.content_json.empty()) return std::vector{message.text};
  GEMMA_ASSIGN_OR_RETURN(
      const JinjaValue content,
      ValueFromJson(message.content_json, FormatText("message %d", i)));
  if (content.is_string()) return std::vector{content.text()};
  if (!content.is_sequence()) {
    return Refusal(i, "has content that is neither a text nor a list of parts");
  }
  for (const JinjaValue& part : content.items()) {
    const JinjaValue* type = part.is_dict() ? part.Find("type") : nullptr;
    const JinjaValue* text = part.is_dict() ? part.Find("text") : nullptr;
    if (type == nullptr || !type->is_string() || type->text() != "text" ||
        text == nullptr || !text->is_string()) {
      return Refusal(i,
                     "has a part that is not text, wanted {\"type\": \"text\", "
                     "\"text\": ...}");
    }
    texts.push_back(text->text());
  }
  return texts;
}

// Leaves out what is between the marks of thoughts.
std::string WithoutThoughts(std::string_view text, const TurnWords& words) {
  if (words.marks.open_channel.empty()) return std::string(text);
  std::string result;
  while (true) {
    const size_t close = text.find(words.marks.close_channel);
    const std::string_view part = text.substr(0, close);
    result += part.substr(0, part.find(words.marks.open_channel));
    if (close == std::string_view::npos) return result;
    text.remove_prefix(close + words.marks.close_channel.size());
  }
}

// Writes the messages of one chat.
class TurnsWriter {
 public:
  TurnsWriter(const TurnWords& words, Chat messages, MarkedText& text)
      : words_(words),
        messages_(messages),
        text_(text),
        tools_(words.marks.tools, text) {}

  // A turn with the sign to think, the first instructions and the declarations
  // of tools, as far as there are some.
  absl::Status Begin(const ChatOptions& options) {
    const bool thinks = options.thinking.value_or(false);
    const bool instructed =
        !messages_.empty() && IsInstruction(messages_.front());
    if (!thinks && !instructed && options.tools.empty()) {
      return absl::OkStatus();
    }
    Open(words_.instructor);
    if (thinks) Words(absl::StrCat(words_.marks.think, "\n"));
    if (instructed) {
      GEMMA_RETURN_IF_ERROR(Texts(messages_.front(), 0));
      next_ = 1;
    } else if (!options.tools.empty()) {
      Words(words_.trained_words);
    }
    if (!options.tools.empty()) {
      GEMMA_ASSIGN_OR_RETURN(const JinjaValue tools,
                             ToolsFromJson(options.tools));
      for (const JinjaValue& tool : tools.items()) {
        GEMMA_RETURN_IF_ERROR(tools_.Declaration(tool));
      }
    }
    Close();
    return absl::OkStatus();
  }

  // All other messages.
  absl::Status Write() {
    for (size_t i = next_; i < messages_.size(); ++i) {
      if (messages_[i].role == Role::kUser) last_user_ = i;
    }
    while (next_ < messages_.size()) GEMMA_RETURN_IF_ERROR(WriteMessage());
    return absl::OkStatus();
  }

  // Opens the model's turn, unless it goes on after calls or results.
  void Ask(bool empty_thought) {
    if (goes_on_) return;
    Open("model");
    if (empty_thought) {
      Words(absl::StrCat(words_.marks.open_channel, "thought\n",
                         words_.marks.close_channel));
    }
  }

 private:
  void Words(std::string_view words) {
    text_.Append(words, TextOrigin::kTemplate);
  }
  void Open(std::string_view role) {
    Words(absl::StrCat(words_.marks.open, role, "\n"));
  }
  void Close() { Words(absl::StrCat(words_.marks.close, "\n")); }

  // Each text of a message, trimmed.
  absl::Status Texts(const Message& message, size_t i) {
    GEMMA_ASSIGN_OR_RETURN(const std::vector<std::string> texts,
                           TextsOf(message, i));
    for (const std::string& text : texts) {
      text_.Append(
          Strip(message.role == Role::kModel ? WithoutThoughts(text, words_)
                                             : text),
          TextOrigin::kMessage);
    }
    return absl::OkStatus();
  }

  // A message and the results of its calls, which follow it.
  absl::Status WriteMessage() {
    const size_t i = next_++;
    const Message& message = messages_[i];
    if (message.role == Role::kTool) {
      return Refusal(i, "is the result of a tool, but follows no call");
    }
    if (message.role != Role::kModel && !message.tool_calls.empty()) {
      return Refusal(i, "has calls of tools, wanted them only from the model");
    }
    // Messages of the model in a row share the first opening.
    if (message.role != Role::kModel || previous_ != Role::kModel) {
      Open(TurnRole(message.role));
    }
    previous_ = message.role;
    goes_on_ = !message.tool_calls.empty();
    // In the order in which the model writes them. Google's template moves the
    // text of a message with calls behind their results, closes the turn, and
    // opens none for the answer.
    if (goes_on_) Thoughts(message, i);
    GEMMA_RETURN_IF_ERROR(Texts(message, i));
    if (!goes_on_) {
      Close();
      return absl::OkStatus();
    }
    GEMMA_RETURN_IF_ERROR(Calls(message, i));
    GEMMA_ASSIGN_OR_RETURN(const bool has_results, Results(message));
    if (!has_results) Words(words_.marks.tools.open_result);
    return absl::OkStatus();
  }

  // The thoughts before calls, after the last question.
  void Thoughts(const Message& message, size_t i) {
    const bool is_new = !last_user_.has_value() || i > *last_user_;
    if (message.thoughts.empty() || !is_new ||
        words_.marks.open_channel.empty()) {
      return;
    }
    Words(absl::StrCat(words_.marks.open_channel, "thought\n"));
    text_.Append(message.thoughts, TextOrigin::kMessage);
    Words(absl::StrCat("\n", words_.marks.close_channel));
  }

  absl::Status Calls(const Message& message, size_t i) {
    for (const ToolCall& call : message.tool_calls) {
      GEMMA_ASSIGN_OR_RETURN(
          const JinjaValue arguments,
          ArgumentsFromJson(
              call.arguments,
              FormatText("message %d: arguments of %s", i, Quoted(call.name))));
      GEMMA_RETURN_IF_ERROR(tools_.Call(call.name, arguments));
    }
    return absl::OkStatus();
  }

  // Writes the results that follow a message with calls. Returns whether there
  // are any.
  absl::StatusOr<bool> Results(const Message& message) {
    size_t count = 0;
    for (; next_ < messages_.size(); ++next_, ++count) {
      const Message& result = messages_[next_];
      if (result.role != Role::kTool) break;
      GEMMA_ASSIGN_OR_RETURN(const std::string_view name,
                             NameOf(result, message.tool_calls, count));
      JinjaValue value = JinjaValue::String(result.text, TextOrigin::kMessage);
      if (!result.content_json.empty()) {
        GEMMA_ASSIGN_OR_RETURN(value,
                               ValueFromJson(result.content_json,
                                             FormatText("message %d", next_)));
      }
      if (value.is_sequence()) {
        GEMMA_ASSIGN_OR_RETURN(const std::vector<std::string> texts,
                               TextsOf(result, next_));
        std::string all;
        for (const std::string& text : texts) all += text;
        value = JinjaValue::String(all, TextOrigin::kMessage);
      }
      GEMMA_RETURN_IF_ERROR(tools_.Result(name, value));
    }
    return count > 0;
  }

  // The name of the tool that returned a result, the `index`-th after the
  // calls.
  absl::StatusOr<std::string_view> NameOf(const Message& result,
                                          const std::vector<ToolCall>& calls,
                                          size_t index) const {
    for (const ToolCall& call : calls) {
      const bool is_its =
          result.call_id.empty()
              ? !result.tool_name.empty() && call.name == result.tool_name
              : call.id == result.call_id;
      if (is_its) return std::string_view(call.name);
    }
    const bool by_order = result.call_id.empty() && result.tool_name.empty();
    if (by_order && index < calls.size()) {
      return std::string_view(calls[index].name);
    }
    return Refusal(
        next_, by_order ? "is the result of a tool, but every call has one"
               : result.call_id.empty()
                   ? absl::StrCat("is a result of ", Quoted(result.tool_name),
                                  ", which the messages before do not call")
                   : absl::StrCat("has the call_id ", Quoted(result.call_id),
                                  ", which no call before it has"));
  }

  const TurnWords& words_;
  const Chat messages_;
  MarkedText& text_;
  ToolWriter tools_;
  size_t next_ = 0;  // message
  std::optional<size_t> last_user_;
  std::optional<Role> previous_;
  bool goes_on_ = false;  // the model, after the last message
};

class ToolTurns : public MarkedTurns {
 public:
  ToolTurns(const Tokenizer& tokenizer, const TurnWords& words,
            bool empty_thought)
      : MarkedTurns(tokenizer), words_(words), empty_thought_(empty_thought) {
    end_of_turn = *tokenizer.Find(words.marks.close);
    is_gemma = true;
    tool_dialect = ToolDialectOf(tokenizer);
    takes_tools = true;
  }

 protected:
  absl::StatusOr<MarkedText> Text(Chat messages,
                                  const ChatOptions& options) const override {
    if (messages.empty()) {
      return absl::InvalidArgumentError("0 messages, wanted one or more");
    }
    const bool thinks = options.thinking.value_or(false);
    if (thinks && words_.marks.think.empty()) {
      return absl::InvalidArgumentError(
          "thinking is on, but FunctionGemma does not think");
    }
    MarkedText text(tokenizer().Piece(tokenizer().bos()),
                    TextOrigin::kTemplate);
    TurnsWriter writer(words_, messages, text);
    GEMMA_RETURN_IF_ERROR(writer.Begin(options));
    GEMMA_RETURN_IF_ERROR(writer.Write());
    writer.Ask(empty_thought_ && !thinks);
    return text;
  }

 private:
  const TurnWords& words_;
  const bool empty_thought_;
};

bool HasAll(const Tokenizer& tokenizer, const TurnMarks& marks) {
  const ToolMarks& tools = marks.tools;
  for (const std::string_view mark :
       {marks.open, marks.close, tools.open_declaration,
        tools.close_declaration, tools.open_call, tools.close_call,
        tools.open_result, tools.close_result, tools.quote, marks.think,
        marks.open_channel, marks.close_channel}) {
    if (mark.empty()) continue;
    const std::optional<TokenId> token = tokenizer.Find(mark);
    if (!token.has_value() || !tokenizer.IsControl(*token)) return false;
  }
  return true;
}

}  // namespace

ToolDialect ToolDialectOf(const Tokenizer& tokenizer) {
  if (HasAll(tokenizer, kGemma4Turns)) return ToolDialect::kGemma4;
  if (HasAll(tokenizer, kGemma3Turns)) return ToolDialect::kFunctionGemma;
  return ToolDialect::kNone;
}

ChatTemplateImpl MakeToolTurns(const Tokenizer& tokenizer, bool empty_thought) {
  switch (ToolDialectOf(tokenizer)) {
    case ToolDialect::kGemma4:
      return std::make_unique<ToolTurns>(tokenizer, kGemma4Words,
                                         empty_thought);
    case ToolDialect::kFunctionGemma:
      return std::make_unique<ToolTurns>(tokenizer, kFunctionGemmaWords,
                                         /*empty_thought=*/false);
    default:
      return nullptr;
  }
}

}  // namespace gemma::internal

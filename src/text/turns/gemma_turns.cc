// Gemma's own turns, as its published templates write them.

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gemma/chat_template.h"
#include "gemma/tokenizer.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/json.h"
#include "src/base/status_macros.h"
#include "src/text/tokenizer/control_names.h"
#include "src/text/tokenizer/token_writer.h"
#include "src/text/turns/chat_template_impl.h"

namespace gemma {
namespace {

// The characters that Python's str.strip removes.
constexpr std::array<std::string_view, 29> kWhitespace = {
    "\t",     "\n",     "\v",     "\f",     "\r",     "\x1C",
    "\x1D",   "\x1E",   "\x1F",   " ",      "\u0085", "\u00A0",
    "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004",
    "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200A",
    "\u2028", "\u2029", "\u202F", "\u205F", "\u3000"};

// Writes turns as the published templates do. "user\n" and the text after it
// are encoded together, so they may merge.
class TurnWriter {
 public:
  TurnWriter(const Tokenizer& tokenizer, TokenId start, TokenId end)
      : bos_(tokenizer.bos()),
        start_of_turn_(start),
        end_of_turn_(end),
        tokens_(tokenizer) {}

  void Bos() { tokens_.Token(bos_); }

  // <start_of_turn>role\ntext
  void Open(std::string_view role, std::string_view text) {
    tokens_.Token(start_of_turn_);
    tokens_.Text(absl::StrCat(role, "\n", text));
  }

  // <end_of_turn>\n
  void Close() {
    tokens_.Token(end_of_turn_);
    tokens_.Text("\n");
  }

  // Writes a turn of the user and opens the model's turn.
  void Ask(std::string_view text) {
    Open("user", text);
    Close();
    Open("model", "");
  }

  // Number of tokens so far.
  size_t size() const { return tokens_.size(); }

  absl::StatusOr<std::vector<TokenId>> Release() { return tokens_.Release(); }

 private:
  TokenId bos_;
  TokenId start_of_turn_;
  TokenId end_of_turn_;
  TokenWriter tokens_;
};

class GemmaTurns : public ChatTemplate::Impl {
 public:
  GemmaTurns(const Tokenizer& tokenizer, TokenId start, TokenId end)
      : tokenizer_(tokenizer), start_of_turn_(start) {
    end_of_turn = end;
    is_gemma = true;
  }

  absl::StatusOr<std::vector<TokenId>> Render(
      absl::Span<const Message> messages,
      const ChatOptions& options) const override {
    absl::StatusOr<ChatPrompt> prompt = Continue(messages, 0, options);
    if (!prompt.ok()) return prompt.status();
    return std::move(prompt->tokens);
  }

  absl::StatusOr<ChatPrompt> Continue(
      absl::Span<const Message> messages, size_t num_read,
      const ChatOptions& options) const override {
    absl::Status status = CheckParts(messages, options);
    if (!status.ok()) return status;
    std::vector<Message> joined;
    if (HasParts(messages)) {
      GEMMA_ASSIGN_OR_RETURN(joined, WithPartsJoined(messages));
      messages = joined;
    }
    // The published template of Gemma 3, which trims every text but this one.
    std::string prefix;
    if (!messages.empty() && messages.front().role == Role::kSystem) {
      prefix = absl::StrCat(messages.front().text, "\n\n");
      messages.remove_prefix(1);
      if (num_read > 0) --num_read;
    }
    status = CheckOrder(messages);
    if (!status.ok()) return status;
    ChatPrompt prompt;
    // A session has read its answer with the blanks around it, a chat that is
    // read as a whole without them.
    prompt.whole = num_read == 0 || Strip(messages[num_read - 1].text).size() !=
                                        messages[num_read - 1].text.size();
    TurnWriter turns(tokenizer_, start_of_turn_, end_of_turn);
    if (prompt.whole) {
      turns.Bos();
    } else {
      turns.Close();
    }
    for (size_t i = prompt.whole ? 0 : num_read; i < messages.size(); ++i) {
      const Message& message = messages[i];
      const std::string text =
          absl::StrCat(i == 0 ? prefix : "", Strip(message.text));
      if (i + 1 == messages.size()) {
        turns.Ask(text);
        break;
      }
      turns.Open(TurnRole(message.role), text);
      if (message.role == Role::kModel) {
        prompt.answer_ends.push_back(turns.size());
      }
      turns.Close();
    }
    absl::StatusOr<std::vector<TokenId>> tokens = turns.Release();
    if (!tokens.ok()) return tokens.status();
    prompt.tokens = *std::move(tokens);
    return prompt;
  }

 private:
  // Refuses what these turns have no words for.
  static absl::Status CheckParts(absl::Span<const Message> messages,
                                 const ChatOptions& options) {
    if (!options.tools.empty()) {
      return absl::InvalidArgumentError(
          "there are tools, but these turns cannot declare any: use those of a "
          "model that was trained to call tools, or a template that can");
    }
    if (options.thinking.value_or(false)) {
      return absl::InvalidArgumentError(
          "thinking is on, but models with the turns of Gemma 1 to 3 do not "
          "think");
    }
    for (const Message& message : messages) {
      if (message.tool_calls.empty()) continue;
      return absl::InvalidArgumentError(FormatText(
          "a message of the role '%s' has calls of tools, wanted only a text "
          "in the turns of Gemma 1 to 3",
          TurnRole(message.role)));
    }
    return absl::OkStatus();
  }

  static bool HasParts(absl::Span<const Message> messages) {
    return absl::c_any_of(messages, [](const Message& message) {
      return !message.content_json.empty();
    });
  }

  // Copies the messages, with the texts of a list of parts as one text. As in
  // the published template of Gemma 3, each is trimmed, except the system's.
  static absl::StatusOr<std::vector<Message>> WithPartsJoined(
      absl::Span<const Message> messages) {
    std::vector<Message> joined(messages.begin(), messages.end());
    for (Message& message : joined) {
      if (message.content_json.empty()) continue;
      GEMMA_ASSIGN_OR_RETURN(const Json parts,
                             Json::Parse(message.content_json, "'content'"));
      if (!parts.is_array()) return parts.Unexpected("a list of parts");
      message.text.clear();
      for (const Json& part : parts.Elements()) {
        std::string type, text;
        GEMMA_RETURN_IF_ERROR(part.ReadRequired("type", type));
        if (type != "text") {
          return absl::InvalidArgumentError(FormatText(
              "a message of the role '%s' has a part of the type '%s', wanted "
              "'text': only texts are read here",
              TurnRole(message.role), type));
        }
        GEMMA_RETURN_IF_ERROR(part.ReadRequired("text", text));
        absl::StrAppend(&message.text, message.role == Role::kSystem
                                           ? text
                                           : std::string(Strip(text)));
      }
      message.content_json.clear();
    }
    return joined;
  }

  // `messages` are those after the system's.
  static absl::Status CheckOrder(absl::Span<const Message> messages) {
    for (size_t i = 0; i < messages.size(); ++i) {
      const Role wanted = i % 2 == 0 ? Role::kUser : Role::kModel;
      if (messages[i].role != wanted) {
        return absl::InvalidArgumentError(FormatText(
            "message %d after the system's is of the role '%s', wanted '%s': "
            "user and model alternate",
            i, TurnRole(messages[i].role), TurnRole(wanted)));
      }
    }
    if (messages.size() % 2 == 1) return absl::OkStatus();
    return absl::InvalidArgumentError(
        FormatText("%d messages after the system's, wanted an odd number: "
                   "the user's first and last",
                   messages.size()));
  }

  const Tokenizer tokenizer_;
  const TokenId start_of_turn_;
};

}  // namespace

std::string_view internal::TurnRole(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kUser:
      return "user";
    case Role::kModel:
      return "model";
    case Role::kTool:
      return "tool";
    case Role::kDeveloper:
      return "developer";
  }
  return "";
}

std::string_view internal::Strip(std::string_view text) {
  const auto strip_once = [&text] {
    for (std::string_view blank : kWhitespace) {
      if (absl::StartsWith(text, blank)) {
        text.remove_prefix(blank.size());
        return true;
      }
      if (absl::EndsWith(text, blank)) {
        text.remove_suffix(blank.size());
        return true;
      }
    }
    return false;
  };
  while (strip_once()) {
  }
  return text;
}

absl::StatusOr<ChatTemplateImpl> internal::MakeGemmaTurns(
    const Tokenizer& tokenizer, bool empty_thought) {
  ChatTemplateImpl with_tools = MakeToolTurns(tokenizer, empty_thought);
  if (with_tools != nullptr) return with_tools;
  const std::optional<TokenId> start = tokenizer.Find(kGemma3Turns.open);
  const std::optional<TokenId> end = tokenizer.Find(kGemma3Turns.close);
  if (!start.has_value() || !end.has_value()) {
    return absl::FailedPreconditionError(FormatText(
        "the vocabulary has no piece '%s', wanted the markers of turns: the "
        "model does not chat",
        start.has_value() ? kGemma3Turns.close : kGemma3Turns.open));
  }
  return std::make_unique<GemmaTurns>(tokenizer, *start, *end);
}

}  // namespace gemma

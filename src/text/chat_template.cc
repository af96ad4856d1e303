#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gemma/tokenizer.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/text/token_writer.h"

namespace gemma {
namespace {

// The characters that Python's str.strip removes. Jinja's trim, which the
// published templates call, uses it.
constexpr std::array<std::string_view, 29> kWhitespace = {
    "\t",     "\n",     "\v",     "\f",     "\r",     "\x1C",
    "\x1D",   "\x1E",   "\x1F",   " ",      "\u0085", "\u00A0",
    "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004",
    "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200A",
    "\u2028", "\u2029", "\u202F", "\u205F", "\u3000"};

std::string_view Trim(std::string_view text) {
  const auto trim_once = [&text] {
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
  while (trim_once()) {
  }
  return text;
}

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

  absl::StatusOr<std::vector<TokenId>> Release() { return tokens_.Release(); }

 private:
  TokenId bos_;
  TokenId start_of_turn_;
  TokenId end_of_turn_;
  TokenWriter tokens_;
};

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kUser:
      return "user";
    case Role::kModel:
      return "model";
  }
  return "unknown";
}

}  // namespace

absl::StatusOr<ChatTemplate> ChatTemplate::Create(const Tokenizer& tokenizer) {
  return NoThrow([&]() -> absl::StatusOr<ChatTemplate> {
    const std::optional<TokenId> start = tokenizer.Find("<start_of_turn>");
    const std::optional<TokenId> end = tokenizer.Find("<end_of_turn>");
    if (!start.has_value() || !end.has_value()) {
      return absl::FailedPreconditionError(FormatText(
          "the vocabulary has no piece '%s', wanted the markers of turns: the "
          "model does not chat",
          start.has_value() ? "<end_of_turn>" : "<start_of_turn>"));
    }
    return ChatTemplate(tokenizer, *start, *end);
  });
}

absl::StatusOr<std::vector<TokenId>> ChatTemplate::Render(
    absl::Span<const Message> messages) const {
  return NoThrow([&]() -> absl::StatusOr<std::vector<TokenId>> {
    // The published template of Gemma 3, which trims every text but this one.
    std::string prefix;
    if (!messages.empty() && messages.front().role == Role::kSystem) {
      prefix = absl::StrCat(messages.front().text, "\n\n");
      messages.remove_prefix(1);
    }
    if (messages.size() % 2 == 0) {
      return absl::InvalidArgumentError(
          FormatText("%d messages after the system's, wanted an odd number: "
                     "the user's first and last",
                     messages.size()));
    }
    TurnWriter turns(tokenizer_, start_of_turn_, end_of_turn_);
    turns.Bos();
    for (size_t i = 0; i < messages.size(); ++i) {
      const Message& message = messages[i];
      const Role wanted = i % 2 == 0 ? Role::kUser : Role::kModel;
      if (message.role != wanted) {
        return absl::InvalidArgumentError(FormatText(
            "message %d after the system's is of the role '%s', wanted '%s': "
            "user and model alternate",
            i, RoleName(message.role), RoleName(wanted)));
      }
      const std::string text =
          absl::StrCat(i == 0 ? prefix : "", Trim(message.text));
      if (i + 1 == messages.size()) {
        turns.Ask(text);
      } else {
        turns.Open(RoleName(message.role), text);
        turns.Close();
      }
    }
    return turns.Release();
  });
}

absl::StatusOr<std::vector<TokenId>> ChatTemplate::UserTurn(
    std::string_view text, std::string_view system) const {
  return NoThrow([&]() -> absl::StatusOr<std::vector<TokenId>> {
    std::vector<Message> messages;
    if (!system.empty())
      messages.push_back({Role::kSystem, std::string(system)});
    messages.push_back({Role::kUser, std::string(text)});
    return Render(messages);
  });
}

absl::StatusOr<std::vector<TokenId>> ChatTemplate::NextUserTurn(
    std::string_view text) const {
  return NoThrow([&]() -> absl::StatusOr<std::vector<TokenId>> {
    TurnWriter turns(tokenizer_, start_of_turn_, end_of_turn_);
    turns.Close();
    turns.Ask(Trim(text));
    return turns.Release();
  });
}

}  // namespace gemma

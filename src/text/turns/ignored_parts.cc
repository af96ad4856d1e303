#include "src/text/turns/ignored_parts.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace gemma::internal {
namespace {

using Messages = absl::Span<const Message>;

// Calls or results, which are checked apart: a template may know the tools that
// it sees, and refuse a call of another.
enum class Kind { kCalls, kResults };

// A word in place of a tool's name or of a result.
struct Word {
  size_t message = 0;
  std::string text;
};

// A chat whose calls or results are words that the chat itself does not have.
struct Replaced {
  std::vector<Message> messages;
  std::vector<Word> words;
};

// Gives results the names that their calls have now.
void RenameResults(const std::vector<ToolCall>& before,
                   const std::vector<ToolCall>& after,
                   absl::Span<Message> results) {
  for (Message& result : results) {
    if (result.role != Role::kTool) return;
    for (size_t i = 0; i < before.size(); ++i) {
      if (result.tool_name != before[i].name) continue;
      result.tool_name = after[i].name;
      break;
    }
  }
}

// Returns a short word that the text does not contain: "q", a number and "z".
std::string UnusedWord(std::string_view text) {
  // A text contains fewer such words than it has bytes.
  std::vector<bool> is_used(text.size() + 1);
  for (size_t q = text.find('q'); q != text.npos; q = text.find('q', q + 1)) {
    size_t number = 0;
    size_t end = q + 1;
    while (end < text.size() && absl::ascii_isdigit(text[end]) &&
           number < is_used.size()) {
      number = 10 * number + static_cast<size_t>(text[end++] - '0');
    }
    if (number < is_used.size()) is_used[number] = true;
  }
  const auto free = std::find(is_used.begin(), is_used.end(), false);
  return absl::StrCat("q", free - is_used.begin(), "z");
}

Replaced Replace(Messages messages, Kind kind, std::string_view prefix) {
  Replaced replaced = {{messages.begin(), messages.end()}, {}};
  const auto word = [&](size_t i) {
    replaced.words.push_back(
        {i, absl::StrCat(prefix, replaced.words.size(), "q")});
    return replaced.words.back().text;
  };
  for (size_t i = 0; i < messages.size(); ++i) {
    Message& message = replaced.messages[i];
    if (kind == Kind::kCalls && !message.tool_calls.empty()) {
      for (ToolCall& call : message.tool_calls) call.name = word(i);
      RenameResults(messages[i].tool_calls, message.tool_calls,
                    absl::MakeSpan(replaced.messages).subspan(i + 1));
    } else if (kind == Kind::kResults && message.role == Role::kTool) {
      message.content_json.clear();
      message.text = word(i);
    }
  }
  return replaced;
}

// The message of a user that follows messages[i], or their number.
size_t NextUser(Messages messages, size_t i) {
  while (i < messages.size() && messages[i].role != Role::kUser) ++i;
  return i;
}

// Whether the template writes something else for these messages than for the
// same with words. One that refuses the words has looked at them.
bool Differs(const absl::StatusOr<MarkedText>& text, Messages with_words,
             const RenderFunction& render) {
  const absl::StatusOr<MarkedText> other = render(with_words);
  return text.ok() && (!other.ok() || !(*other == *text));
}

// The last message whose calls or results the template leaves out of a chat.
std::optional<size_t> LastLost(Messages messages, const MarkedText& text,
                               Kind kind, std::string_view prefix,
                               const RenderFunction& render) {
  const Replaced replaced = Replace(messages, kind, prefix);
  if (replaced.words.empty()) return std::nullopt;
  const absl::StatusOr<MarkedText> other = render(replaced.messages);
  if (!other.ok()) return std::nullopt;
  for (size_t i = replaced.words.size(); i-- > 0;) {
    const Word& word = replaced.words[i];
    if (absl::StrContains(other->text(), word.text)) continue;
    // The template may write the word in another way.
    std::vector<Message> one(messages.begin(), messages.end());
    one[word.message] = replaced.messages[word.message];
    if (!Differs(text, one, render)) return word.message;
    return std::nullopt;
  }
  return std::nullopt;
}

bool Ignores(Messages messages, const MarkedText& text, Kind kind,
             std::string_view prefix, const RenderFunction& render) {
  const std::optional<size_t> lost =
      LastLost(messages, text, kind, prefix, render);
  if (!lost.has_value()) return false;
  const size_t user = NextUser(messages, *lost);
  if (user == messages.size()) return true;
  // It is old. While it was new, these were all messages.
  const Messages before = messages.first(user);
  const absl::StatusOr<MarkedText> text_before = render(before);
  return !text_before.ok() ||
         LastLost(before, *text_before, kind, prefix, render) == lost;
}

}  // namespace

std::string_view IgnoredToolParts(Messages messages, const MarkedText& text,
                                  const RenderFunction& render) {
  const std::string prefix = UnusedWord(text.text());
  if (Ignores(messages, text, Kind::kCalls, prefix, render)) {
    return "calls of tools";
  }
  if (Ignores(messages, text, Kind::kResults, prefix, render)) {
    return "results of tools";
  }
  return "";
}

}  // namespace gemma::internal

#include "src/text/turns/call_parser.h"

#include <cmath>
#include <cstddef>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "src/base/hash_table.h"

namespace gemma::internal {
namespace {

constexpr size_t kMaxDepth = 32;

void AppendJsonString(std::string_view text, std::string& json) {
  json += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (c == '\n') {
      json += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      json += "\\u00";
      json += kDigits[static_cast<size_t>(c) / 16];
      json += kDigits[static_cast<size_t>(c) % 16];
    } else {
      json += c;
    }
  }
  json += '"';
}

// Takes digits from the beginning of a text. Returns how many.
size_t TakeDigits(std::string_view& text) {
  size_t count = 0;
  while (count < text.size() && absl::ascii_isdigit(text[count])) ++count;
  text.remove_prefix(count);
  return count;
}

// Whether a text is a number of JSON that a double can hold.
bool IsNumber(std::string_view text) {
  double value = 0;
  if (!absl::SimpleAtod(text, &value) || !std::isfinite(value)) return false;
  absl::ConsumePrefix(&text, "-");
  const bool has_zero = absl::StartsWith(text, "0");
  const size_t whole = TakeDigits(text);
  if (whole == 0 || (has_zero && whole > 1)) return false;
  if (absl::ConsumePrefix(&text, ".") && TakeDigits(text) == 0) return false;
  if (absl::ConsumePrefix(&text, "e") || absl::ConsumePrefix(&text, "E")) {
    if (!absl::ConsumePrefix(&text, "-")) absl::ConsumePrefix(&text, "+");
    if (TakeDigits(text) == 0) return false;
  }
  return text.empty();
}

// Each function returns whether it could read its part.
class CallReader {
 public:
  explicit CallReader(std::string_view text) : rest_(text) {}

  bool Read(ToolCall& call) {
    SkipBlanks();
    if (!absl::ConsumePrefix(&rest_, "call:")) return false;
    const size_t open = rest_.find('{');
    if (open == std::string_view::npos) return false;
    const std::string_view name =
        absl::StripAsciiWhitespace(rest_.substr(0, open));
    if (name.empty() || name.find_first_of("}[],:\n\xFF") != name.npos) {
      return false;
    }
    call.name = std::string(name);
    rest_.remove_prefix(open);
    if (!Object(call.arguments, 0)) return false;
    SkipBlanks();
    return rest_.empty();
  }

 private:
  void SkipBlanks() { rest_ = absl::StripLeadingAsciiWhitespace(rest_); }

  bool Take(char c) {
    SkipBlanks();
    return absl::ConsumePrefix(&rest_, std::string_view(&c, 1));
  }

  bool AtQuote() const {
    return absl::StartsWith(rest_, std::string_view(&kQuoteByte, 1));
  }

  // A text in quotes. Nothing is escaped in it.
  bool Quoted(std::string_view& text) {
    if (!Take(kQuoteByte)) return false;
    const size_t end = rest_.find(kQuoteByte);
    if (end == std::string_view::npos) return false;
    text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return true;
  }

  bool Key(std::string_view& key) {
    SkipBlanks();
    if (AtQuote()) return Quoted(key);
    const size_t end = rest_.find_first_of(":,{}[]\xFF");
    if (end == std::string_view::npos || end == 0) return false;
    key = absl::StripTrailingAsciiWhitespace(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return true;
  }

  bool Object(std::string& json, size_t depth) {
    if (depth > kMaxDepth || !Take('{')) return false;
    json += '{';
    HashSet<std::string_view> keys;
    for (bool is_first = true; !Take('}'); is_first = false) {
      if (!is_first) {
        if (!Take(',')) return false;
        json += ',';
      }
      std::string_view key;
      if (!Key(key) || !keys.insert(key).second) return false;
      AppendJsonString(key, json);
      if (!Take(':')) return false;
      json += ':';
      if (!Value(json, depth + 1)) return false;
    }
    json += '}';
    return true;
  }

  bool List(std::string& json, size_t depth) {
    if (depth > kMaxDepth || !Take('[')) return false;
    json += '[';
    for (bool is_first = true; !Take(']'); is_first = false) {
      if (!is_first) {
        if (!Take(',')) return false;
        json += ',';
      }
      if (!Value(json, depth + 1)) return false;
    }
    json += ']';
    return true;
  }

  bool Value(std::string& json, size_t depth) {
    SkipBlanks();
    if (absl::StartsWith(rest_, "{")) return Object(json, depth);
    if (absl::StartsWith(rest_, "[")) return List(json, depth);
    if (AtQuote()) {
      std::string_view text;
      if (!Quoted(text)) return false;
      AppendJsonString(text, json);
      return true;
    }
    const std::string_view word = absl::StripTrailingAsciiWhitespace(
        rest_.substr(0, rest_.find_first_of(",{}[]:\xFF")));
    rest_.remove_prefix(word.size());
    if (word == "None" || word == "null") {
      json += "null";
    } else if (word == "true" || word == "false" || IsNumber(word)) {
      json += word;
    } else {
      return false;
    }
    return true;
  }

  std::string_view rest_;
};

}  // namespace

std::optional<ToolCall> ParseCall(std::string_view text) {
  ToolCall call;
  if (!CallReader(text).Read(call)) return std::nullopt;
  return call;
}

}  // namespace gemma::internal

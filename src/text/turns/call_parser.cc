#include "src/text/turns/call_parser.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace gemma::internal {
namespace {

// Less than chats may contain; see kChatJsonLimits.
constexpr size_t kMaxDepth = 60;

// The parts of a header in JSON, without blanks.
constexpr std::string_view kBeforeName = "{\"name\":\"";
constexpr std::string_view kAfterName = "\",\"parameters\":";

// What ends a name, a key or a word.
constexpr std::string_view kStructure = "{}[],:\xFF";

// Appends a character of a plain text as JSON writes it.
void AppendEscaped(char c, std::string& json) {
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

bool IsStructure(char c) {
  return kStructure.find(c) != std::string_view::npos;
}

}  // namespace

bool CallReader::Take(char c) {
  switch (state_) {
    case State::kHeader:
      return TakeHeader(c);
    case State::kString:
    case State::kEscape:
    case State::kHex:
      return TakeString(c);
    case State::kBareKey:
      return TakeKey(c);
    case State::kWord:
      if (!IsStructure(c)) {
        part_ += c;
        return true;
      }
      return EndWord() && TakeAfter(c);
    default:
      break;
  }
  // Blanks change nothing between the parts.
  if (absl::ascii_isspace(static_cast<unsigned char>(c))) return true;
  switch (state_) {
    case State::kValue:
      return TakeValue(c);
    case State::kFirst:
      if (c == '}' || c == ']') return Close(c);
      return levels_.back().is_object ? TakeKey(c) : TakeValue(c);
    case State::kKey:
      return TakeKey(c);
    case State::kColon:
      state_ = State::kValue;
      return c == ':';
    case State::kAfter:
      return TakeAfter(c);
    case State::kTail:
      state_ = State::kEnd;
      return c == '}';
    default:
      return false;
  }
}

bool CallReader::TakeHeader(char c) {
  return form_ == CallForm::kJson ? TakeJsonHeader(c) : TakeMarkedHeader(c);
}

bool CallReader::TakeMarkedHeader(char c) {
  if (c != '{') {
    part_ += c;
    return true;
  }
  std::string_view header = absl::StripAsciiWhitespace(part_);
  if (!absl::ConsumePrefix(&header, "call:")) return false;
  header = absl::StripAsciiWhitespace(header);
  if (header.empty() || header.find_first_of(kStructure) != header.npos ||
      header.find('\n') != header.npos) {
    return false;
  }
  name_ = std::string(header);
  return Open(c);
}

bool CallReader::TakeJsonHeader(char c) {
  const std::string_view header = part_;
  if (absl::ascii_isspace(static_cast<unsigned char>(c))) {
    // Between the parts only; a name has no blanks.
    const auto quotes = std::count(header.begin(), header.end(), '"');
    return quotes % 2 == 0;
  }
  if (header.size() < kBeforeName.size()) {
    part_ += c;
    return absl::StartsWith(kBeforeName, part_);
  }
  const std::string_view rest = header.substr(kBeforeName.size());
  const size_t end = rest.find('"');
  if (end == std::string_view::npos) {
    part_ += c;
    return c != '\\' && (c != '"' || !rest.empty());
  }
  if (rest.substr(end) != kAfterName) {
    part_ += c;
    return absl::StartsWith(kAfterName, part_.substr(kBeforeName.size() + end));
  }
  if (c != '{') return false;
  name_ = std::string(rest.substr(0, end));
  return Open(c);
}

bool CallReader::TakeValue(char c) {
  if (c == '{' || c == '[') return Open(c);
  Level& level = levels_.back();
  if (!level.is_object && std::exchange(level.has_parts, true)) Write(",");
  if (c == quote()) {
    is_key_ = false;
    state_ = State::kString;
    Write("\"");
    return true;
  }
  part_ = c;
  state_ = State::kWord;
  return !IsStructure(c);
}

bool CallReader::TakeKey(char c) {
  if (state_ == State::kBareKey) {
    if (c == ':') {
      absl::StripTrailingAsciiWhitespace(&part_);
      std::string escaped;
      for (const char each : part_) AppendEscaped(each, escaped);
      part_ = std::move(escaped);
      state_ = State::kValue;
      return EndKey();
    }
    part_ += c;
    return !IsStructure(c);
  }
  part_.clear();
  if (c == quote()) {
    is_key_ = true;
    state_ = State::kString;
    return true;
  }
  part_ += c;
  state_ = State::kBareKey;
  return form_ == CallForm::kMarked && !IsStructure(c);
}

bool CallReader::TakeHex(char c) {
  int digit = 0;
  if (!absl::SimpleHexAtoi(std::string_view(&c, 1), &digit)) return false;
  hex_ = hex_ * 16 + digit;
  if (--hex_left_ > 0) return true;
  state_ = State::kString;
  // The second half of a character follows the first one, and nothing else.
  const bool is_second = hex_ >= 0xDC00 && hex_ <= 0xDFFF;
  if (is_second != is_half_) return false;
  is_half_ = hex_ >= 0xD800 && hex_ <= 0xDBFF;
  return true;
}

bool CallReader::TakeString(char c) {
  std::string json;
  if (is_half_ && state_ != State::kHex &&
      c != (state_ == State::kEscape ? 'u' : '\\')) {
    return false;
  }
  if (state_ == State::kHex) {
    json += c;
    if (!TakeHex(c)) return false;
  } else if (state_ == State::kEscape) {
    json += c;
    state_ = c == 'u' ? State::kHex : State::kString;
    hex_left_ = 4;
    hex_ = 0;
    constexpr std::string_view kEscapes = "\"\\/bfnrtu";
    if (kEscapes.find(c) == std::string_view::npos) return false;
  } else if (c == quote()) {
    EndString();
    return true;
  } else if (form_ == CallForm::kMarked) {
    AppendEscaped(c, json);
  } else {
    json += c;
    if (c == '\\') state_ = State::kEscape;
    if (static_cast<unsigned char>(c) < 0x20) return false;
  }
  if (is_key_) {
    part_ += json;
  } else {
    Write(json);
  }
  return true;
}

void CallReader::EndString() {
  if (is_key_) {
    state_ = State::kColon;
    EndKey();
  } else {
    Write("\"");
    EndValue();
  }
}

bool CallReader::EndKey() {
  Level& level = levels_.back();
  if (level.keys.insert(part_).second) {
    const bool has_parts = std::exchange(level.has_parts, true);
    Write(absl::StrCat(has_parts ? "," : "", "\"", part_, "\":"));
  } else if (skipped_ == 0) {
    skipped_ = levels_.size();
  }
  return true;
}

bool CallReader::EndWord() {
  absl::StripTrailingAsciiWhitespace(&part_);
  const bool is_null =
      part_ == "null" || (part_ == "None" && form_ == CallForm::kMarked);
  if (!is_null && part_ != "true" && part_ != "false" && !IsNumber(part_)) {
    return false;
  }
  Write(is_null ? "null" : part_);
  EndValue();
  return true;
}

bool CallReader::TakeAfter(char c) {
  if (c == '}' || c == ']') return Close(c);
  state_ = levels_.back().is_object ? State::kKey : State::kValue;
  return c == ',';
}

bool CallReader::Open(char c) {
  if (levels_.size() == kMaxDepth) return false;
  if (!levels_.empty()) {
    Level& level = levels_.back();
    if (!level.is_object && std::exchange(level.has_parts, true)) Write(",");
  }
  Write(std::string_view(&c, 1));
  levels_.push_back({.is_object = c == '{'});
  state_ = State::kFirst;
  return true;
}

bool CallReader::Close(char c) {
  if (levels_.back().is_object != (c == '}')) return false;
  Write(std::string_view(&c, 1));
  levels_.pop_back();
  EndValue();
  return true;
}

void CallReader::EndValue() {
  if (skipped_ == levels_.size()) skipped_ = 0;
  state_ = !levels_.empty()             ? State::kAfter
           : form_ == CallForm::kMarked ? State::kEnd
                                        : State::kTail;
}

void CallReader::Write(std::string_view json) {
  if (skipped_ == 0) json_ += json;
}

std::optional<ToolCall> ParseCall(std::string_view text) {
  CallReader reader(CallForm::kMarked);
  for (const char c : text) {
    if (!reader.Take(c)) return std::nullopt;
  }
  if (!reader.complete()) return std::nullopt;
  return ToolCall{.name = reader.name(), .arguments = reader.arguments()};
}

}  // namespace gemma::internal

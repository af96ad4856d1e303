#include "src/serve/answer/json_writer.h"

#include <charconv>
#include <cmath>

#include "src/base/json_escape.h"
#include "src/base/utf8.h"

namespace gemma::internal {
namespace {

// Returns the shortest digits that read as the same number.
template <class T>
std::string DigitsOf(T number) {
  if (!std::isfinite(number)) return "null";
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), number).ptr;
  return std::string(buffer, end);
}

// Terminals do not show 0x7F.
std::string EscapeOf(char c) {
  return c == 0x7F ? "\\u007f" : JsonEscape(static_cast<uint8_t>(c));
}

void Write(const Json& json, JsonWriter& out) {
  switch (json.type()) {
    case Json::Type::kNull:
      out.Null();
      return;
    case Json::Type::kBool: {
      bool value = false;
      json.Get(value).IgnoreError();
      out.Value(value);
      return;
    }
    case Json::Type::kNumber: {
      std::string digits;
      if (json.GetDigits(digits).ok()) {
        out.Raw(digits);
        return;
      }
      double value = 0;
      json.Get(value).IgnoreError();
      out.Value(value);
      return;
    }
    case Json::Type::kString: {
      std::string_view text;
      json.Get(text).IgnoreError();
      out.Value(text);
      return;
    }
    case Json::Type::kArray:
      out.Array();
      for (const Json& element : json.Elements()) Write(element, out);
      out.Close();
      return;
    case Json::Type::kObject:
      out.Object();
      for (const auto& [name, value] : json.Members()) {
        out.Key(name);
        Write(value, out);
      }
      out.Close();
      return;
  }
}

}  // namespace

JsonWriter& JsonWriter::Open(char opening, char closing) {
  Separate();
  text_ += opening;
  open_ += closing;
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::Close() {
  text_ += open_.back();
  open_.pop_back();
  first_ = false;
  return *this;
}

JsonWriter& JsonWriter::Key(std::string_view name) {
  Separate();
  AppendString(name);
  text_ += ':';
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::Value(std::string_view text) {
  Separate();
  AppendString(text);
  return *this;
}

JsonWriter& JsonWriter::Value(double number) { return Raw(DigitsOf(number)); }
JsonWriter& JsonWriter::Value(float number) { return Raw(DigitsOf(number)); }

JsonWriter& JsonWriter::Raw(std::string_view json) {
  Separate();
  text_ += json;
  return *this;
}

void JsonWriter::Separate() {
  if (std::exchange(after_key_, false)) return;
  if (!first_ && !open_.empty()) text_ += ',';
  first_ = false;
}

void JsonWriter::AppendString(std::string_view text) {
  text_ += '"';
  while (!text.empty()) {
    const size_t length = Utf8CharacterLength(text);
    if (length == 0) {
      text_ += kReplacementCharacter;
      text.remove_prefix(1);
      continue;
    }
    const std::string escape = length == 1 ? EscapeOf(text[0]) : "";
    text_ += escape.empty() ? text.substr(0, length) : std::string_view(escape);
    text.remove_prefix(length);
  }
  text_ += '"';
}

std::string CompactJson(const Json& json) {
  JsonWriter out;
  Write(json, out);
  return out.Take();
}

}  // namespace gemma::internal

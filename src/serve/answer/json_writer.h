// Writes JSON.

#ifndef GEMMA_SRC_SERVE_ANSWER_JSON_WRITER_H_
#define GEMMA_SRC_SERVE_ANSWER_JSON_WRITER_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/json.h"

namespace gemma::internal {

// Appends values to a text without blanks. The caller opens and closes objects
// and arrays in pairs, and writes a key before each member. The text is valid
// UTF-8, whatever the strings are.
class JsonWriter {
 public:
  // Open the next value.
  JsonWriter& Object() { return Open('{', '}'); }
  JsonWriter& Array() { return Open('[', ']'); }
  // Closes the innermost open object or array.
  JsonWriter& Close();

  JsonWriter& Key(std::string_view name);

  // The next value. Bytes of a string that are not UTF-8 become U+FFFD, and a
  // number that is not finite becomes null.
  JsonWriter& Value(std::string_view text);
  JsonWriter& Value(const char* text) { return Value(std::string_view(text)); }
  JsonWriter& Value(const std::string& text) {
    return Value(std::string_view(text));
  }
  JsonWriter& Value(double number);
  JsonWriter& Value(float number);
  template <std::integral T>
  JsonWriter& Value(T value) {
    if constexpr (std::same_as<T, bool>) {
      return Raw(value ? "true" : "false");
    } else {
      return Raw(std::to_string(value));
    }
  }
  JsonWriter& Null() { return Raw("null"); }
  // The next value, which is JSON already.
  JsonWriter& Raw(std::string_view json);

  // A member of the open object.
  template <class T>
  JsonWriter& Member(std::string_view name, const T& value) {
    return Key(name).Value(value);
  }
  JsonWriter& NullMember(std::string_view name) { return Key(name).Null(); }

  // Returns the text, and begins the next one.
  std::string Take() { return std::exchange(text_, std::string()); }

 private:
  JsonWriter& Open(char opening, char closing);
  // Writes the comma before a value or a key, if one is due.
  void Separate();
  void AppendString(std::string_view text);

  std::string text_;
  std::string open_;  // the closing characters, innermost last
  bool first_ = true;
  bool after_key_ = false;
};

// Returns the JSON of a parsed value: the same value, without blanks.
std::string CompactJson(const Json& json);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_ANSWER_JSON_WRITER_H_

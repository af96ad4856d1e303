// Reads calls of tools while models write them.

#ifndef GEMMA_SRC_TEXT_TURNS_CALL_PARSER_H_
#define GEMMA_SRC_TEXT_TURNS_CALL_PARSER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gemma/chat_template.h"
#include "src/base/hash_table.h"

namespace gemma::internal {

// Stands for the token around a string. No UTF-8 text has this byte.
inline constexpr char kQuoteByte = '\xFF';

// How a call is written.
enum class CallForm {
  // call:NAME{KEY:VALUE,...}, as Gemma 4 and FunctionGemma write it between
  // their marks. A string is text between two kQuoteByte, in which nothing is
  // escaped; a key may be one too. None means null.
  kMarked,
  // {"name": "NAME", "parameters": {...}}, as Gemma 3 writes it, in JSON.
  kJson,
};

// Takes a call byte by byte, and gives its arguments as JSON: in their order,
// without blanks. A value is a string, a number of JSON that a double can hold,
// true, false, null, a list [...] or an object {...}. Blanks and newlines may
// stand around names and values. If a key is repeated in an object, its first
// value counts. Values may be nested 60 deep.
class CallReader {
 public:
  explicit CallReader(CallForm form) : form_(form) {}

  // Takes the next byte. Returns false if the syntax is wrong; no other byte
  // may follow then.
  bool Take(char c);
  // Whether the bytes so far are a whole call.
  bool complete() const { return state_ == State::kEnd; }

  // The name of the tool; empty as long as it is not known.
  const std::string& name() const { return name_; }
  // The JSON of the arguments so far.
  const std::string& arguments() const { return json_; }

 private:
  enum class State {
    kHeader,   // up to the arguments
    kValue,    // a value begins
    kFirst,    // a key or a value begins, or the object or list ends
    kKey,      // a key begins
    kBareKey,  // in a key without quotes
    kColon,    // after a key
    kString,   // in a string
    kEscape,   // after its backslash
    kHex,      // after \u in it
    kWord,     // in a number or another word
    kAfter,    // after a value
    kTail,     // after the arguments, in JSON
    kEnd,
  };
  // An object or a list that has not ended.
  struct Level {
    bool is_object = true;
    bool has_parts = false;
    HashSet<std::string> keys = {};
  };

  bool TakeHeader(char c);
  bool TakeMarkedHeader(char c);
  bool TakeJsonHeader(char c);
  bool TakeValue(char c);
  bool TakeKey(char c);
  bool TakeString(char c);
  bool TakeHex(char c);
  bool TakeAfter(char c);
  bool Open(char c);
  bool Close(char c);
  bool EndKey();
  bool EndWord();
  void EndString();
  void EndValue();
  // Adds to the JSON, unless in the value of a repeated key.
  void Write(std::string_view json);
  char quote() const { return form_ == CallForm::kJson ? '"' : kQuoteByte; }

  const CallForm form_;
  State state_ = State::kHeader;
  std::string name_;
  std::string json_;
  std::string part_;      // of the header, a key or a word
  bool is_key_ = false;   // the string is one
  int hex_left_ = 0;      // digits of the escape
  int hex_ = 0;           // its digits so far
  bool is_half_ = false;  // the last escape was half of a character
  std::vector<Level> levels_;
  size_t skipped_ = 0;  // the number of levels where a repeated key is; 0: none
};

// Reads a whole call: "call:NAME{KEY:VALUE,...}", the text between the marks.
// Returns nothing if its syntax is wrong.
std::optional<ToolCall> ParseCall(std::string_view text);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TURNS_CALL_PARSER_H_

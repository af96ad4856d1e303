// Values of JSON as a model writes them: on one line, with one blank or none
// behind each colon and comma.

#ifndef GEMMA_SRC_GRAMMAR_JSON_VALUES_H_
#define GEMMA_SRC_GRAMMAR_JSON_VALUES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/base/json.h"
#include "src/grammar/byte_grammar.h"

namespace gemma {

// Makes expressions of one grammar; those that are needed often, once.
class JsonValues {
 public:
  // The grammar must outlive this.
  explicit JsonValues(ByteGrammar& grammar);

  ExprId comma() const { return comma_; }
  ExprId colon() const { return colon_; }

  ExprId Null() { return grammar_.Text("null"); }
  ExprId Boolean() {
    return grammar_.Choice({grammar_.Text("true"), grammar_.Text("false")});
  }
  // Up to 19 digits.
  ExprId Integer();
  // Up to 19 digits, a point and 16, and an exponent of 2.
  ExprId Number();
  // A string of so many characters.
  ExprId String(uint32_t least, uint32_t most);
  // A string of these characters, as they are written.
  ExprId Quoted(ExprId characters);
  // A string that is none of these, which differ.
  ExprId StringBut(std::vector<std::string> names);

  ExprId Object(ExprId members);
  ExprId Array(ExprId elements);
  // One after the other, with commas between.
  ExprId List(ExprId item, uint32_t least, uint32_t most);
  ExprId Member(ExprId name, ExprId value);

  // Any value, and any of one kind.
  ExprId Any();
  ExprId AnyObject();
  ExprId AnyArray();

  // This value.
  ExprId Literal(const Json& value);

 private:
  ByteGrammar& grammar_;
  ExprId comma_;
  ExprId colon_;
  ExprId character_;
  std::optional<ExprId> any_;
};

// The value in one way of writing it: equal values give equal texts, but for
// 1 and 1.0 and the order of members.
std::string JsonText(const Json& value);

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_JSON_VALUES_H_

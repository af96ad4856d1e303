// JSON values as models write them: on one line, with at most one blank after
// each colon and comma.

#ifndef GEMMA_SRC_GRAMMAR_JSON_VALUES_H_
#define GEMMA_SRC_GRAMMAR_JSON_VALUES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/base/json.h"
#include "src/grammar/byte_grammar.h"

namespace gemma::internal {

// Makes JSON expressions of one grammar. Frequent ones are made once.
class JsonValues {
 public:
  // `grammar` must outlive this object.
  explicit JsonValues(ByteGrammar& grammar);

  ExprId comma() const { return comma_; }
  ExprId colon() const { return colon_; }

  ExprId Null() { return grammar_.Text("null"); }
  ExprId Boolean() {
    return grammar_.Choice({grammar_.Text("true"), grammar_.Text("false")});
  }
  // Up to 19 digits.
  ExprId Integer();
  // Up to 19 digits, then a point with up to 16, then an exponent of up to 2.
  ExprId Number();
  // A string of `least` to `most` characters.
  ExprId String(uint32_t least, uint32_t most);
  // A string of `characters`, already in the spelling of JSON.
  ExprId Quoted(ExprId characters);
  // A string that equals none of `names`, which must be distinct.
  ExprId StringBut(std::vector<std::string> names);

  ExprId Object(ExprId members);
  ExprId Array(ExprId elements);
  // Items separated by commas.
  ExprId List(ExprId item, uint32_t least, uint32_t most);
  ExprId Member(ExprId name, ExprId value);

  // Any value, and any value of one kind.
  ExprId Any();
  ExprId AnyObject();
  ExprId AnyArray();

  // Exactly this value.
  ExprId Literal(const Json& value);

 private:
  ByteGrammar& grammar_;
  ExprId comma_;
  ExprId colon_;
  ExprId character_;
  std::optional<ExprId> any_;
};

// Returns the one spelling that a grammar gives the value. Equal values give
// equal texts, except for 1 and 1.0 and for the order of members.
std::string JsonText(const Json& value);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_JSON_VALUES_H_

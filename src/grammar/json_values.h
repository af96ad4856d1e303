// Values as models write them: in JSON on one line, with at most one blank
// after each colon and comma; or in calls of tools, between marks.

#ifndef GEMMA_SRC_GRAMMAR_JSON_VALUES_H_
#define GEMMA_SRC_GRAMMAR_JSON_VALUES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/json.h"
#include "src/grammar/byte_grammar.h"
#include "src/grammar/characters.h"
#include "src/grammar/marks.h"

namespace gemma::internal {

// How values are written.
enum class ValueForm {
  kJson,
  // As Gemma 4 and FunctionGemma write the arguments of a call: a string is
  // plain text between two Mark::kQuote, a name of a property has no quotes,
  // there are no blanks, and the rest is as in JSON. Only names that would be
  // misread are between quotes.
  kMarked,
};

// Makes expressions of values in one grammar. Frequent ones are made once.
class JsonValues {
 public:
  // `grammar` must outlive this object. If max_depth is not 0, lists and
  // objects are nested at most as deep in a value for which any is allowed.
  explicit JsonValues(ByteGrammar& grammar, ValueForm form = ValueForm::kJson,
                      size_t max_depth = 0);

  ValueForm form() const { return form_; }
  // The spelling of characters in strings.
  Writing writing() const {
    return form_ == ValueForm::kJson ? Writing::kJson : Writing::kPlain;
  }
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
  // A string of `characters`, already in the spelling of writing().
  ExprId Quoted(ExprId characters);
  // The name of a property.
  ExprId Name(std::string_view name);
  // A name that equals none of `names`, which must be distinct. Between marks,
  // it is one without quotes.
  ExprId NameBut(std::vector<std::string> names);

  ExprId Object(ExprId members);
  ExprId Array(ExprId elements);
  // Items separated by commas.
  ExprId List(ExprId item, uint32_t least, uint32_t most);
  ExprId Member(ExprId name, ExprId value);

  // Any value.
  ExprId Any();

  // Exactly this value.
  ExprId Literal(const Json& value);
  // The one spelling of a text, a number, a boolean or null.
  std::string ScalarText(const Json& value) const;

 private:
  // Values without lists and objects.
  ExprId Scalar();
  // Any value whose lists and objects contain values of `inner`.
  ExprId AnyOf(ExprId inner);

  ByteGrammar& grammar_;
  const ValueForm form_;
  const size_t max_depth_;
  ExprId comma_;
  ExprId colon_;
  ExprId character_;
  std::optional<ExprId> any_;
};

// Returns the one spelling in JSON that a grammar gives the value. Equal values
// give equal texts, except for 1 and 1.0 and for the order of members.
std::string JsonText(const Json& value);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_JSON_VALUES_H_

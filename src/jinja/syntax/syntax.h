// A template as a tree of statements and expressions.

#ifndef GEMMA_SRC_JINJA_SYNTAX_SYNTAX_H_
#define GEMMA_SRC_JINJA_SYNTAX_SYNTAX_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/jinja/values/value.h"

namespace gemma::internal {

struct Builtin;  // a filter or a test (builtins.h)

enum class Operator : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kIn,
  kNotIn,
};

// An expression. `parts` are its operands; null for an omitted one.
struct Expression {
  enum class Kind : uint8_t {
    kConstant,     // value
    kName,         // variable
    kList,         // parts
    kTuple,        // parts
    kDict,         // parts: key, value, key, value...
    kNot,          // parts[0]
    kNegative,     // parts[0]
    kPositive,     // parts[0]
    kBinary,       // parts[0] operators[0] parts[1]
    kAnd,          // parts[0], parts[1]
    kOr,           // parts[0], parts[1]
    kCompare,      // parts[0] operators[0] parts[1] operators[1] parts[2]...
    kConcat,       // parts, joined
    kConditional,  // parts: condition, value, other value or null
    kAttribute,    // parts[0].name
    kItem,         // parts[0][parts[1]]
    kSlice,        // parts[0][parts[1]:parts[2]:parts[3]], null if omitted
    kCall,         // parts[0](arguments)
    kFilter,       // parts[0] | name(arguments). Null: the text of a block
    kTest,         // parts[0] is name(arguments)
  };

  Kind kind;
  uint32_t line;
  uint32_t variable = 0;  // the number of a name in Program::names
  std::string name;       // of an attribute, a filter or a test
  const Builtin* builtin = nullptr;
  JinjaValue value;
  std::vector<Operator> operators;
  std::vector<const Expression*> parts;
  // Arguments of a call, a filter or a test.
  std::vector<const Expression*> positional;
  std::vector<std::pair<std::string, const Expression*>> named;
  const Expression* star = nullptr;         // *arguments
  const Expression* double_star = nullptr;  // **arguments
};

// The left side of an assignment.
struct Target {
  enum class Kind : uint8_t { kName, kNamespace, kTuple };

  Kind kind;
  uint32_t variable = 0;      // a variable, or the namespace's
  std::string attribute;      // of the namespace
  std::vector<Target> parts;  // of a tuple
};

// The parameters and the body of a macro or of a call block.
struct MacroSyntax;

struct Statement {
  enum class Kind : uint8_t {
    kText,      // text
    kPrint,     // expression
    kSet,       // targets[0] = expression
    kSetBlock,  // targets[0] = body, through the filters of expression or null
    kFor,       // targets[0] in expression if condition: body, else
                // other_body; is_recursive: the body may call `loop`
    kIf,        // if expressions[i]: bodies[i], else other_body
    kWith,      // targets[i] = expressions[i]: body
    kMacro,     // macro
    kCall,      // macro is the caller of expression, a call
    kFilter,    // body, through the filters of expression
    kScope,     // body
    kBreak,
    kContinue,
  };

  Kind kind;
  uint32_t line;
  bool is_recursive = false;
  std::string text;
  const Expression* expression = nullptr;
  const Expression* condition = nullptr;
  std::vector<Target> targets;
  std::vector<const Expression*> expressions;
  std::vector<const Statement*> body;
  std::vector<std::vector<const Statement*>> bodies;
  std::vector<const Statement*> other_body;
  const MacroSyntax* macro = nullptr;
};

struct MacroSyntax {
  std::string name;
  std::vector<uint32_t> parameters;         // variables
  std::vector<const Expression*> defaults;  // of the last parameters
  std::vector<const Statement*> body;
  // Whether the body mentions these variables.
  bool uses_caller = false;
  bool uses_kwargs = false;
  bool uses_varargs = false;
};

// A parsed template. It owns its tree, so that deep trees can be freed.
struct Syntax {
  std::deque<Expression> expressions;
  std::deque<Statement> statements;
  std::deque<MacroSyntax> macros;
  std::vector<std::string> names;  // of variables
  std::vector<const Statement*> body;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_SYNTAX_SYNTAX_H_

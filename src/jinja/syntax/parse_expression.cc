// Expressions, in jinja2's order of operators.

#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/builtins/builtins.h"
#include "src/jinja/syntax/parser.h"

namespace gemma::internal {
namespace {

using TokenKind = JinjaToken::Kind;

// How tightly operators bind. `not` binds as kNot says.
enum Binding : int {
  kLowest = 0,
  kOr = 1,
  kAnd = 2,
  kNot = 3,
  kCompare = 4,
  kAdd = 5,
  kConcat = 6,
  kMultiply = 7,
  kPower = 8,
};

struct Binary {
  std::string_view text;
  int level;
  Operator op;
};
constexpr Binary kBinary[] = {
    {"+", kAdd, Operator::kAdd},
    {"-", kAdd, Operator::kSubtract},
    {"*", kMultiply, Operator::kMultiply},
    {"/", kMultiply, Operator::kDivide},
    {"//", kMultiply, Operator::kFloorDivide},
    {"%", kMultiply, Operator::kModulo},
    {"**", kPower, Operator::kPower},
    {"==", kCompare, Operator::kEqual},
    {"!=", kCompare, Operator::kNotEqual},
    {"<", kCompare, Operator::kLess},
    {"<=", kCompare, Operator::kLessOrEqual},
    {">", kCompare, Operator::kGreater},
    {">=", kCompare, Operator::kGreaterOrEqual},
};

const Binary* FindBinary(const JinjaToken& token) {
  if (token.kind != TokenKind::kOperator) return nullptr;
  for (const Binary& binary : kBinary) {
    if (binary.text == token.text) return &binary;
  }
  return nullptr;
}

}  // namespace

Expression* JinjaParser::New(Kind kind, uint32_t line) {
  Expression& node = syntax_.expressions.emplace_back();
  node.kind = kind;
  node.line = line;
  return &node;
}

Expression* JinjaParser::NewUnary(Kind kind, uint32_t line,
                                  const Expression* part) {
  Expression* node = New(kind, line);
  node->parts = {part};
  return node;
}

JinjaParser::ExpressionOr JinjaParser::ParseExpression() {
  GEMMA_RETURN_IF_ERROR(CheckDepth());
  const Level level(*this);
  const uint32_t begin = line();
  GEMMA_ASSIGN_OR_RETURN(const Expression* value, ParseBinary(kLowest));
  while (TakeName("if")) {
    GEMMA_ASSIGN_OR_RETURN(const Expression* condition, ParseBinary(kLowest));
    const Expression* other = nullptr;
    if (TakeName("else")) {
      GEMMA_ASSIGN_OR_RETURN(other, ParseExpression());
    }
    Expression* node = New(Kind::kConditional, begin);
    node->parts = {condition, value, other};
    value = node;
  }
  return value;
}

JinjaParser::ExpressionOr JinjaParser::ParseBinary(int min_level) {
  GEMMA_RETURN_IF_ERROR(CheckDepth());
  const Level depth(*this);
  const uint32_t begin = line();
  const Expression* left = nullptr;
  if (min_level <= kNot && TakeName("not")) {
    GEMMA_ASSIGN_OR_RETURN(left, ParseBinary(kNot));
    left = NewUnary(Kind::kNot, begin, left);
  } else {
    GEMMA_ASSIGN_OR_RETURN(left, ParseUnary(/*with_filters=*/true));
  }
  while (true) {
    const uint32_t here = line();
    if (AtName("or") || AtName("and")) {
      const int level = AtName("or") ? kOr : kAnd;
      if (level < min_level) return left;
      Advance();
      GEMMA_ASSIGN_OR_RETURN(const Expression* right, ParseBinary(level + 1));
      Expression* node = New(level == kOr ? Kind::kOr : Kind::kAnd, here);
      node->parts = {left, right};
      left = node;
    } else if (AtCompare()) {
      if (kCompare < min_level) return left;
      GEMMA_ASSIGN_OR_RETURN(left, ParseCompare(left));
    } else if (AtOperator("~")) {
      if (kConcat < min_level) return left;
      Expression* node = NewUnary(Kind::kConcat, here, left);
      while (TakeOperator("~")) {
        GEMMA_ASSIGN_OR_RETURN(const Expression* part,
                               ParseBinary(kConcat + 1));
        node->parts.push_back(part);
      }
      left = node;
    } else if (const Binary* binary = FindBinary(token()); binary != nullptr) {
      if (binary->level < min_level) return left;
      Advance();
      // All of them, also **, take the operator on the left first.
      GEMMA_ASSIGN_OR_RETURN(const Expression* right,
                             ParseBinary(binary->level + 1));
      Expression* node = New(Kind::kBinary, here);
      node->operators = {binary->op};
      node->parts = {left, right};
      left = node;
    } else {
      return left;
    }
  }
}

bool JinjaParser::AtCompare() const {
  if (AtName("in")) return true;
  if (AtName("not")) {
    return next_token().kind == TokenKind::kName && next_token().text == "in";
  }
  const Binary* binary = FindBinary(token());
  return binary != nullptr && binary->level == kCompare;
}

JinjaParser::ExpressionOr JinjaParser::ParseCompare(const Expression* left) {
  Expression* node = NewUnary(Kind::kCompare, line(), left);
  while (AtCompare()) {
    if (TakeName("not")) {
      node->operators.push_back(Operator::kNotIn);
    } else if (AtName("in")) {
      node->operators.push_back(Operator::kIn);
    } else {
      node->operators.push_back(FindBinary(token())->op);
    }
    Advance();
    GEMMA_ASSIGN_OR_RETURN(const Expression* right, ParseBinary(kCompare + 1));
    node->parts.push_back(right);
  }
  return node;
}

JinjaParser::ExpressionOr JinjaParser::ParseUnary(bool with_filters) {
  GEMMA_RETURN_IF_ERROR(CheckDepth());
  const Level level(*this);
  const uint32_t begin = line();
  const Expression* node = nullptr;
  if (AtOperator("-") || AtOperator("+")) {
    const Kind kind = AtOperator("-") ? Kind::kNegative : Kind::kPositive;
    Advance();
    GEMMA_ASSIGN_OR_RETURN(node, ParseUnary(/*with_filters=*/false));
    node = NewUnary(kind, begin, node);
  } else {
    GEMMA_ASSIGN_OR_RETURN(node, ParsePrimary());
  }
  GEMMA_ASSIGN_OR_RETURN(node, ParsePostfix(node));
  if (with_filters) return ParseFilters(node);
  return node;
}

JinjaParser::ExpressionOr JinjaParser::ParsePrimary() {
  const JinjaToken& first = token();
  Expression* node = nullptr;
  switch (first.kind) {
    case TokenKind::kName:
      return ParseVariable();
    case TokenKind::kString: {
      node = New(Kind::kConstant, first.line);
      std::string text;
      while (token().kind == TokenKind::kString) {
        text += token().text;
        Advance();
      }
      node->value = JinjaValue::String(text, TextOrigin::kTemplate);
      return node;
    }
    case TokenKind::kInteger:
      node = New(Kind::kConstant, first.line);
      node->value = JinjaValue::Int(first.integer, TextOrigin::kTemplate);
      Advance();
      return node;
    case TokenKind::kFloat:
      node = New(Kind::kConstant, first.line);
      node->value = JinjaValue::Double(first.real, TextOrigin::kTemplate);
      Advance();
      return node;
    default:
      if (AtOperator("(")) return ParseParentheses();
      if (AtOperator("[")) return ParseList();
      if (AtOperator("{")) return ParseDict();
      return Wanted("an expression");
  }
}

JinjaParser::ExpressionOr JinjaParser::ParseVariable() {
  const std::string& name = token().text;
  Expression* node = New(Kind::kConstant, line());
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    node->value = JinjaValue::Bool(name == "true" || name == "True",
                                   TextOrigin::kTemplate);
  } else if (name == "none" || name == "None") {
    node->value = JinjaValue::None(TextOrigin::kTemplate);
  } else {
    node->kind = Kind::kName;
    node->variable = Variable(name);
    for (MacroSyntax* macro : macros_) {
      macro->uses_caller |= name == "caller";
      macro->uses_kwargs |= name == "kwargs";
      macro->uses_varargs |= name == "varargs";
    }
  }
  Advance();
  return node;
}

JinjaParser::ExpressionOr JinjaParser::ParseParentheses() {
  const uint32_t begin = line();
  Advance();
  if (TakeOperator(")")) return New(Kind::kTuple, begin);
  GEMMA_ASSIGN_OR_RETURN(const Expression* node, ParseTuple());
  GEMMA_RETURN_IF_ERROR(ExpectOperator(")"));
  return node;
}

bool JinjaParser::AtTupleEnd() const {
  return token().kind == TokenKind::kPrintEnd ||
         token().kind == TokenKind::kTagEnd || AtOperator(")") ||
         AtName("recursive");
}

JinjaParser::ExpressionOr JinjaParser::ParseTuple(bool with_conditional) {
  Expression* tuple = nullptr;
  const uint32_t begin = line();
  while (true) {
    if (tuple != nullptr && AtTupleEnd()) return tuple;
    GEMMA_ASSIGN_OR_RETURN(const Expression* part, with_conditional
                                                       ? ParseExpression()
                                                       : ParseBinary(kLowest));
    if (tuple != nullptr) tuple->parts.push_back(part);
    if (!TakeOperator(",")) return tuple != nullptr ? tuple : part;
    if (tuple == nullptr) tuple = NewUnary(Kind::kTuple, begin, part);
  }
}

JinjaParser::ExpressionOr JinjaParser::ParseList() {
  Expression* list = New(Kind::kList, line());
  Advance();
  while (!TakeOperator("]")) {
    if (!list->parts.empty()) {
      GEMMA_RETURN_IF_ERROR(ExpectOperator(","));
      if (TakeOperator("]")) break;
    }
    GEMMA_ASSIGN_OR_RETURN(const Expression* item, ParseExpression());
    list->parts.push_back(item);
  }
  return list;
}

JinjaParser::ExpressionOr JinjaParser::ParseDict() {
  Expression* dict = New(Kind::kDict, line());
  Advance();
  while (!TakeOperator("}")) {
    if (!dict->parts.empty()) {
      GEMMA_RETURN_IF_ERROR(ExpectOperator(","));
      if (TakeOperator("}")) break;
    }
    GEMMA_ASSIGN_OR_RETURN(const Expression* key, ParseExpression());
    GEMMA_RETURN_IF_ERROR(ExpectOperator(":"));
    GEMMA_ASSIGN_OR_RETURN(const Expression* value, ParseExpression());
    dict->parts.push_back(key);
    dict->parts.push_back(value);
  }
  return dict;
}

}  // namespace gemma::internal

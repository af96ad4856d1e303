// What follows an expression: attributes, items, calls, filters and tests.

#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "src/jinja/builtins/builtins.h"
#include "src/jinja/syntax/parser.h"

namespace gemma::internal {
namespace {

using TokenKind = JinjaToken::Kind;

}  // namespace

JinjaParser::ExpressionOr JinjaParser::ParsePostfix(const Expression* node) {
  while (true) {
    if (AtOperator(".") || AtOperator("[")) {
      GEMMA_ASSIGN_OR_RETURN(node, ParseSubscript(node));
    } else if (AtOperator("(")) {
      GEMMA_ASSIGN_OR_RETURN(node, ParseCall(node));
    } else {
      return node;
    }
  }
}

JinjaParser::ExpressionOr JinjaParser::ParseSubscript(const Expression* node) {
  const uint32_t begin = line();
  if (TakeOperator(".")) {
    Expression* result = NewUnary(Kind::kAttribute, begin, node);
    if (AtName()) {
      result->name = token().text;
    } else if (token().kind == TokenKind::kInteger) {
      Expression* index = New(Kind::kConstant, begin);
      index->value = JinjaValue::Int(token().integer, TextOrigin::kTemplate);
      result->kind = Kind::kItem;
      result->parts.push_back(index);
    } else {
      return Wanted("a name or a number");
    }
    Advance();
    return result;
  }
  Advance();  // [
  const Expression* bounds[3] = {};
  size_t count = 0;
  bool is_slice = false;
  while (count < 3 && !AtOperator("]")) {
    if (!AtOperator(":")) {
      GEMMA_ASSIGN_OR_RETURN(bounds[count], ParseExpression());
    }
    ++count;
    if (!TakeOperator(":")) break;
    is_slice = true;
  }
  if (AtOperator(",")) {
    return absl::UnimplementedError(absl::StrCat(
        "line ", line(), ": subscripts with ',' are not supported"));
  }
  if (!is_slice && bounds[0] == nullptr) return Wanted("an expression");
  GEMMA_RETURN_IF_ERROR(ExpectOperator("]"));
  Expression* result =
      NewUnary(is_slice ? Kind::kSlice : Kind::kItem, begin, node);
  result->parts.push_back(bounds[0]);
  if (is_slice) {
    result->parts.push_back(bounds[1]);
    result->parts.push_back(bounds[2]);
  }
  return result;
}

JinjaParser::ExpressionOr JinjaParser::ParseCall(const Expression* node) {
  Expression* call = NewUnary(Kind::kCall, line(), node);
  GEMMA_RETURN_IF_ERROR(ParseArguments(*call));
  return call;
}

absl::Status JinjaParser::ParseArguments(Expression& call) {
  const uint32_t begin = line();
  const auto wrong_order = [&] {
    return SyntaxError(begin,
                       "wrong order of arguments, wanted those without a name, "
                       "those with a name, * and **");
  };
  GEMMA_RETURN_IF_ERROR(ExpectOperator("("));
  bool first = true;
  while (!TakeOperator(")")) {
    if (!first) {
      GEMMA_RETURN_IF_ERROR(ExpectOperator(","));
      if (TakeOperator(")")) break;
    }
    first = false;
    if (TakeOperator("*")) {
      if (call.star != nullptr || call.double_star != nullptr) {
        return wrong_order();
      }
      GEMMA_ASSIGN_OR_RETURN(call.star, ParseExpression());
    } else if (TakeOperator("**")) {
      if (call.double_star != nullptr) return wrong_order();
      GEMMA_ASSIGN_OR_RETURN(call.double_star, ParseExpression());
    } else if (AtName() && next_token().kind == TokenKind::kOperator &&
               next_token().text == "=") {
      if (call.double_star != nullptr) return wrong_order();
      std::string name = token().text;
      Advance();
      Advance();
      GEMMA_ASSIGN_OR_RETURN(const Expression* value, ParseExpression());
      call.named.emplace_back(std::move(name), value);
    } else {
      if (call.star != nullptr || call.double_star != nullptr ||
          !call.named.empty()) {
        return wrong_order();
      }
      GEMMA_ASSIGN_OR_RETURN(const Expression* value, ParseExpression());
      call.positional.push_back(value);
    }
  }
  return absl::OkStatus();
}

JinjaParser::ExpressionOr JinjaParser::ParseFilters(const Expression* node) {
  while (true) {
    if (TakeOperator("|")) {
      GEMMA_ASSIGN_OR_RETURN(node, ParseFilter(node));
    } else if (AtName("is")) {
      GEMMA_ASSIGN_OR_RETURN(node, ParseTest(node));
    } else if (AtOperator("(")) {
      GEMMA_ASSIGN_OR_RETURN(node, ParseCall(node));
    } else {
      return node;
    }
  }
}

JinjaParser::ExpressionOr JinjaParser::ParseFilter(const Expression* node) {
  Expression* filter = NewUnary(Kind::kFilter, line(), node);
  GEMMA_ASSIGN_OR_RETURN(filter->name, ExpectName());
  // As in jinja2, one that is unknown fails only where a text reaches it.
  filter->builtin = FindFilter(filter->name);
  if (AtOperator("(")) GEMMA_RETURN_IF_ERROR(ParseArguments(*filter));
  return filter;
}

JinjaParser::ExpressionOr JinjaParser::ParseTest(const Expression* node) {
  const uint32_t begin = line();
  Advance();  // is
  const bool negated = TakeName("not");
  Expression* test = NewUnary(Kind::kTest, begin, node);
  GEMMA_ASSIGN_OR_RETURN(test->name, ExpectName());
  test->builtin = FindTest(test->name);
  const TokenKind kind = token().kind;
  if (AtOperator("(")) {
    GEMMA_RETURN_IF_ERROR(ParseArguments(*test));
  } else if ((AtName() && !AtName("else") && !AtName("or") && !AtName("and")) ||
             kind == TokenKind::kString || kind == TokenKind::kInteger ||
             kind == TokenKind::kFloat || AtOperator("[") || AtOperator("{")) {
    if (AtName("is")) {
      return SyntaxError(line(), "a test of a test needs parentheses");
    }
    GEMMA_ASSIGN_OR_RETURN(const Expression* argument, ParsePrimary());
    GEMMA_ASSIGN_OR_RETURN(argument, ParsePostfix(argument));
    test->positional.push_back(argument);
  }
  if (negated) return NewUnary(Kind::kNot, begin, test);
  return test;
}

}  // namespace gemma::internal

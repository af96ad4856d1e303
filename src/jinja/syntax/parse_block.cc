// Statements with bodies.

#include "src/base/status_macros.h"
#include "src/jinja/syntax/parser.h"

namespace gemma::internal {

JinjaParser::StatementOr JinjaParser::ParseSet() {
  const uint32_t begin = line();
  Advance();
  GEMMA_ASSIGN_OR_RETURN(Target target, ParseTarget(/*with_namespace=*/true));
  Statement* set = NewStatement(Statement::Kind::kSet, begin);
  set->targets.push_back(std::move(target));
  if (TakeOperator("=")) {
    GEMMA_ASSIGN_OR_RETURN(set->expression, ParseTuple());
    return set;
  }
  set->kind = Statement::Kind::kSetBlock;
  while (TakeOperator("|")) {
    GEMMA_ASSIGN_OR_RETURN(set->expression, ParseFilter(set->expression));
  }
  GEMMA_ASSIGN_OR_RETURN(set->body, ParseWholeBlock("endset"));
  return set;
}

JinjaParser::StatementOr JinjaParser::ParseFor() {
  Statement* loop = NewStatement(Statement::Kind::kFor, line());
  Advance();
  GEMMA_ASSIGN_OR_RETURN(Target target, ParseTarget(/*with_namespace=*/false));
  loop->targets.push_back(std::move(target));
  if (!TakeName("in")) return Wanted("'in'");
  GEMMA_ASSIGN_OR_RETURN(loop->expression,
                         ParseTuple(/*with_conditional=*/false));
  if (TakeName("if")) {
    GEMMA_ASSIGN_OR_RETURN(loop->condition, ParseExpression());
  }
  loop->is_recursive = TakeName("recursive");
  ++loops_;
  GEMMA_ASSIGN_OR_RETURN(loop->body, ParseBlock({"endfor", "else"}));
  --loops_;
  if (TakeName("else")) {
    GEMMA_ASSIGN_OR_RETURN(loop->other_body, ParseWholeBlock("endfor"));
  } else {
    Advance();
  }
  return loop;
}

JinjaParser::StatementOr JinjaParser::ParseIf() {
  Statement* branch = NewStatement(Statement::Kind::kIf, line());
  do {
    Advance();  // if, elif
    GEMMA_ASSIGN_OR_RETURN(const Expression* condition,
                           ParseTuple(/*with_conditional=*/false));
    branch->expressions.push_back(condition);
    GEMMA_ASSIGN_OR_RETURN(Body body, ParseBlock({"elif", "else", "endif"}));
    branch->bodies.push_back(std::move(body));
  } while (AtName("elif"));
  if (TakeName("else")) {
    GEMMA_ASSIGN_OR_RETURN(branch->other_body, ParseWholeBlock("endif"));
  } else {
    Advance();
  }
  return branch;
}

JinjaParser::StatementOr JinjaParser::ParseWith() {
  Statement* with = NewStatement(Statement::Kind::kWith, line());
  Advance();
  while (token().kind != JinjaToken::Kind::kTagEnd) {
    if (!with->targets.empty()) GEMMA_RETURN_IF_ERROR(ExpectOperator(","));
    GEMMA_ASSIGN_OR_RETURN(Target target,
                           ParseOneTarget(/*with_namespace=*/false));
    with->targets.push_back(std::move(target));
    GEMMA_RETURN_IF_ERROR(ExpectOperator("="));
    GEMMA_ASSIGN_OR_RETURN(const Expression* value, ParseExpression());
    with->expressions.push_back(value);
  }
  GEMMA_ASSIGN_OR_RETURN(with->body, ParseWholeBlock("endwith"));
  return with;
}

absl::Status JinjaParser::ParseSignature(MacroSyntax& macro) {
  GEMMA_RETURN_IF_ERROR(ExpectOperator("("));
  while (!TakeOperator(")")) {
    if (!macro.parameters.empty()) GEMMA_RETURN_IF_ERROR(ExpectOperator(","));
    const uint32_t begin = line();
    GEMMA_ASSIGN_OR_RETURN(const std::string name, ParseTargetName());
    macro.parameters.push_back(Variable(name));
    if (TakeOperator("=")) {
      GEMMA_ASSIGN_OR_RETURN(const Expression* value, ParseExpression());
      macro.defaults.push_back(value);
    } else if (!macro.defaults.empty()) {
      return SyntaxError(
          begin, "a parameter without a default follows one with a default");
    }
  }
  return absl::OkStatus();
}

absl::Status JinjaParser::ParseMacroBody(std::string_view end,
                                         MacroSyntax& macro) {
  const size_t loops = std::exchange(loops_, 0);
  macros_.push_back(&macro);
  GEMMA_ASSIGN_OR_RETURN(macro.body, ParseWholeBlock(end));
  macros_.pop_back();
  loops_ = loops;
  return absl::OkStatus();
}

JinjaParser::StatementOr JinjaParser::ParseMacro() {
  Statement* statement = NewStatement(Statement::Kind::kMacro, line());
  Advance();
  MacroSyntax& macro = syntax_.macros.emplace_back();
  GEMMA_ASSIGN_OR_RETURN(macro.name, ParseTargetName());
  statement->targets.push_back(
      {Target::Kind::kName, Variable(macro.name), "", {}});
  statement->macro = &macro;
  GEMMA_RETURN_IF_ERROR(ParseSignature(macro));
  GEMMA_RETURN_IF_ERROR(ParseMacroBody("endmacro", macro));
  return statement;
}

JinjaParser::StatementOr JinjaParser::ParseCallBlock() {
  Statement* statement = NewStatement(Statement::Kind::kCall, line());
  Advance();
  MacroSyntax& macro = syntax_.macros.emplace_back();
  macro.name = "caller";
  statement->macro = &macro;
  if (AtOperator("(")) GEMMA_RETURN_IF_ERROR(ParseSignature(macro));
  const uint32_t begin = line();
  GEMMA_ASSIGN_OR_RETURN(statement->expression, ParseExpression());
  if (statement->expression->kind != Kind::kCall) {
    return SyntaxError(begin, "a 'call' block without a call");
  }
  GEMMA_RETURN_IF_ERROR(ParseMacroBody("endcall", macro));
  return statement;
}

JinjaParser::StatementOr JinjaParser::ParseFilterBlock() {
  Statement* statement = NewStatement(Statement::Kind::kFilter, line());
  Advance();
  do {
    GEMMA_ASSIGN_OR_RETURN(statement->expression,
                           ParseFilter(statement->expression));
  } while (TakeOperator("|"));
  GEMMA_ASSIGN_OR_RETURN(statement->body, ParseWholeBlock("endfilter"));
  return statement;
}

}  // namespace gemma::internal

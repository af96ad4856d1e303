// Statements: what stands between {% and %}.

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/syntax/parser.h"

namespace gemma::internal {
namespace {

using TokenKind = JinjaToken::Kind;

bool IsConstantName(std::string_view name) {
  return name == "true" || name == "True" || name == "false" ||
         name == "False" || name == "none" || name == "None";
}

}  // namespace

absl::StatusOr<Syntax> JinjaParser::Parse() {
  GEMMA_ASSIGN_OR_RETURN(syntax_.body, ParseBody({}));
  return std::move(syntax_);
}

absl::Status JinjaParser::CheckDepth() const {
  if (depth_ < max_depth_) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("line ", line(), ": the template nests deeper than ",
                   max_depth_, " levels"));
}

const JinjaToken& JinjaParser::next_token() const {
  return tokens_[std::min(at_ + 1, tokens_.size() - 1)];
}

bool JinjaParser::AtOperator(std::string_view text) const {
  return token().kind == TokenKind::kOperator && token().text == text;
}

bool JinjaParser::AtName(std::string_view name) const {
  return AtName() && token().text == name;
}

bool JinjaParser::TakeOperator(std::string_view text) {
  if (!AtOperator(text)) return false;
  Advance();
  return true;
}

bool JinjaParser::TakeName(std::string_view name) {
  if (!AtName(name)) return false;
  Advance();
  return true;
}

absl::Status JinjaParser::Wanted(std::string_view wanted) const {
  std::string found;
  switch (token().kind) {
    case TokenKind::kEnd:
      found = "the end of the template";
      break;
    case TokenKind::kText:
      found = "text";
      break;
    case TokenKind::kPrintBegin:
      found = "'{{'";
      break;
    case TokenKind::kPrintEnd:
      found = "'}}'";
      break;
    case TokenKind::kTagBegin:
      found = "'{%'";
      break;
    case TokenKind::kTagEnd:
      found = "'%}'";
      break;
    default:
      found = Quoted(token().text);
  }
  return SyntaxError(line(), absl::StrCat(found, ", wanted ", wanted));
}

absl::Status JinjaParser::ExpectOperator(std::string_view text) {
  if (!TakeOperator(text)) return Wanted(Quoted(text));
  return absl::OkStatus();
}

absl::StatusOr<std::string> JinjaParser::ExpectName() {
  if (!AtName()) return Wanted("a name");
  std::string name = token().text;
  Advance();
  return name;
}

absl::Status JinjaParser::ExpectTagEnd() {
  if (token().kind != TokenKind::kTagEnd) return Wanted("'%}'");
  Advance();
  return absl::OkStatus();
}

uint32_t JinjaParser::Variable(std::string_view name) {
  const auto [entry, is_new] = variables_.try_emplace(
      std::string(name), static_cast<uint32_t>(syntax_.names.size()));
  if (is_new) syntax_.names.emplace_back(name);
  return entry->second;
}

Statement* JinjaParser::NewStatement(Statement::Kind kind, uint32_t line) {
  Statement& statement = syntax_.statements.emplace_back();
  statement.kind = kind;
  statement.line = line;
  return &statement;
}

absl::StatusOr<JinjaParser::Body> JinjaParser::ParseBody(Ends ends) {
  GEMMA_RETURN_IF_ERROR(CheckDepth());
  const Level level(*this);
  Body body;
  while (true) {
    const uint32_t begin = line();
    switch (token().kind) {
      case TokenKind::kText: {
        Statement* text = NewStatement(Statement::Kind::kText, begin);
        text->text = token().text;
        body.push_back(text);
        Advance();
        break;
      }
      case TokenKind::kPrintBegin: {
        Advance();
        Statement* print = NewStatement(Statement::Kind::kPrint, begin);
        GEMMA_ASSIGN_OR_RETURN(print->expression, ParseTuple());
        if (token().kind != TokenKind::kPrintEnd) return Wanted("'}}'");
        Advance();
        body.push_back(print);
        break;
      }
      case TokenKind::kTagBegin: {
        Advance();
        if (AtName() &&
            std::find(ends.begin(), ends.end(), token().text) != ends.end()) {
          return body;
        }
        GEMMA_ASSIGN_OR_RETURN(const Statement* statement, ParseStatement());
        body.push_back(statement);
        GEMMA_RETURN_IF_ERROR(ExpectTagEnd());
        break;
      }
      default:
        if (ends.size() == 0) return body;
        return Wanted(
            absl::StrCat("a tag '", absl::StrJoin(ends, "' or '"), "'"));
    }
  }
}

absl::StatusOr<JinjaParser::Body> JinjaParser::ParseBlock(Ends ends) {
  TakeOperator(":");
  GEMMA_RETURN_IF_ERROR(ExpectTagEnd());
  return ParseBody(ends);
}

absl::StatusOr<JinjaParser::Body> JinjaParser::ParseWholeBlock(
    std::string_view end) {
  GEMMA_ASSIGN_OR_RETURN(Body body, ParseBlock({end}));
  Advance();
  return body;
}

JinjaParser::StatementOr JinjaParser::ParseStatement() {
  if (!AtName()) return Wanted("the name of a tag");
  const uint32_t begin = line();
  const std::string name = token().text;
  if (name == "set") return ParseSet();
  if (name == "for") return ParseFor();
  if (name == "if") return ParseIf();
  if (name == "with") return ParseWith();
  if (name == "macro") return ParseMacro();
  if (name == "call") return ParseCallBlock();
  if (name == "filter") return ParseFilterBlock();
  if (name == "print") {
    Advance();
    Statement* print = NewStatement(Statement::Kind::kPrint, begin);
    Expression* texts = New(Kind::kConcat, begin);
    do {
      GEMMA_ASSIGN_OR_RETURN(const Expression* text, ParseExpression());
      texts->parts.push_back(text);
    } while (TakeOperator(","));
    print->expression = texts;
    return print;
  }
  if (name == "generation") {
    // transformers tracks what the model wrote; the text stays the same.
    Advance();
    MacroSyntax& macro = syntax_.macros.emplace_back();
    GEMMA_RETURN_IF_ERROR(ParseMacroBody("endgeneration", macro));
    Statement* scope = NewStatement(Statement::Kind::kScope, begin);
    scope->body = macro.body;
    return scope;
  }
  if (name == "break" || name == "continue") {
    Advance();
    if (loops_ == 0) {
      return SyntaxError(begin, absl::StrCat("'", name, "' outside of a loop"));
    }
    return NewStatement(
        name == "break" ? Statement::Kind::kBreak : Statement::Kind::kContinue,
        begin);
  }
  for (std::string_view known :
       {"include", "import", "from", "extends", "block", "autoescape", "do",
        "trans", "debug"}) {
    if (name == known) {
      return absl::UnimplementedError(absl::StrCat(
          "line ", begin, ": the tag '", name, "' is not supported"));
    }
  }
  return SyntaxError(begin, absl::StrCat("unknown tag ", Quoted(name)));
}

absl::StatusOr<std::string> JinjaParser::ParseTargetName() {
  if (AtName() && IsConstantName(token().text)) {
    return Wanted("the name of a variable");
  }
  return ExpectName();
}

absl::StatusOr<Target> JinjaParser::ParseOneTarget(bool with_namespace) {
  if (TakeOperator("(")) {
    GEMMA_RETURN_IF_ERROR(CheckDepth());
    const Level level(*this);
    GEMMA_ASSIGN_OR_RETURN(Target target, ParseTarget(with_namespace));
    GEMMA_RETURN_IF_ERROR(ExpectOperator(")"));
    return target;
  }
  GEMMA_ASSIGN_OR_RETURN(const std::string name, ParseTargetName());
  Target target{Target::Kind::kName, Variable(name), "", {}};
  if (with_namespace && TakeOperator(".")) {
    target.kind = Target::Kind::kNamespace;
    GEMMA_ASSIGN_OR_RETURN(target.attribute, ExpectName());
  }
  return target;
}

absl::StatusOr<Target> JinjaParser::ParseTarget(bool with_namespace) {
  GEMMA_ASSIGN_OR_RETURN(Target first, ParseOneTarget(with_namespace));
  if (!AtOperator(",")) return first;
  Target tuple{Target::Kind::kTuple, 0, "", {}};
  tuple.parts.push_back(std::move(first));
  while (TakeOperator(",")) {
    if (AtTupleEnd() || AtName("in") || AtOperator("=")) break;
    GEMMA_ASSIGN_OR_RETURN(Target part, ParseOneTarget(with_namespace));
    tuple.parts.push_back(std::move(part));
  }
  return tuple;
}

}  // namespace gemma::internal

// Tokens to the tree of a template.

#ifndef GEMMA_SRC_JINJA_SYNTAX_PARSER_H_
#define GEMMA_SRC_JINJA_SYNTAX_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/hash_table.h"
#include "src/jinja/syntax/lexer.h"
#include "src/jinja/syntax/syntax.h"

namespace gemma::internal {

// Parses a template by jinja2's grammar. The work in proportion to the tokens;
// nesting beyond `max_depth` is kResourceExhausted.
class JinjaParser {
 public:
  JinjaParser(std::vector<JinjaToken> tokens, size_t max_depth)
      : tokens_(std::move(tokens)), max_depth_(max_depth) {}

  absl::StatusOr<Syntax> Parse();

 private:
  using Kind = Expression::Kind;
  using ExpressionOr = absl::StatusOr<const Expression*>;
  using StatementOr = absl::StatusOr<const Statement*>;
  using Body = std::vector<const Statement*>;
  // Names of tags that end a body.
  using Ends = std::initializer_list<std::string_view>;

  // Leaves one level of nesting when it is destroyed.
  struct Level {
    explicit Level(JinjaParser& parser) : parser(parser) { ++parser.depth_; }
    ~Level() { --parser.depth_; }
    JinjaParser& parser;
  };
  absl::Status CheckDepth() const;

  // Tokens.
  const JinjaToken& token() const { return tokens_[at_]; }
  const JinjaToken& next_token() const;
  uint32_t line() const { return token().line; }
  bool AtOperator(std::string_view text) const;
  bool AtName(std::string_view name) const;
  bool AtName() const { return token().kind == JinjaToken::Kind::kName; }
  bool TakeOperator(std::string_view text);
  bool TakeName(std::string_view name);
  void Advance() { ++at_; }
  absl::Status ExpectOperator(std::string_view text);
  absl::StatusOr<std::string> ExpectName();
  absl::Status ExpectTagEnd();
  // An error that says that a token of a different kind is needed.
  absl::Status Wanted(std::string_view wanted) const;

  // Expressions (parse_expression.cc).
  Expression* New(Kind kind, uint32_t line);
  Expression* NewUnary(Kind kind, uint32_t line, const Expression* part);
  ExpressionOr ParseExpression();
  ExpressionOr ParseBinary(int min_level);
  absl::StatusOr<const Expression*> ParseCompare(const Expression* left);
  bool AtCompare() const;
  ExpressionOr ParseUnary(bool with_filters);
  ExpressionOr ParsePrimary();
  ExpressionOr ParseParentheses();
  ExpressionOr ParseList();
  ExpressionOr ParseDict();
  ExpressionOr ParsePostfix(const Expression* node);
  ExpressionOr ParseSubscript(const Expression* node);
  ExpressionOr ParseCall(const Expression* node);
  ExpressionOr ParseFilters(const Expression* node);
  // Parses "name(arguments)". A null node stands for the text of a block.
  ExpressionOr ParseFilter(const Expression* node);
  ExpressionOr ParseTest(const Expression* node);
  absl::Status ParseArguments(Expression& call);
  // Parses one expression, or a tuple without parentheses.
  ExpressionOr ParseTuple(bool with_conditional = true);
  bool AtTupleEnd() const;
  ExpressionOr ParseVariable();

  // Statements (parse_statement.cc).
  Statement* NewStatement(Statement::Kind kind, uint32_t line);
  absl::StatusOr<Body> ParseBody(Ends ends);
  // Parses what follows a tag up to one of `ends`, at which it stops.
  absl::StatusOr<Body> ParseBlock(Ends ends);
  // As ParseBlock, and skips the end.
  absl::StatusOr<Body> ParseWholeBlock(std::string_view end);
  StatementOr ParseStatement();
  StatementOr ParseSet();
  StatementOr ParseFor();
  StatementOr ParseIf();
  StatementOr ParseWith();
  StatementOr ParseMacro();
  StatementOr ParseCallBlock();
  StatementOr ParseFilterBlock();
  absl::StatusOr<Target> ParseTarget(bool with_namespace);
  absl::StatusOr<Target> ParseOneTarget(bool with_namespace);
  absl::StatusOr<std::string> ParseTargetName();
  absl::Status ParseSignature(MacroSyntax& macro);
  // Parses the body of a macro, where no outer loop can be left.
  absl::Status ParseMacroBody(std::string_view end, MacroSyntax& macro);

  uint32_t Variable(std::string_view name);

  std::vector<JinjaToken> tokens_;
  size_t at_ = 0;
  size_t max_depth_;
  size_t depth_ = 0;
  size_t loops_ = 0;                  // around this place, in this macro
  std::vector<MacroSyntax*> macros_;  // around this place
  HashMap<std::string, uint32_t> variables_;
  Syntax syntax_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_SYNTAX_PARSER_H_

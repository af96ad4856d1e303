#include "src/jinja/run/jinja_template.h"

#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/base/utf8.h"
#include "src/jinja/run/interpreter.h"
#include "src/jinja/syntax/lexer.h"
#include "src/jinja/syntax/parser.h"
#include "src/jinja/syntax/syntax.h"

namespace gemma::internal {
namespace {

constexpr std::string_view kRaised = "libgemma/jinja_raised";

}  // namespace

struct JinjaTemplate::Program {
  Syntax syntax;
  JinjaLimits limits;
};

JinjaTemplate::JinjaTemplate(std::shared_ptr<const Program> program)
    : program_(std::move(program)) {}

absl::StatusOr<JinjaTemplate> JinjaTemplate::Parse(std::string_view source,
                                                   const JinjaLimits& limits) {
  return NoThrow([&]() -> absl::StatusOr<JinjaTemplate> {
    if (source.size() > limits.source_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the template has ", source.size(),
                       " bytes, wanted at most ", limits.source_bytes));
    }
    if (!IsValidUtf8(source)) {
      return absl::InvalidArgumentError("the template is not UTF-8");
    }
    GEMMA_ASSIGN_OR_RETURN(std::vector<JinjaToken> tokens, LexTemplate(source));
    auto program = std::make_shared<Program>();
    program->limits = limits;
    GEMMA_ASSIGN_OR_RETURN(
        program->syntax, JinjaParser(std::move(tokens), limits.depth).Parse());
    return JinjaTemplate(std::move(program));
  });
}

absl::StatusOr<MarkedText> JinjaTemplate::Render(
    const JinjaValue& variables) const {
  return NoThrow([&]() -> absl::StatusOr<MarkedText> {
    return Interpreter(program_->syntax, program_->limits).Run(variables);
  });
}

absl::Status RaisedError(std::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kRaised, absl::Cord("1"));
  return status;
}

bool IsRaised(const absl::Status& status) {
  return status.GetPayload(kRaised).has_value();
}

}  // namespace gemma::internal

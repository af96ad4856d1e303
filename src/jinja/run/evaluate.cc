// The values of expressions.

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/run/interpreter.h"
#include "src/jinja/values/operations.h"
#include "src/jinja/values/text_of.h"

namespace gemma::internal {

Interpreter::ValueOr Interpreter::Evaluate(const Expression& expression) {
  GEMMA_RETURN_IF_ERROR(meter_.Spend(1));
  line_ = expression.line;
  if (expression.kind == Expression::Kind::kConstant) return expression.value;
  if (expression.kind == Expression::Kind::kName) {
    return EvaluateName(expression);
  }
  GEMMA_RETURN_IF_ERROR(meter_.Enter());
  ValueOr value = EvaluateKind(expression);
  meter_.Leave();
  return value;
}

Interpreter::ValueOr Interpreter::EvaluateKind(const Expression& expression) {
  using Kind = Expression::Kind;
  switch (expression.kind) {
    case Kind::kConstant:
      return expression.value;
    case Kind::kName:
      return EvaluateName(expression);
    case Kind::kList:
    case Kind::kTuple:
      return EvaluateItems(expression);
    case Kind::kDict:
      return EvaluateDict(expression);
    case Kind::kNot:
    case Kind::kNegative:
    case Kind::kPositive:
      return EvaluateUnary(expression);
    case Kind::kBinary:
      return EvaluateBinary(expression);
    case Kind::kAnd:
    case Kind::kOr:
      return EvaluateLogic(expression);
    case Kind::kCompare:
      return EvaluateCompare(expression);
    case Kind::kConcat:
      return EvaluateConcat(expression);
    case Kind::kConditional:
      return EvaluateConditional(expression);
    case Kind::kAttribute:
      return EvaluateAttribute(expression);
    case Kind::kItem:
      return EvaluateItem(expression);
    case Kind::kSlice:
      return EvaluateSlice(expression);
    case Kind::kCall:
      return EvaluateCall(expression);
    case Kind::kFilter:
    case Kind::kTest:
      return EvaluateFilter(expression);
  }
  return JinjaValue();
}

Interpreter::ValueOr Interpreter::EvaluateIn(
    const std::shared_ptr<Scope>& scope, const Expression& expression) {
  std::shared_ptr<Scope> outer = std::exchange(scope_, scope);
  ValueOr value = Evaluate(expression);
  scope_ = std::move(outer);
  return value;
}

Interpreter::ValueOr Interpreter::EvaluateName(const Expression& expression) {
  const JinjaValue* value = scope_->Find(expression.variable);
  if (value != nullptr) return *value;
  return globals_[expression.variable];
}

Interpreter::ValueOr Interpreter::EvaluateItems(const Expression& expression) {
  std::vector<JinjaValue> items;
  items.reserve(expression.parts.size());
  for (const Expression* part : expression.parts) {
    GEMMA_ASSIGN_OR_RETURN(JinjaValue item, Evaluate(*part));
    items.push_back(std::move(item));
  }
  return MakeSequence(expression.kind == Expression::Kind::kList
                          ? JinjaValue::SequenceType::kList
                          : JinjaValue::SequenceType::kTuple,
                      std::move(items), meter_);
}

Interpreter::ValueOr Interpreter::EvaluateDict(const Expression& expression) {
  std::vector<JinjaValue::Entry> entries;
  for (size_t i = 0; i + 1 < expression.parts.size(); i += 2) {
    GEMMA_ASSIGN_OR_RETURN(JinjaValue key, Evaluate(*expression.parts[i]));
    GEMMA_ASSIGN_OR_RETURN(JinjaValue value,
                           Evaluate(*expression.parts[i + 1]));
    GEMMA_RETURN_IF_ERROR(
        SetEntry(std::move(key), std::move(value), entries, meter_));
  }
  return MakeDict(std::move(entries), meter_);
}

Interpreter::ValueOr Interpreter::EvaluateUnary(const Expression& expression) {
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue value,
                         Evaluate(*expression.parts[0]));
  if (expression.kind == Expression::Kind::kNot) {
    return JinjaValue::Bool(!IsTrue(value), TextOrigin::kTemplate);
  }
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue negative, Negate(value));
  if (expression.kind == Expression::Kind::kNegative) return negative;
  return Negate(negative);
}

Interpreter::ValueOr Interpreter::EvaluateBinary(const Expression& expression) {
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue left, Evaluate(*expression.parts[0]));
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue right,
                         Evaluate(*expression.parts[1]));
  line_ = expression.line;
  return Calculate(expression.operators[0], left, right, meter_);
}

Interpreter::ValueOr Interpreter::EvaluateLogic(const Expression& expression) {
  GEMMA_ASSIGN_OR_RETURN(JinjaValue left, Evaluate(*expression.parts[0]));
  const bool decided =
      IsTrue(left) == (expression.kind == Expression::Kind::kOr);
  if (decided) return left;
  return Evaluate(*expression.parts[1]);
}

Interpreter::ValueOr Interpreter::EvaluateCompare(
    const Expression& expression) {
  GEMMA_ASSIGN_OR_RETURN(JinjaValue left, Evaluate(*expression.parts[0]));
  for (size_t i = 0; i < expression.operators.size(); ++i) {
    GEMMA_ASSIGN_OR_RETURN(JinjaValue right,
                           Evaluate(*expression.parts[i + 1]));
    line_ = expression.line;
    GEMMA_ASSIGN_OR_RETURN(const bool holds, Compare(expression.operators[i],
                                                     left, right, meter_));
    if (!holds) return JinjaValue::Bool(false, TextOrigin::kTemplate);
    left = std::move(right);
  }
  return JinjaValue::Bool(true, TextOrigin::kTemplate);
}

Interpreter::ValueOr Interpreter::EvaluateConcat(const Expression& expression) {
  MarkedText text;
  for (const Expression* part : expression.parts) {
    GEMMA_ASSIGN_OR_RETURN(const JinjaValue value, Evaluate(*part));
    GEMMA_RETURN_IF_ERROR(AppendStr(value, meter_, text));
  }
  return MakeString(std::move(text), meter_);
}

Interpreter::ValueOr Interpreter::EvaluateConditional(
    const Expression& expression) {
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue condition,
                         Evaluate(*expression.parts[0]));
  if (IsTrue(condition)) return Evaluate(*expression.parts[1]);
  if (expression.parts[2] != nullptr) return Evaluate(*expression.parts[2]);
  return JinjaValue::Undefined(
      "the condition of an 'if' without an 'else' is false");
}

Interpreter::ValueOr Interpreter::EvaluateAttribute(
    const Expression& expression) {
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue object,
                         Evaluate(*expression.parts[0]));
  line_ = expression.line;
  return Attribute(object, expression.name);
}

Interpreter::ValueOr Interpreter::EvaluateItem(const Expression& expression) {
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue object,
                         Evaluate(*expression.parts[0]));
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue key, Evaluate(*expression.parts[1]));
  line_ = expression.line;
  return Item(object, key);
}

Interpreter::ValueOr Interpreter::EvaluateSlice(const Expression& expression) {
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue object,
                         Evaluate(*expression.parts[0]));
  JinjaValue bounds[3];
  for (size_t i = 0; i < 3; ++i) {
    bounds[i] = JinjaValue::None();
    if (expression.parts[i + 1] == nullptr) continue;
    GEMMA_ASSIGN_OR_RETURN(bounds[i], Evaluate(*expression.parts[i + 1]));
  }
  line_ = expression.line;
  return SliceOf(object, bounds[0], bounds[1], bounds[2], meter_);
}

absl::Status Interpreter::EvaluateArguments(const Expression& expression,
                                            CallArguments& arguments) {
  arguments.positional.reserve(expression.positional.size());
  for (const Expression* argument : expression.positional) {
    GEMMA_ASSIGN_OR_RETURN(JinjaValue value, Evaluate(*argument));
    arguments.positional.push_back(std::move(value));
  }
  for (const auto& [name, argument] : expression.named) {
    GEMMA_ASSIGN_OR_RETURN(JinjaValue value, Evaluate(*argument));
    arguments.named.emplace_back(name, std::move(value));
  }
  if (expression.star == nullptr && expression.double_star == nullptr) {
    return absl::OkStatus();
  }
  return EvaluateStars(expression, arguments);
}

absl::Status Interpreter::EvaluateStars(const Expression& expression,
                                        CallArguments& arguments) {
  if (expression.star != nullptr) {
    GEMMA_ASSIGN_OR_RETURN(const JinjaValue value, Evaluate(*expression.star));
    GEMMA_ASSIGN_OR_RETURN(const JinjaValue items, ItemsOf(value, meter_));
    GEMMA_RETURN_IF_ERROR(meter_.AllocateValues(items.items().size()));
    arguments.positional.insert(arguments.positional.end(),
                                items.items().begin(), items.items().end());
  }
  if (expression.double_star != nullptr) {
    GEMMA_ASSIGN_OR_RETURN(const JinjaValue value,
                           Evaluate(*expression.double_star));
    if (!value.is_dict()) {
      return absl::InvalidArgumentError(
          absl::StrCat("'**' has a '", value.TypeName(), "', wanted a dict"));
    }
    GEMMA_RETURN_IF_ERROR(meter_.AllocateValues(value.entries().size()));
    for (const JinjaValue::Entry& entry : value.entries()) {
      GEMMA_ASSIGN_OR_RETURN(const MarkedText* name,
                             StringOf("'**'", entry.key));
      arguments.named.emplace_back(name->text(), entry.value);
    }
  }
  return absl::OkStatus();
}

Interpreter::ValueOr Interpreter::EvaluateCall(const Expression& expression,
                                               const JinjaValue* caller) {
  const Expression& callee = *expression.parts[0];
  CallArguments arguments;
  if (callee.kind == Expression::Kind::kAttribute) {
    // A method, without a value for the method itself.
    GEMMA_ASSIGN_OR_RETURN(const JinjaValue object, Evaluate(*callee.parts[0]));
    line_ = expression.line;
    GEMMA_ASSIGN_OR_RETURN(const Builtin* method,
                           FindMethod(object, callee.name));
    if (method != nullptr && caller == nullptr) {
      GEMMA_RETURN_IF_ERROR(EvaluateArguments(expression, arguments));
      line_ = expression.line;
      return method->function(*this, object, arguments);
    }
    GEMMA_ASSIGN_OR_RETURN(const JinjaValue function,
                           Attribute(object, callee.name));
    GEMMA_RETURN_IF_ERROR(EvaluateArguments(expression, arguments));
    if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
    line_ = expression.line;
    return Call(function, arguments);
  }
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue function, Evaluate(callee));
  GEMMA_RETURN_IF_ERROR(EvaluateArguments(expression, arguments));
  if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
  line_ = expression.line;
  return Call(function, arguments);
}

Interpreter::ValueOr Interpreter::EvaluateFilter(const Expression& expression) {
  if (expression.builtin == nullptr) {
    line_ = expression.line;
    const bool is_test = expression.kind == Expression::Kind::kTest;
    return absl::UnimplementedError(
        absl::StrCat("the ", is_test ? "test " : "filter ",
                     Quoted(expression.name), " is not supported"));
  }
  JinjaValue subject = block_text_;
  if (expression.parts[0] != nullptr) {
    GEMMA_ASSIGN_OR_RETURN(subject, Evaluate(*expression.parts[0]));
  }
  CallArguments arguments;
  GEMMA_RETURN_IF_ERROR(EvaluateArguments(expression, arguments));
  line_ = expression.line;
  return expression.builtin->function(*this, subject, arguments);
}

Interpreter::ValueOr Interpreter::ApplyFilters(const Expression* expression,
                                               MarkedText text) {
  GEMMA_ASSIGN_OR_RETURN(JinjaValue value, MakeString(std::move(text), meter_));
  if (expression == nullptr) return value;
  block_text_ = std::move(value);
  return Evaluate(*expression);
}

}  // namespace gemma::internal

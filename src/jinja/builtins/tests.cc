// The tests of `x is name`.

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/builtins/builtins.h"
#include "src/jinja/run/interpreter.h"
#include "src/jinja/values/operations.h"
#include "src/jinja/values/text_functions.h"
#include "src/jinja/values/text_of.h"

namespace gemma::internal {
namespace {

using ValueOr = absl::StatusOr<JinjaValue>;
using SequenceType = JinjaValue::SequenceType;

JinjaValue Truth(bool value) {
  return JinjaValue::Bool(value, TextOrigin::kTemplate);
}

bool IsDefined(const JinjaValue& value) { return !value.is_undefined(); }
bool IsUndefined(const JinjaValue& value) { return value.is_undefined(); }
bool IsNone(const JinjaValue& value) { return value.is_none(); }
bool IsBoolean(const JinjaValue& value) { return value.is_bool(); }
bool IsExactlyTrue(const JinjaValue& value) {
  return value.is_bool() && value.boolean();
}
bool IsExactlyFalse(const JinjaValue& value) {
  return value.is_bool() && !value.boolean();
}
bool IsInteger(const JinjaValue& value) {
  return value.is_int() || value.is_large_int();
}
bool IsFloat(const JinjaValue& value) { return value.is_double(); }
bool IsNumber(const JinjaValue& value) {
  return value.is_number() || value.is_large_int();
}
bool IsString(const JinjaValue& value) { return value.is_string(); }
bool IsMapping(const JinjaValue& value) { return value.is_dict(); }
bool IsEscaped(const JinjaValue& value) { return value.is_markup(); }
bool IsLoop(const JinjaValue& value) {
  return value.is_object() && value.TypeName() == "LoopContext";
}
bool IsIterable(const JinjaValue& value) {
  return value.is_string() || value.is_sequence() || value.is_dict() ||
         value.is_undefined() || IsLoop(value);
}
// What has a length and can be indexed; an undefined value has both.
bool IsSequence(const JinjaValue& value) {
  return value.is_string() || value.is_indexable() || value.is_dict() ||
         value.is_undefined();
}
bool IsCallable(const JinjaValue& value) {
  return value.is_undefined() ||
         (value.is_object() && value.object().callable());
}

// A test without arguments.
template <bool (*kHolds)(const JinjaValue&)>
ValueOr Simple(Interpreter&, const JinjaValue& subject,
               CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("test"));
  return Truth(kHolds(subject));
}

template <Operator kOperator>
ValueOr CompareWith(Interpreter& interpreter, const JinjaValue& subject,
                    CallArguments& arguments) {
  JinjaValue other;
  GEMMA_RETURN_IF_ERROR(arguments.Bind("test", {"other"}, 1, {&other, 1}));
  GEMMA_ASSIGN_OR_RETURN(const bool holds, Compare(kOperator, subject, other,
                                                   interpreter.meter()));
  return Truth(holds);
}

// Whether subject % divisor == remainder.
ValueOr HasRemainder(Interpreter& interpreter, const JinjaValue& subject,
                     const JinjaValue& divisor, int64_t remainder) {
  Meter& meter = interpreter.meter();
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue found,
                         Calculate(Operator::kModulo, subject, divisor, meter));
  GEMMA_ASSIGN_OR_RETURN(const bool equal,
                         AreEqual(found, JinjaValue::Int(remainder), meter));
  return Truth(equal);
}

ValueOr Odd(Interpreter& interpreter, const JinjaValue& subject,
            CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("odd"));
  return HasRemainder(interpreter, subject, JinjaValue::Int(2), 1);
}

ValueOr Even(Interpreter& interpreter, const JinjaValue& subject,
             CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("even"));
  return HasRemainder(interpreter, subject, JinjaValue::Int(2), 0);
}

ValueOr DivisibleBy(Interpreter& interpreter, const JinjaValue& subject,
                    CallArguments& arguments) {
  JinjaValue divisor;
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("divisibleby", {"num"}, 1, {&divisor, 1}));
  return HasRemainder(interpreter, subject, divisor, 0);
}

ValueOr SameAs(Interpreter&, const JinjaValue& subject,
               CallArguments& arguments) {
  JinjaValue other;
  GEMMA_RETURN_IF_ERROR(arguments.Bind("sameas", {"other"}, 1, {&other, 1}));
  const bool known = subject.is_none() || subject.is_bool() ||
                     other.is_none() || other.is_bool() ||
                     subject.kind() != other.kind();
  if (known || subject.SameAs(other)) return Truth(subject.SameAs(other));
  return absl::UnimplementedError(absl::StrCat(
      "the identity of '", subject.TypeName(), "' is not supported"));
}

template <LetterCase kCase>
ValueOr CaseTest(Interpreter& interpreter, const JinjaValue& subject,
                 CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("lower"));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText text,
                         StrOf(subject, interpreter.meter()));
  GEMMA_ASSIGN_OR_RETURN(const bool holds,
                         IsAllOfCase(text.text(), kCase, interpreter.meter()));
  return Truth(holds);
}

// Whether the subject names a filter (a test) of jinja2.
ValueOr IsFilter(Interpreter&, const JinjaValue& subject,
                 CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("filter"));
  constexpr std::string_view kOthers[] = {
      "attr",      "filesizeformat", "forceescape", "pprint",   "random",
      "striptags", "urlencode",      "urlize",      "wordwrap", "xmlattr"};
  if (!subject.is_string()) return Truth(false);
  if (std::ranges::find(kOthers, subject.text()) != std::end(kOthers)) {
    return absl::UnimplementedError(absl::StrCat(
        "the filter ", Quoted(subject.text()), " is not supported"));
  }
  return Truth(FindFilter(subject.text()) != nullptr);
}

ValueOr IsTest(Interpreter&, const JinjaValue& subject,
               CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("test"));
  return Truth(subject.is_string() && FindTest(subject.text()) != nullptr);
}

constexpr Builtin kTests[] = {
    {"boolean", Simple<IsBoolean>},
    {"callable", Simple<IsCallable>},
    {"defined", Simple<IsDefined>},
    {"divisibleby", DivisibleBy},
    {"eq", CompareWith<Operator::kEqual>},
    {"==", CompareWith<Operator::kEqual>},
    {"equalto", CompareWith<Operator::kEqual>},
    {"escaped", Simple<IsEscaped>},
    {"even", Even},
    {"false", Simple<IsExactlyFalse>},
    {"filter", IsFilter},
    {"float", Simple<IsFloat>},
    {"ge", CompareWith<Operator::kGreaterOrEqual>},
    {">=", CompareWith<Operator::kGreaterOrEqual>},
    {"greaterthan", CompareWith<Operator::kGreater>},
    {"gt", CompareWith<Operator::kGreater>},
    {">", CompareWith<Operator::kGreater>},
    {"in", CompareWith<Operator::kIn>},
    {"integer", Simple<IsInteger>},
    {"iterable", Simple<IsIterable>},
    {"le", CompareWith<Operator::kLessOrEqual>},
    {"<=", CompareWith<Operator::kLessOrEqual>},
    {"lessthan", CompareWith<Operator::kLess>},
    {"lt", CompareWith<Operator::kLess>},
    {"<", CompareWith<Operator::kLess>},
    {"lower", CaseTest<LetterCase::kLower>},
    {"mapping", Simple<IsMapping>},
    {"ne", CompareWith<Operator::kNotEqual>},
    {"!=", CompareWith<Operator::kNotEqual>},
    {"none", Simple<IsNone>},
    {"number", Simple<IsNumber>},
    {"odd", Odd},
    {"sameas", SameAs},
    {"sequence", Simple<IsSequence>},
    {"string", Simple<IsString>},
    {"test", IsTest},
    {"true", Simple<IsExactlyTrue>},
    {"undefined", Simple<IsUndefined>},
    {"upper", CaseTest<LetterCase::kUpper>},
};

}  // namespace

absl::Span<const Builtin> Tests() { return kTests; }

}  // namespace gemma::internal

// Filters that apply other filters and tests to each item, and the search for
// filters and tests.

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/builtins/builtins.h"
#include "src/jinja/run/interpreter.h"
#include "src/jinja/values/operations.h"
#include "src/jinja/values/text_functions.h"

namespace gemma::internal {
namespace {

using ValueOr = absl::StatusOr<JinjaValue>;
using SequenceType = JinjaValue::SequenceType;

// Takes the first argument, which names a filter or a test.
absl::StatusOr<const Builtin*> TakeBuiltin(
    std::string_view what, const Builtin* (*find)(std::string_view),
    CallArguments& arguments) {
  GEMMA_ASSIGN_OR_RETURN(
      const MarkedText* name,
      StringOf(absl::StrCat("the name of a ", what), arguments.positional[0]));
  const Builtin* builtin = find(name->text());
  if (builtin == nullptr) {
    return absl::UnimplementedError(absl::StrCat(
        "the ", what, " ", Quoted(name->text()), " is not supported"));
  }
  arguments.positional.erase(arguments.positional.begin());
  return builtin;
}

ValueOr Map(Interpreter& interpreter, const JinjaValue& subject,
            CallArguments& arguments) {
  Meter& meter = interpreter.meter();
  std::vector<JinjaValue> results;
  if (IsTrue(subject)) {
    const Builtin* filter = nullptr;
    JinjaValue attribute;
    JinjaValue fallback = JinjaValue::None();
    if (arguments.positional.empty()) {
      JinjaValue values[2] = {{}, JinjaValue::None()};
      GEMMA_RETURN_IF_ERROR(
          arguments.Bind("map", {"attribute", "default"}, 1, values));
      attribute = values[0];
      fallback = values[1];
    } else {
      GEMMA_ASSIGN_OR_RETURN(filter,
                             TakeBuiltin("filter", FindFilter, arguments));
    }
    GEMMA_ASSIGN_OR_RETURN(const JinjaValue items, ItemsOf(subject, meter));
    for (const JinjaValue& item : items.items()) {
      GEMMA_RETURN_IF_ERROR(meter.Spend(1));
      if (filter == nullptr) {
        GEMMA_ASSIGN_OR_RETURN(
            JinjaValue value,
            AttributePath(interpreter, item, attribute,
                          fallback.is_none() ? nullptr : &fallback));
        results.push_back(std::move(value));
      } else {
        CallArguments copy = arguments;
        GEMMA_ASSIGN_OR_RETURN(JinjaValue value,
                               filter->function(interpreter, item, copy));
        results.push_back(std::move(value));
      }
    }
  }
  return MakeSequence(SequenceType::kGenerator, std::move(results), meter);
}

// select, reject and, for an attribute of each item, selectattr, rejectattr.
template <bool kWanted, bool kAttribute>
ValueOr Select(Interpreter& interpreter, const JinjaValue& subject,
               CallArguments& arguments) {
  Meter& meter = interpreter.meter();
  std::vector<JinjaValue> chosen;
  if (IsTrue(subject)) {
    JinjaValue attribute = JinjaValue::None();
    if (kAttribute) {
      if (arguments.positional.empty()) {
        return absl::InvalidArgumentError("selectattr() needs an attribute");
      }
      attribute = arguments.positional[0];
      arguments.positional.erase(arguments.positional.begin());
    }
    const Builtin* test = nullptr;
    if (!arguments.positional.empty()) {
      GEMMA_ASSIGN_OR_RETURN(test, TakeBuiltin("test", FindTest, arguments));
    }
    GEMMA_ASSIGN_OR_RETURN(const JinjaValue items, ItemsOf(subject, meter));
    for (const JinjaValue& item : items.items()) {
      GEMMA_RETURN_IF_ERROR(meter.Spend(1));
      GEMMA_ASSIGN_OR_RETURN(JinjaValue value,
                             AttributePath(interpreter, item, attribute));
      if (test != nullptr) {
        CallArguments copy = arguments;
        GEMMA_ASSIGN_OR_RETURN(value, test->function(interpreter, value, copy));
      }
      if (IsTrue(value) == kWanted) chosen.push_back(item);
    }
  }
  return MakeSequence(SequenceType::kGenerator, std::move(chosen), meter);
}

ValueOr Default(Interpreter&, const JinjaValue& subject,
                CallArguments& arguments) {
  JinjaValue values[2] = {JinjaValue::String(MarkedText()),
                          JinjaValue::Bool(false)};
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("default", {"default_value", "boolean"}, 0, values));
  const bool replace =
      subject.is_undefined() || (IsTrue(values[1]) && !IsTrue(subject));
  return replace ? values[0] : subject;
}

constexpr Builtin kSelectFilters[] = {
    {"d", Default},
    {"default", Default},
    {"map", Map},
    {"reject", Select<false, false>},
    {"rejectattr", Select<false, true>},
    {"select", Select<true, false>},
    {"selectattr", Select<true, true>},
};

}  // namespace

absl::Span<const Builtin> SelectFilters() { return kSelectFilters; }

const Builtin* FindFilter(std::string_view name) {
  for (const absl::Span<const Builtin> table :
       {TextFilters(), ListFilters(), CutFilters(), SelectFilters(),
        NumberFilters()}) {
    if (const Builtin* filter = FindIn(table, name)) return filter;
  }
  return nullptr;
}

const Builtin* FindTest(std::string_view name) { return FindIn(Tests(), name); }

absl::StatusOr<JinjaValue> AttributePath(Interpreter& interpreter,
                                         const JinjaValue& value,
                                         const JinjaValue& attribute,
                                         const JinjaValue* fallback) {
  if (attribute.is_none()) return value;
  if (!attribute.is_string()) {
    GEMMA_ASSIGN_OR_RETURN(JinjaValue item, interpreter.Item(value, attribute));
    return fallback != nullptr && item.is_undefined() ? *fallback : item;
  }
  JinjaValue result = value;
  for (const std::string_view part : absl::StrSplit(attribute.text(), '.')) {
    GEMMA_RETURN_IF_ERROR(interpreter.meter().Spend(1));
    JinjaValue key = JinjaValue::String(part, TextOrigin::kTemplate);
    int64_t index = 0;
    const char* const end = part.data() + part.size();
    const bool is_number =
        !part.empty() && std::all_of(part.begin(), part.end(), [](char c) {
          return c >= '0' && c <= '9';
        });
    if (is_number) {
      if (std::from_chars(part.data(), end, index).ec != std::errc()) {
        return absl::UnimplementedError("an integer does not fit into 64 bits");
      }
      key = JinjaValue::Int(index);
    }
    GEMMA_ASSIGN_OR_RETURN(result, interpreter.Item(result, key));
    if (fallback != nullptr && result.is_undefined()) result = *fallback;
  }
  return result;
}

absl::StatusOr<JinjaValue> WithoutCase(Interpreter& interpreter,
                                       const JinjaValue& value) {
  if (!value.is_string()) return value;
  GEMMA_ASSIGN_OR_RETURN(
      MarkedText text,
      ChangeCase(value.marked(), CaseChange::kLower, interpreter.meter()));
  return MakeString(std::move(text), interpreter.meter());
}

}  // namespace gemma::internal

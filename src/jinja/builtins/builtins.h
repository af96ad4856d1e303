// The filters, tests and methods that templates can use.

#ifndef GEMMA_SRC_JINJA_BUILTINS_BUILTINS_H_
#define GEMMA_SRC_JINJA_BUILTINS_BUILTINS_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/jinja/values/object.h"
#include "src/jinja/values/value.h"

namespace gemma::internal {

class Interpreter;

// A filter, a test or a method: subject | name(arguments),
// subject is name(arguments), subject.name(arguments).
struct Builtin {
  std::string_view name;
  absl::StatusOr<JinjaValue> (*function)(Interpreter& interpreter,
                                         const JinjaValue& subject,
                                         CallArguments& arguments);
};

// Each returns null if there is no filter (test) of this name.
const Builtin* FindFilter(std::string_view name);
const Builtin* FindTest(std::string_view name);

// Returns a method of a string, a list, a dict or another value; null if
// Python has no such method, kUnimplemented if only Python has it.
absl::StatusOr<const Builtin*> FindMethod(const JinjaValue& subject,
                                          std::string_view name);

// Whether the method changes its list or dict, which templates must not do.
bool IsMutatingMethod(const JinjaValue& subject, std::string_view name);

// The functions joiner and cycler.
absl::StatusOr<JinjaValue> MakeJoiner(Interpreter& interpreter,
                                      const CallArguments& arguments);
absl::StatusOr<JinjaValue> MakeCycler(Interpreter& interpreter,
                                      const CallArguments& arguments);

// The parts of these tables.
absl::Span<const Builtin> TextFilters();
absl::Span<const Builtin> ListFilters();
absl::Span<const Builtin> CutFilters();
absl::Span<const Builtin> SelectFilters();
absl::Span<const Builtin> NumberFilters();
absl::Span<const Builtin> StringMethods();
absl::Span<const Builtin> StringTestMethods();
absl::Span<const Builtin> Tests();

// Returns value.a.b for the attribute "a.b", as filters find attributes: items
// first, and numbers as indices. An undefined item becomes `fallback`.
absl::StatusOr<JinjaValue> AttributePath(Interpreter& interpreter,
                                         const JinjaValue& value,
                                         const JinjaValue& attribute,
                                         const JinjaValue* fallback = nullptr);

// Returns a string in lower case, and any other value unchanged: what filters
// compare if case does not matter.
absl::StatusOr<JinjaValue> WithoutCase(Interpreter& interpreter,
                                       const JinjaValue& value);

// Returns the entry of this name, or null.
const Builtin* FindIn(absl::Span<const Builtin> table, std::string_view name);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_BUILTINS_BUILTINS_H_

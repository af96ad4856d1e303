// Python's operators on values. Messages of errors follow Python's.

#ifndef GEMMA_SRC_JINJA_VALUES_OPERATIONS_H_
#define GEMMA_SRC_JINJA_VALUES_OPERATIONS_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/jinja/syntax/syntax.h"
#include "src/jinja/values/meter.h"
#include "src/jinja/values/value.h"

namespace gemma::internal {

// Whether `if value` takes the branch.
bool IsTrue(const JinjaValue& value);

absl::StatusOr<bool> AreEqual(const JinjaValue& a, const JinjaValue& b,
                              Meter& meter);
// Returns whether a < b.
absl::StatusOr<bool> IsLess(const JinjaValue& a, const JinjaValue& b,
                            Meter& meter);
// Returns a < b, a == b, a in b and the others of these operators.
absl::StatusOr<bool> Compare(Operator op, const JinjaValue& a,
                             const JinjaValue& b, Meter& meter);
// Returns whether `item in container`.
absl::StatusOr<bool> Contains(const JinjaValue& container,
                              const JinjaValue& item, Meter& meter);

// Returns a + b and the other binary operators.
absl::StatusOr<JinjaValue> Calculate(Operator op, const JinjaValue& a,
                                     const JinjaValue& b, Meter& meter);
absl::StatusOr<JinjaValue> Negate(const JinjaValue& value);

// Returns what a loop over the value visits, as a sequence: the value itself
// if it is one. Reads a generator to its end.
absl::StatusOr<JinjaValue> ItemsOf(const JinjaValue& value, Meter& meter);
// Returns len(value).
absl::StatusOr<int64_t> LengthOf(const JinjaValue& value, Meter& meter);

// Returns value[begin:end:step]. Each bound is an integer or None.
absl::StatusOr<JinjaValue> SliceOf(const JinjaValue& value,
                                   const JinjaValue& begin,
                                   const JinjaValue& end,
                                   const JinjaValue& step, Meter& meter);

// Returns a string, after counting its memory.
absl::StatusOr<JinjaValue> MakeString(MarkedText text, Meter& meter);
// Returns a sequence (dict), after checking its size and depth.
absl::StatusOr<JinjaValue> MakeSequence(JinjaValue::SequenceType type,
                                        std::vector<JinjaValue> items,
                                        Meter& meter);
absl::StatusOr<JinjaValue> MakeDict(std::vector<JinjaValue::Entry> entries,
                                    Meter& meter);
// Sets the value of a key, in place or at the end. Only strings, numbers and
// None can be keys.
absl::Status SetEntry(JinjaValue key, JinjaValue value,
                      std::vector<JinjaValue::Entry>& entries, Meter& meter);

// An error: the operation needs a defined value.
absl::Status UndefinedError(const JinjaValue& value);
// An error: "'+' does not accept 'int' and 'str'".
absl::Status TypeError(std::string_view what, const JinjaValue& a,
                       const JinjaValue& b);

// Returns an integer argument of a function; booleans count as integers.
absl::StatusOr<int64_t> IntegerOf(std::string_view what,
                                  const JinjaValue& value);
// Returns the text of an argument that must be a string.
absl::StatusOr<const MarkedText*> StringOf(std::string_view what,
                                           const JinjaValue& value);

// The origin of what comes from both.
inline TextOrigin Joined(TextOrigin a, TextOrigin b) {
  return a == TextOrigin::kTemplate ? b : a;
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_VALUES_OPERATIONS_H_

// Truth, equality and order of values.

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "src/jinja/values/object.h"
#include "src/jinja/values/operations.h"

namespace gemma::internal {
namespace {

using Kind = JinjaValue::Kind;
using SequenceType = JinjaValue::SequenceType;

bool EqualNumbers(const JinjaValue& a, const JinjaValue& b) {
  if (a.is_double() || b.is_double()) return a.AsDouble() == b.AsDouble();
  return a.integer() == b.integer();
}

bool LessNumbers(const JinjaValue& a, const JinjaValue& b) {
  if (a.is_double() || b.is_double()) return a.AsDouble() < b.AsDouble();
  return a.integer() < b.integer();
}

absl::StatusOr<bool> EqualDicts(const JinjaValue& a, const JinjaValue& b,
                                Meter& meter) {
  if (a.entries().size() != b.entries().size()) return false;
  for (const JinjaValue::Entry& entry : a.entries()) {
    GEMMA_RETURN_IF_ERROR(meter.Spend(1 + b.entries().size() / 16));
    const JinjaValue* other = b.Find(entry.key);
    if (other == nullptr) return false;
    GEMMA_ASSIGN_OR_RETURN(const bool equal,
                           AreEqual(entry.value, *other, meter));
    if (!equal) return false;
  }
  return true;
}

std::string_view ComparisonName(Operator op) {
  switch (op) {
    case Operator::kLess:
      return "<";
    case Operator::kLessOrEqual:
      return "<=";
    case Operator::kGreater:
      return ">";
    default:
      return ">=";
  }
}

}  // namespace

bool IsTrue(const JinjaValue& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.integer() != 0;
    case Kind::kDouble:
      return value.real() != 0;
    case Kind::kLargeInt:
      return true;
    case Kind::kString:
      return !value.text().empty();
    case Kind::kSequence:
      return value.is_sequence(SequenceType::kGenerator) ||
             !value.items().empty();
    case Kind::kDict:
      return !value.entries().empty();
    case Kind::kObject:
      return true;
  }
  return true;
}

absl::StatusOr<bool> AreEqual(const JinjaValue& a, const JinjaValue& b,
                              Meter& meter) {
  GEMMA_RETURN_IF_ERROR(meter.Spend(1));
  if (a.is_number() && b.is_number()) return EqualNumbers(a, b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kString: {
      const std::string& x = a.text();
      const std::string& y = b.text();
      if (x.size() != y.size()) return false;
      GEMMA_RETURN_IF_ERROR(meter.Spend(x.size() / 64));
      return x == y;
    }
    case Kind::kSequence: {
      if (a.sequence_type() != b.sequence_type()) return false;
      if (!a.is_indexable()) return a.SameAs(b);
      if (a.items().size() != b.items().size()) return false;
      for (size_t i = 0; i < a.items().size(); ++i) {
        GEMMA_ASSIGN_OR_RETURN(const bool equal,
                               AreEqual(a.items()[i], b.items()[i], meter));
        if (!equal) return false;
      }
      return true;
    }
    case Kind::kDict:
      return EqualDicts(a, b, meter);
    default:
      return a.SameAs(b);
  }
}

absl::StatusOr<bool> IsLess(const JinjaValue& a, const JinjaValue& b,
                            Meter& meter) {
  GEMMA_RETURN_IF_ERROR(meter.Spend(1));
  if (a.is_number() && b.is_number()) return LessNumbers(a, b);
  if (a.is_string() && b.is_string()) {
    // The order of bytes is that of code points.
    GEMMA_RETURN_IF_ERROR(
        meter.Spend(std::min(a.text().size(), b.text().size()) / 64));
    return a.text() < b.text();
  }
  if (a.is_indexable() && b.is_indexable() &&
      a.sequence_type() == b.sequence_type() &&
      !a.is_sequence(SequenceType::kRange)) {
    const size_t size = std::min(a.items().size(), b.items().size());
    for (size_t i = 0; i < size; ++i) {
      GEMMA_ASSIGN_OR_RETURN(const bool equal,
                             AreEqual(a.items()[i], b.items()[i], meter));
      if (!equal) return IsLess(a.items()[i], b.items()[i], meter);
    }
    return a.items().size() < b.items().size();
  }
  return TypeError("<", a, b);
}

absl::StatusOr<bool> Compare(Operator op, const JinjaValue& a,
                             const JinjaValue& b, Meter& meter) {
  const auto negated = [](absl::StatusOr<bool> result) {
    if (result.ok()) *result = !*result;
    return result;
  };
  switch (op) {
    case Operator::kEqual:
      return AreEqual(a, b, meter);
    case Operator::kNotEqual:
      return negated(AreEqual(a, b, meter));
    case Operator::kIn:
      return Contains(b, a, meter);
    case Operator::kNotIn:
      return negated(Contains(b, a, meter));
    default:
      break;
  }
  if (a.is_undefined()) return UndefinedError(a);
  if (b.is_undefined()) return UndefinedError(b);
  const bool numbers = a.is_number() && b.is_number();
  if (numbers &&
      (a.AsDouble() != a.AsDouble() || b.AsDouble() != b.AsDouble())) {
    return false;  // not a number: no order
  }
  if (!numbers && !(a.is_string() && b.is_string()) &&
      !(a.is_indexable() && b.is_indexable())) {
    return TypeError(ComparisonName(op), a, b);
  }
  switch (op) {
    case Operator::kLess:
      return IsLess(a, b, meter);
    case Operator::kGreater:
      return IsLess(b, a, meter);
    case Operator::kLessOrEqual:
      return negated(IsLess(b, a, meter));
    default:
      return negated(IsLess(a, b, meter));
  }
}

absl::StatusOr<bool> Contains(const JinjaValue& container,
                              const JinjaValue& item, Meter& meter) {
  GEMMA_RETURN_IF_ERROR(meter.Spend(1));
  if (container.is_string()) {
    if (!item.is_string()) {
      if (item.is_undefined()) return UndefinedError(item);
      return TypeError("in", item, container);
    }
    GEMMA_RETURN_IF_ERROR(
        meter.SpendSearch(container.text().size(), item.text().size()));
    return absl::StrContains(container.text(), item.text());
  }
  if (container.is_dict()) {
    if (item.is_sequence() || item.is_dict()) {
      return absl::InvalidArgumentError(
          absl::StrCat("a '", item.TypeName(), "' cannot be a key of a dict"));
    }
    GEMMA_RETURN_IF_ERROR(meter.Spend(container.entries().size() / 16));
    return container.Find(item) != nullptr;
  }
  if (!container.is_sequence() && !container.is_undefined()) {
    return TypeError("in", item, container);
  }
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items, ItemsOf(container, meter));
  for (const JinjaValue& candidate : items.items()) {
    GEMMA_ASSIGN_OR_RETURN(const bool equal, AreEqual(candidate, item, meter));
    if (equal) return true;
  }
  return false;
}

}  // namespace gemma::internal

// Python's arithmetic.

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "src/jinja/values/format.h"
#include "src/jinja/values/operations.h"
#include "src/jinja/values/text_functions.h"

namespace gemma::internal {
namespace {

using SequenceType = JinjaValue::SequenceType;

std::string_view NameOf(Operator op) {
  switch (op) {
    case Operator::kAdd:
      return "+";
    case Operator::kSubtract:
      return "-";
    case Operator::kMultiply:
      return "*";
    case Operator::kDivide:
      return "/";
    case Operator::kFloorDivide:
      return "//";
    case Operator::kModulo:
      return "%";
    default:
      return "**";
  }
}

absl::Status TooLarge() {
  return absl::UnimplementedError("an integer does not fit into 64 bits");
}

absl::Status DivisionByZero() {
  return absl::InvalidArgumentError("division by zero");
}

absl::StatusOr<int64_t> IntegerPower(int64_t base, int64_t exponent) {
  int64_t result = 1;
  // After 64 doublings, only 0, 1 and -1 have not overflowed.
  if (base == 0 || base == 1) return exponent == 0 ? 1 : base;
  if (base == -1) return exponent % 2 == 0 ? 1 : -1;
  for (; exponent > 0; --exponent) {
    if (__builtin_mul_overflow(result, base, &result)) return TooLarge();
  }
  return result;
}

absl::StatusOr<JinjaValue> Integers(Operator op, int64_t a, int64_t b,
                                    TextOrigin origin) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Operator::kAdd:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case Operator::kSubtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case Operator::kMultiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case Operator::kDivide:
      if (b == 0) return DivisionByZero();
      return JinjaValue::Double(static_cast<double>(a) / static_cast<double>(b),
                                origin);
    case Operator::kFloorDivide:
    case Operator::kModulo: {
      if (b == 0) return DivisionByZero();
      if (b == -1) {  // the only divisor that can overflow
        if (op == Operator::kModulo) return JinjaValue::Int(0, origin);
        overflow = __builtin_sub_overflow(int64_t{0}, a, &result);
        break;
      }
      const int64_t remainder = a % b;
      const bool adjust = remainder != 0 && (remainder < 0) != (b < 0);
      result = op == Operator::kModulo ? remainder + (adjust ? b : 0)
                                       : a / b - (adjust ? 1 : 0);
      break;
    }
    default: {
      if (b < 0) {
        if (a == 0) return DivisionByZero();
        return JinjaValue::Double(
            std::pow(static_cast<double>(a), static_cast<double>(b)), origin);
      }
      GEMMA_ASSIGN_OR_RETURN(result, IntegerPower(a, b));
    }
  }
  if (overflow) return TooLarge();
  return JinjaValue::Int(result, origin);
}

absl::StatusOr<JinjaValue> Doubles(Operator op, double a, double b,
                                   TextOrigin origin) {
  double result = 0;
  switch (op) {
    case Operator::kAdd:
      result = a + b;
      break;
    case Operator::kSubtract:
      result = a - b;
      break;
    case Operator::kMultiply:
      result = a * b;
      break;
    case Operator::kDivide:
      if (b == 0) return DivisionByZero();
      result = a / b;
      break;
    case Operator::kFloorDivide:
    case Operator::kModulo: {
      if (b == 0) return DivisionByZero();
      double remainder = std::fmod(a, b);
      if (remainder != 0 && (remainder < 0) != (b < 0)) remainder += b;
      if (remainder == 0) remainder = std::copysign(0.0, b);
      if (op == Operator::kModulo) {
        result = remainder;
      } else {
        const double quotient = (a - remainder) / b;
        result = std::floor(quotient);
        if (quotient - result > 0.5) result += 1;
      }
      break;
    }
    default:
      if (a == 0 && b < 0) return DivisionByZero();
      if (a < 0 && b != std::floor(b)) {
        return absl::UnimplementedError(
            "a power of a negative number that is not real");
      }
      result = std::pow(a, b);
      if (std::isinf(result) && !std::isinf(a) && !std::isinf(b)) {
        return absl::InvalidArgumentError("a power is too large for a float");
      }
  }
  return JinjaValue::Double(result, origin);
}

absl::StatusOr<JinjaValue> Repeat(const JinjaValue& value,
                                  const JinjaValue& count_value, Meter& meter) {
  const auto count =
      static_cast<uint64_t>(std::max<int64_t>(count_value.integer(), 0));
  if (value.is_string()) {
    const MarkedText& text = value.marked();
    // A text of one run stays one.
    const uint64_t size =
        text.size() + (text.runs().size() > 1 ? 16 * text.runs().size() : 0);
    if (size != 0 && count > meter.limits().memory_bytes / size) {
      return meter.Allocate(SIZE_MAX);
    }
    GEMMA_RETURN_IF_ERROR(meter.Allocate(size * count));
    MarkedText repeated;
    for (uint64_t i = 0; size != 0 && i < count; ++i) repeated.Append(text);
    return JinjaValue::String(std::move(repeated));
  }
  const std::vector<JinjaValue>& items = value.items();
  if (!items.empty() && count > meter.limits().memory_bytes / items.size()) {
    return meter.Allocate(SIZE_MAX);
  }
  GEMMA_RETURN_IF_ERROR(meter.AllocateValues(items.size() * count));
  std::vector<JinjaValue> repeated;
  repeated.reserve(items.size() * count);
  for (uint64_t i = 0; !items.empty() && i < count; ++i) {
    repeated.insert(repeated.end(), items.begin(), items.end());
  }
  return MakeSequence(value.sequence_type(), std::move(repeated), meter);
}

// Whether `*` can repeat it.
bool IsRepeatable(const JinjaValue& value) {
  return value.is_string() || value.is_sequence(SequenceType::kList) ||
         value.is_sequence(SequenceType::kTuple);
}

absl::StatusOr<JinjaValue> Concatenate(const JinjaValue& a, const JinjaValue& b,
                                       Meter& meter) {
  if (a.is_string()) {
    GEMMA_RETURN_IF_ERROR(meter.Allocate(a.text().size() + b.text().size()));
    MarkedText text = a.marked();
    text.Append(b.marked());
    return MakeString(std::move(text), meter);
  }
  std::vector<JinjaValue> items = a.items();
  items.insert(items.end(), b.items().begin(), b.items().end());
  return MakeSequence(a.sequence_type(), std::move(items), meter);
}

// As markupsafe, which escapes what is not marked as safe.
absl::StatusOr<JinjaValue> AddMarkup(const JinjaValue& a, const JinjaValue& b,
                                     Meter& meter) {
  MarkedText text;
  for (const JinjaValue* part : {&a, &b}) {
    GEMMA_RETURN_IF_ERROR(
        meter.Allocate((part->is_markup() ? 1 : 5) * part->text().size()));
    text.Append(part->is_markup() ? part->marked() : Escaped(part->marked()));
  }
  return JinjaValue::Markup(std::move(text));
}

}  // namespace

absl::StatusOr<JinjaValue> Calculate(Operator op, const JinjaValue& a,
                                     const JinjaValue& b, Meter& meter) {
  if (a.is_undefined()) return UndefinedError(a);
  if (op == Operator::kAdd && (a.is_markup() || b.is_markup()) &&
      a.is_string() && b.is_string()) {
    return AddMarkup(a, b, meter);
  }
  if (a.is_markup() || b.is_markup()) {
    return absl::UnimplementedError(absl::StrCat(
        "'", NameOf(op), "' of text of 'safe' or 'escape' is not supported"));
  }
  if (a.is_string() && op == Operator::kModulo) {
    return FormatPercent(a.marked(), b, meter);
  }
  if (b.is_undefined()) return UndefinedError(b);
  if (a.is_number() && b.is_number()) {
    const TextOrigin origin = Joined(a.origin(), b.origin());
    if (a.is_double() || b.is_double()) {
      return Doubles(op, a.AsDouble(), b.AsDouble(), origin);
    }
    return Integers(op, a.integer(), b.integer(), origin);
  }
  if (op == Operator::kAdd && IsRepeatable(a) && a.kind() == b.kind() &&
      (a.is_string() || a.sequence_type() == b.sequence_type())) {
    return Concatenate(a, b, meter);
  }
  if (op == Operator::kMultiply) {
    if (IsRepeatable(a) && (b.is_int() || b.is_bool())) {
      return Repeat(a, b, meter);
    }
    if (IsRepeatable(b) && (a.is_int() || a.is_bool())) {
      return Repeat(b, a, meter);
    }
  }
  return TypeError(NameOf(op), a, b);
}

absl::StatusOr<JinjaValue> Negate(const JinjaValue& value) {
  if (value.is_undefined()) return UndefinedError(value);
  if (value.is_double()) {
    return JinjaValue::Double(-value.real(), value.origin());
  }
  if (!value.is_number()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'-' does not accept '", value.TypeName(), "'"));
  }
  return Integers(Operator::kSubtract, 0, value.integer(), value.origin());
}

}  // namespace gemma::internal

// Filters that return numbers.

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/jinja/builtins/builtins.h"
#include "src/jinja/run/interpreter.h"
#include "src/jinja/values/operations.h"

namespace gemma::internal {
namespace {

using ValueOr = absl::StatusOr<JinjaValue>;

absl::Status NumberTooLarge() {
  return absl::UnimplementedError("an integer does not fit into 64 bits");
}

// Returns digits without white space around them and underscores between them,
// as Python's int() and float() read them; nothing if they are malformed.
absl::StatusOr<std::optional<std::string>> CleanNumber(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) {
      return absl::UnimplementedError(
          "numbers with characters beyond ASCII are not supported");
    }
  }
  text = absl::StripAsciiWhitespace(text);
  std::string clean;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      clean.push_back(text[i]);
    } else if (i == 0 || i + 1 == text.size() ||
               !absl::ascii_isdigit(text[i - 1]) ||
               !absl::ascii_isdigit(text[i + 1])) {
      return std::nullopt;
    }
  }
  return clean;
}

// Reads a float as Python's float() does.
std::optional<double> ReadDouble(std::string_view text) {
  const bool has_sign = !text.empty() && (text[0] == '+' || text[0] == '-');
  const std::string_view digits = text.substr(has_sign ? 1 : 0);
  double value = 0;
  for (const std::string_view name : {"inf", "infinity", "nan"}) {
    if (absl::EqualsIgnoreCase(digits, name)) {
      value = name == "nan" ? std::nan("") : HUGE_VAL;
      return text[0] == '-' ? -value : value;
    }
  }
  if (digits.empty() || !(absl::ascii_isdigit(digits[0]) || digits[0] == '.')) {
    return std::nullopt;
  }
  const auto result =
      std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ptr != digits.data() + digits.size()) return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) {
    value = std::strtod(std::string(digits).c_str(), nullptr);
  } else if (result.ec != std::errc()) {
    return std::nullopt;
  }
  return has_sign && text[0] == '-' ? -value : value;
}

// Who wrote the digits of a number in a text.
TextOrigin OriginOf(const MarkedText& text) {
  for (const MarkedText::Run& run : text.runs()) {
    if (run.origin == TextOrigin::kMessage) return run.origin;
  }
  return TextOrigin::kTemplate;
}

ValueOr Truncate(double value, TextOrigin origin, const JinjaValue& otherwise) {
  if (!std::isfinite(value)) return otherwise;
  if (!(std::abs(value) < 9.2e18)) return NumberTooLarge();
  return JinjaValue::Int(static_cast<int64_t>(value), origin);
}

ValueOr Int(Interpreter& interpreter, const JinjaValue& subject,
            CallArguments& arguments) {
  JinjaValue values[2] = {JinjaValue::Int(0, TextOrigin::kTemplate),
                          JinjaValue::Int(10)};
  GEMMA_RETURN_IF_ERROR(arguments.Bind("int", {"default", "base"}, 0, values));
  GEMMA_ASSIGN_OR_RETURN(const int64_t base, IntegerOf("int()", values[1]));
  if (subject.is_undefined()) return UndefinedError(subject);
  if (subject.is_large_int()) return subject;
  if (subject.is_double()) {
    return Truncate(subject.real(), subject.origin(), values[0]);
  }
  if (subject.is_number()) {
    return JinjaValue::Int(subject.integer(), subject.origin());
  }
  if (!subject.is_string()) return values[0];
  if (base != 10) {
    return absl::UnimplementedError(
        "int() with a base other than 10 is not supported");
  }
  GEMMA_RETURN_IF_ERROR(interpreter.meter().Allocate(subject.text().size()));
  GEMMA_ASSIGN_OR_RETURN(const std::optional<std::string> text,
                         CleanNumber(subject.text()));
  if (!text.has_value()) return values[0];
  const TextOrigin origin = OriginOf(subject.marked());
  std::string_view digits = *text;
  if (absl::StartsWith(digits, "+") && !absl::StartsWith(digits, "+-")) {
    digits.remove_prefix(1);
  }
  int64_t number = 0;
  const char* const end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, number);
  if (result.ptr == end && result.ec == std::errc::result_out_of_range) {
    return NumberTooLarge();
  }
  if (result.ptr == end && result.ec == std::errc()) {
    return JinjaValue::Int(number, origin);
  }
  const std::optional<double> real = ReadDouble(*text);
  if (!real.has_value()) return values[0];
  return Truncate(*real, origin, values[0]);
}

ValueOr Float(Interpreter& interpreter, const JinjaValue& subject,
              CallArguments& arguments) {
  JinjaValue otherwise = JinjaValue::Double(0, TextOrigin::kTemplate);
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("float", {"default"}, 0, {&otherwise, 1}));
  if (subject.is_undefined()) return UndefinedError(subject);
  if (subject.is_large_int()) return NumberTooLarge();
  if (subject.is_number()) {
    return JinjaValue::Double(subject.AsDouble(), subject.origin());
  }
  if (!subject.is_string()) return otherwise;
  GEMMA_RETURN_IF_ERROR(interpreter.meter().Allocate(subject.text().size()));
  GEMMA_ASSIGN_OR_RETURN(const std::optional<std::string> text,
                         CleanNumber(subject.text()));
  if (!text.has_value()) return otherwise;
  const std::optional<double> real = ReadDouble(*text);
  if (!real.has_value()) return otherwise;
  return JinjaValue::Double(*real, OriginOf(subject.marked()));
}

ValueOr Abs(Interpreter&, const JinjaValue& subject, CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("abs"));
  if (subject.is_double()) {
    return JinjaValue::Double(std::abs(subject.real()), subject.origin());
  }
  if (subject.is_number() && subject.integer() >= 0) {
    return JinjaValue::Int(subject.integer(), subject.origin());
  }
  return Negate(subject);
}

ValueOr Round(Interpreter&, const JinjaValue& subject,
              CallArguments& arguments) {
  JinjaValue values[2] = {JinjaValue::Int(0),
                          JinjaValue::String("common", TextOrigin::kTemplate)};
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("round", {"precision", "method"}, 0, values));
  if (subject.is_undefined()) return UndefinedError(subject);
  GEMMA_ASSIGN_OR_RETURN(const int64_t precision,
                         IntegerOf("round()", values[0]));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText* method,
                         StringOf("round()", values[1]));
  if (!subject.is_number()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "round() has a '", subject.TypeName(), "', wanted a number"));
  }
  if (precision < 0 || precision > 15) {
    return absl::UnimplementedError(
        "round() knows only precisions from 0 to 15");
  }
  const double value = subject.AsDouble();
  if (method->text() == "common") {
    if (!subject.is_double()) {
      return JinjaValue::Int(subject.integer(), subject.origin());
    }
    // Decimal rounding of the exact value, half to even, as Python's round().
    const std::string digits =
        FormatText("%.*f", static_cast<int>(precision), value);
    return JinjaValue::Double(std::strtod(digits.c_str(), nullptr),
                              subject.origin());
  }
  if (method->text() != "ceil" && method->text() != "floor") {
    return absl::InvalidArgumentError(
        "round() knows the methods 'common', 'ceil' and 'floor'");
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = value * scale;
  return JinjaValue::Double(
      (method->text() == "ceil" ? std::ceil(scaled) : std::floor(scaled)) /
          scale,
      subject.origin());
}

ValueOr Sum(Interpreter& interpreter, const JinjaValue& subject,
            CallArguments& arguments) {
  JinjaValue values[2] = {JinjaValue::None(),
                          JinjaValue::Int(0, TextOrigin::kTemplate)};
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("sum", {"attribute", "start"}, 0, values));
  Meter& meter = interpreter.meter();
  if (values[1].is_string()) {
    return absl::InvalidArgumentError("sum() does not add strings");
  }
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items, ItemsOf(subject, meter));
  JinjaValue sum = values[1];
  for (const JinjaValue& item : items.items()) {
    GEMMA_ASSIGN_OR_RETURN(const JinjaValue value,
                           AttributePath(interpreter, item, values[0]));
    GEMMA_ASSIGN_OR_RETURN(sum, Calculate(Operator::kAdd, sum, value, meter));
  }
  return sum;
}

constexpr Builtin kNumberFilters[] = {
    {"abs", Abs},     {"float", Float}, {"int", Int},
    {"round", Round}, {"sum", Sum},
};

}  // namespace

absl::Span<const Builtin> NumberFilters() { return kNumberFilters; }

}  // namespace gemma::internal

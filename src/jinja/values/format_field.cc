#include "src/jinja/values/format_field.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/values/characters.h"
#include "src/jinja/values/text_of.h"

namespace gemma::internal {
namespace {

// Returns digits with a comma before each group of three.
std::string WithCommas(std::string_view digits) {
  const size_t end = std::min(digits.find('.'), digits.size());
  std::string result;
  for (size_t i = 0; i < end; ++i) {
    if (i > 0 && (end - i) % 3 == 0) result.push_back(',');
    result.push_back(digits[i]);
  }
  result.append(digits.substr(end));
  return result;
}

std::string DigitsOf(uint64_t number, int base, bool upper) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), number, base);
  std::string digits(buffer, end.ptr - buffer);
  if (upper) absl::AsciiStrToUpper(&digits);
  return digits;
}

// Writes text with its sign in a field of the width.
absl::Status AppendField(const MarkedText& text, std::string_view sign,
                         char align, const FieldFormat& spec, Meter& meter,
                         TextOrigin origin, MarkedText& out) {
  const size_t used = CountCharacters(text.text()) + sign.size();
  const size_t missing = spec.width > used ? spec.width - used : 0;
  GEMMA_RETURN_IF_ERROR(
      meter.Allocate(text.size() + missing * spec.fill.size()));
  const size_t before = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  const auto fill = [&](size_t count) {
    for (; count > 0; --count) out.Append(spec.fill, origin);
  };
  if (align == '=') out.Append(sign, origin);
  fill(before);
  if (align != '=') out.Append(sign, origin);
  out.Append(text);
  fill(missing - before);
  return absl::OkStatus();
}

}  // namespace

absl::Status FormatNotSupported(std::string_view what) {
  return absl::UnimplementedError(
      absl::StrCat("the format ", Quoted(what), " is not supported"));
}

absl::StatusOr<size_t> ReadFormatNumber(std::string_view text, size_t& at,
                                        size_t most) {
  size_t number = 0;
  for (; at < text.size() && absl::ascii_isdigit(text[at]); ++at) {
    number = number * 10 + static_cast<size_t>(text[at] - '0');
    if (number > most) {
      return absl::UnimplementedError(
          absl::StrCat("a format has a number above ", most));
    }
  }
  return number;
}

absl::Status AppendNumberField(const JinjaValue& value, const FieldFormat& spec,
                               Meter& meter, MarkedText& out) {
  const bool negative =
      value.is_double() ? std::signbit(value.real()) : value.integer() < 0;
  std::string digits;
  switch (spec.type) {
    case 'f':
    case 'F':
    case '%':
      digits =
          FormatText("%.*f", static_cast<int>(spec.precision.value_or(6)),
                     std::abs(value.AsDouble()) * (spec.type == '%' ? 100 : 1));
      break;
    case 'x':
    case 'X':
    case 'o':
    case 'b':
    case 'd': {
      const auto number = static_cast<uint64_t>(value.integer());
      digits = DigitsOf(negative ? ~number + 1 : number,
                        spec.type == 'd'   ? 10
                        : spec.type == 'o' ? 8
                        : spec.type == 'b' ? 2
                                           : 16,
                        spec.type == 'X');
      break;
    }
    default:
      digits = DoubleText(std::abs(value.AsDouble()));
  }
  if (spec.comma) digits = WithCommas(digits);
  if (spec.type == '%') digits.push_back('%');
  const std::string_view sign = negative           ? "-"
                                : spec.sign == '+' ? "+"
                                : spec.sign == ' ' ? " "
                                                   : "";
  return AppendField(MarkedText(digits, value.origin()), sign,
                     spec.align == '\0' ? '>' : spec.align, spec, meter,
                     value.origin(), out);
}

absl::Status AppendTextField(const MarkedText& text, const FieldFormat& spec,
                             char align, Meter& meter, MarkedText& out) {
  const size_t size = spec.precision.has_value()
                          ? OffsetOfCharacter(text.text(), *spec.precision)
                          : text.size();
  return AppendField(text.Substring(0, size), "",
                     spec.align == '\0' ? align : spec.align, spec, meter,
                     TextOrigin::kMessage, out);
}

absl::StatusOr<FieldFormat> ReadFieldFormat(std::string_view text) {
  constexpr std::string_view kAligns = "<>^=";
  FieldFormat spec;
  size_t at = 0;
  const size_t first = text.empty() ? 0 : CharacterEnd(text, 0);
  if (first < text.size() && kAligns.find(text[first]) != kAligns.npos) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    at = first + 1;
  } else if (!text.empty() && kAligns.find(text[0]) != kAligns.npos) {
    spec.align = text[0];
    at = 1;
  }
  const auto take = [&](char c) {
    if (at == text.size() || text[at] != c) return false;
    ++at;
    return true;
  };
  for (char sign : {'+', '-', ' '}) {
    if (take(sign)) {
      spec.sign = sign;
      break;
    }
  }
  if (take('0') && spec.align == '\0') {
    spec.fill = "0";
    spec.align = '=';
  }
  GEMMA_ASSIGN_OR_RETURN(spec.width,
                         ReadFormatNumber(text, at, kMaxFieldWidth));
  spec.comma = take(',');
  if (take('.')) {
    GEMMA_ASSIGN_OR_RETURN(spec.precision,
                           ReadFormatNumber(text, at, kMaxPrecision));
  }
  constexpr std::string_view kTypes = "sdfFxXob%";
  if (at < text.size() && kTypes.find(text[at]) != kTypes.npos) {
    spec.type = text[at++];
  }
  if (at != text.size()) return FormatNotSupported(text);
  return spec;
}

}  // namespace gemma::internal

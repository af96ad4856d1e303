#include "src/jinja/format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/characters.h"
#include "src/jinja/operations.h"
#include "src/jinja/text_of.h"

namespace gemma::internal {
namespace {

constexpr size_t kMaxWidth = 10000;    // of a field
constexpr size_t kMaxPrecision = 100;  // digits

// How to write one value.
struct Specification {
  std::string fill = " ";
  char align = '\0';  // <, >, ^ or = (after the sign)
  char sign = '-';
  bool comma = false;
  size_t width = 0;
  std::optional<size_t> precision;
  char type = '\0';
};

absl::Status NotSupported(std::string_view what) {
  return absl::UnimplementedError(
      absl::StrCat("the format ", Quoted(what), " is not supported"));
}

// Reads digits at `at` and moves after them.
absl::StatusOr<size_t> ReadNumber(std::string_view text, size_t& at,
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
                         char align, const Specification& spec, Meter& meter,
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

absl::Status AppendNumber(const JinjaValue& value, const Specification& spec,
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
  if (spec.type == '%') digits += "%";
  const std::string_view sign = negative           ? "-"
                                : spec.sign == '+' ? "+"
                                : spec.sign == ' ' ? " "
                                                   : "";
  return AppendField(MarkedText(digits, value.origin()), sign,
                     spec.align == '\0' ? '>' : spec.align, spec, meter,
                     value.origin(), out);
}

// Writes text, at most `precision` characters of it.
absl::Status AppendText(const MarkedText& text, const Specification& spec,
                        char align, Meter& meter, MarkedText& out) {
  const size_t size = spec.precision.has_value()
                          ? OffsetOfCharacter(text.text(), *spec.precision)
                          : text.size();
  return AppendField(text.Substring(0, size), "",
                     spec.align == '\0' ? align : spec.align, spec, meter,
                     TextOrigin::kMessage, out);
}

// Writes a value as "%" does, by spec.type.
absl::Status AppendPercent(const JinjaValue& value, Specification spec,
                           Meter& meter, MarkedText& out) {
  switch (spec.type) {
    case 's':
    case 'r': {
      MarkedText text;
      GEMMA_RETURN_IF_ERROR(spec.type == 's' ? AppendStr(value, meter, text)
                                             : AppendRepr(value, meter, text));
      if (spec.align == '=') spec.align = '>';
      spec.fill = " ";
      return AppendText(text, spec, '>', meter, out);
    }
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o': {
      if (spec.precision.has_value()) return NotSupported("%.d");
      if (value.is_undefined()) return UndefinedError(value);
      const bool decimal =
          spec.type != 'x' && spec.type != 'X' && spec.type != 'o';
      if (!value.is_number() || (value.is_double() && !decimal)) break;
      if (decimal) spec.type = 'd';
      if (!value.is_double()) return AppendNumber(value, spec, meter, out);
      if (!(std::abs(value.real()) < 9e18)) {
        return absl::UnimplementedError("an integer does not fit into 64 bits");
      }
      return AppendNumber(
          JinjaValue::Int(static_cast<int64_t>(value.real()), value.origin()),
          spec, meter, out);
    }
    case 'f':
    case 'F':
      if (value.is_undefined()) return UndefinedError(value);
      if (!value.is_number()) break;
      return AppendNumber(value, spec, meter, out);
    default:
      return NotSupported(absl::StrCat("%", std::string(1, spec.type)));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'%", std::string(1, spec.type), "' formats a '",
                   value.TypeName(), "', wanted a number"));
}

// Reads "[[fill]align][sign][0][width][,][.precision][type]".
absl::StatusOr<Specification> ReadSpecification(std::string_view text) {
  constexpr std::string_view kAligns = "<>^=";
  Specification spec;
  size_t at = 0;
  const size_t first = text.empty() ? 0 : CharacterEnd(text, 0);
  if (first < text.size() && kAligns.find(text[first]) != kAligns.npos) {
    spec.fill = std::string(text.substr(0, first));
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
  GEMMA_ASSIGN_OR_RETURN(spec.width, ReadNumber(text, at, kMaxWidth));
  spec.comma = take(',');
  if (take('.')) {
    GEMMA_ASSIGN_OR_RETURN(spec.precision, ReadNumber(text, at, kMaxPrecision));
  }
  constexpr std::string_view kTypes = "sdfFxXob%";
  if (at < text.size() && kTypes.find(text[at]) != kTypes.npos) {
    spec.type = text[at++];
  }
  if (at != text.size()) return NotSupported(text);
  return spec;
}

// Writes a value as "{:text}" does.
absl::Status AppendBraces(const JinjaValue& value, std::string_view text,
                          Meter& meter, MarkedText& out) {
  if (text.empty()) return AppendStr(value, meter, out);
  GEMMA_ASSIGN_OR_RETURN(Specification spec, ReadSpecification(text));
  const auto refused = [&] {
    return absl::InvalidArgumentError(absl::StrCat("the format ", Quoted(text),
                                                   " does not accept '",
                                                   value.TypeName(), "'"));
  };
  if (value.is_string()) {
    if ((spec.type != '\0' && spec.type != 's') || spec.align == '=' ||
        spec.sign != '-' || spec.comma) {
      return refused();
    }
    return AppendText(value.marked(), spec, '<', meter, out);
  }
  if (!value.is_int() && !value.is_double()) {
    if (value.is_bool()) return NotSupported(text);
    return refused();
  }
  if (spec.type == 's') return refused();
  if (spec.type == '\0') {
    if (spec.precision.has_value()) return NotSupported(text);
    if (value.is_int()) spec.type = 'd';
  } else if (std::string_view("dxXob").find(spec.type) !=
             std::string_view::npos) {
    if (value.is_double() || spec.precision.has_value()) return refused();
    if (spec.comma && spec.type != 'd') return refused();
  }
  if (value.is_double() && !std::isfinite(value.real())) {
    return NotSupported(text);
  }
  if (spec.comma && spec.align == '=' && spec.fill == "0") {
    return NotSupported(text);  // Python puts commas between these zeros
  }
  return AppendNumber(value, spec, meter, out);
}

}  // namespace

absl::StatusOr<JinjaValue> FormatPercent(const MarkedText& format,
                                         const JinjaValue& arguments,
                                         Meter& meter) {
  const std::string_view text = format.text();
  const bool is_tuple = arguments.is_sequence(JinjaValue::SequenceType::kTuple);
  const size_t count = is_tuple ? arguments.items().size() : 1;
  size_t used = 0;
  bool named = false;
  MarkedText out;
  for (size_t at = 0; at < text.size();) {
    const size_t percent = std::min(text.find('%', at), text.size());
    GEMMA_RETURN_IF_ERROR(meter.Allocate(percent - at));
    out.Append(format, at, percent);
    if (percent == text.size()) break;
    at = percent + 1;
    if (at < text.size() && text[at] == '%') {
      out.Append(format, at, at + 1);
      ++at;
      continue;
    }
    JinjaValue value;
    bool has_value = false;
    if (at < text.size() && text[at] == '(') {
      const size_t close = text.find(')', at);
      if (close == std::string_view::npos || !arguments.is_dict()) {
        return absl::InvalidArgumentError("a format needs a dict");
      }
      const JinjaValue* found =
          arguments.Find(text.substr(at + 1, close - at - 1));
      if (found == nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat("a format needs an argument ",
                         Quoted(text.substr(at + 1, close - at - 1))));
      }
      value = *found;
      has_value = named = true;
      at = close + 1;
    }
    Specification spec;
    for (; at < text.size() &&
           std::string_view("-+ 0").find(text[at]) != std::string_view::npos;
         ++at) {
      if (text[at] == '-') spec.align = '<';
      if (text[at] == '+' || (text[at] == ' ' && spec.sign == '-')) {
        spec.sign = text[at];
      }
      if (text[at] == '0' && spec.align == '\0') {
        spec.align = '=';
        spec.fill = "0";
      }
    }
    if (spec.align == '<') spec.fill = " ";
    GEMMA_ASSIGN_OR_RETURN(spec.width, ReadNumber(text, at, kMaxWidth));
    if (at < text.size() && text[at] == '.') {
      ++at;
      GEMMA_ASSIGN_OR_RETURN(spec.precision,
                             ReadNumber(text, at, kMaxPrecision));
    }
    if (at == text.size()) {
      return absl::InvalidArgumentError("a format ends after '%'");
    }
    spec.type = text[at++];
    if (!has_value) {
      if (used == count) {
        return absl::InvalidArgumentError("a format has too few arguments");
      }
      value = is_tuple ? arguments.items()[used] : arguments;
      ++used;
    }
    GEMMA_RETURN_IF_ERROR(AppendPercent(value, spec, meter, out));
  }
  // A dict or a list may stay unused.
  const bool may_be_unused =
      named || arguments.is_dict() || (arguments.is_sequence() && !is_tuple);
  if (used < count && !may_be_unused) {
    return absl::InvalidArgumentError("a format has too many arguments");
  }
  return MakeString(std::move(out), meter);
}

absl::StatusOr<JinjaValue> FormatBraces(const MarkedText& format,
                                        const CallArguments& arguments,
                                        Meter& meter) {
  const std::string_view text = format.text();
  size_t next = 0;
  bool numbered = false;
  MarkedText out;
  for (size_t at = 0; at < text.size();) {
    const size_t brace = std::min(text.find_first_of("{}", at), text.size());
    GEMMA_RETURN_IF_ERROR(meter.Allocate(brace - at));
    out.Append(format, at, brace);
    if (brace == text.size()) break;
    at = brace + 1;
    if (at < text.size() && text[at] == text[brace]) {
      out.Append(format, at, at + 1);
      ++at;
      continue;
    }
    const size_t close = text.find('}', at);
    if (text[brace] == '}' || close == std::string_view::npos) {
      return absl::InvalidArgumentError("a format has a single brace");
    }
    const std::string_view field = text.substr(at, close - at);
    at = close + 1;
    const size_t colon = std::min(field.find(':'), field.size());
    const std::string_view name = field.substr(0, colon);
    const std::string_view spec =
        colon < field.size() ? field.substr(colon + 1) : "";
    if (field.find_first_of("{[!") != std::string_view::npos ||
        name.find('.') != std::string_view::npos) {
      return NotSupported(absl::StrCat("{", field, "}"));
    }
    const JinjaValue* value = nullptr;
    if (name.empty() || absl::ascii_isdigit(name[0])) {
      size_t index = next;
      if (!name.empty()) {
        size_t end = 0;
        GEMMA_ASSIGN_OR_RETURN(index, ReadNumber(name, end, kMaxWidth));
        if (end != name.size()) return NotSupported(name);
        numbered = true;
      } else {
        ++next;
      }
      if (numbered && next > 0) {
        return absl::InvalidArgumentError(
            "a format has fields with and without numbers");
      }
      if (index < arguments.positional.size()) {
        value = &arguments.positional[index];
      }
    } else {
      for (const auto& [argument, candidate] : arguments.named) {
        if (argument == name) value = &candidate;
      }
    }
    if (value == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("a format needs an argument ", Quoted(name)));
    }
    GEMMA_RETURN_IF_ERROR(AppendBraces(*value, spec, meter, out));
  }
  return MakeString(std::move(out), meter);
}

}  // namespace gemma::internal

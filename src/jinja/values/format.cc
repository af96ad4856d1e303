#include "src/jinja/values/format.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/values/format_field.h"
#include "src/jinja/values/operations.h"
#include "src/jinja/values/text_of.h"

namespace gemma::internal {
namespace {

// Writes a value as "%" does, by spec.type.
absl::Status AppendPercent(const JinjaValue& value, FieldFormat spec,
                           Meter& meter, MarkedText& out) {
  switch (spec.type) {
    case 's':
    case 'r': {
      MarkedText text;
      GEMMA_RETURN_IF_ERROR(spec.type == 's' ? AppendStr(value, meter, text)
                                             : AppendRepr(value, meter, text));
      if (spec.align == '=') spec.align = '>';
      spec.fill = " ";
      return AppendTextField(text, spec, '>', meter, out);
    }
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o': {
      if (spec.precision.has_value()) return FormatNotSupported("%.d");
      if (value.is_undefined()) return UndefinedError(value);
      const bool decimal =
          spec.type != 'x' && spec.type != 'X' && spec.type != 'o';
      if (!value.is_number() || (value.is_double() && !decimal)) break;
      if (decimal) spec.type = 'd';
      if (!value.is_double()) return AppendNumberField(value, spec, meter, out);
      if (!(std::abs(value.real()) < 9e18)) {
        return absl::UnimplementedError("an integer does not fit into 64 bits");
      }
      return AppendNumberField(
          JinjaValue::Int(static_cast<int64_t>(value.real()), value.origin()),
          spec, meter, out);
    }
    case 'f':
    case 'F':
      if (value.is_undefined()) return UndefinedError(value);
      if (!value.is_number()) break;
      return AppendNumberField(value, spec, meter, out);
    default:
      return FormatNotSupported(
          absl::StrCat("%", std::string_view(&spec.type, 1)));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'%", std::string_view(&spec.type, 1), "' formats a '",
                   value.TypeName(), "', wanted a number"));
}

// Writes a value as "{:text}" does.
absl::Status AppendBraces(const JinjaValue& value, std::string_view text,
                          Meter& meter, MarkedText& out) {
  if (text.empty()) return AppendStr(value, meter, out);
  GEMMA_ASSIGN_OR_RETURN(FieldFormat spec, ReadFieldFormat(text));
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
    return AppendTextField(value.marked(), spec, '<', meter, out);
  }
  if (!value.is_int() && !value.is_double()) {
    if (value.is_bool()) return FormatNotSupported(text);
    return refused();
  }
  if (spec.type == 's') return refused();
  if (spec.type == '\0') {
    if (spec.precision.has_value()) return FormatNotSupported(text);
    if (value.is_int()) spec.type = 'd';
  } else if (std::string_view("dxXob").find(spec.type) !=
             std::string_view::npos) {
    if (value.is_double() || spec.precision.has_value()) return refused();
    if (spec.comma && spec.type != 'd') return refused();
  }
  if (value.is_double() && !std::isfinite(value.real())) {
    return FormatNotSupported(text);
  }
  if (spec.comma && spec.align == '=' && spec.fill == "0") {
    return FormatNotSupported(text);  // Python puts commas between these zeros
  }
  return AppendNumberField(value, spec, meter, out);
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
    FieldFormat spec;
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
    GEMMA_ASSIGN_OR_RETURN(spec.width,
                           ReadFormatNumber(text, at, kMaxFieldWidth));
    if (at < text.size() && text[at] == '.') {
      ++at;
      GEMMA_ASSIGN_OR_RETURN(spec.precision,
                             ReadFormatNumber(text, at, kMaxPrecision));
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
      return FormatNotSupported(absl::StrCat("{", field, "}"));
    }
    const JinjaValue* value = nullptr;
    if (name.empty() || absl::ascii_isdigit(name[0])) {
      size_t index = next;
      if (!name.empty()) {
        size_t end = 0;
        GEMMA_ASSIGN_OR_RETURN(index,
                               ReadFormatNumber(name, end, kMaxFieldWidth));
        if (end != name.size()) return FormatNotSupported(name);
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

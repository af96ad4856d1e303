#include "src/jinja/values/text_of.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/jinja/values/characters.h"
#include "src/jinja/values/object.h"

namespace gemma::internal {
namespace {

using Kind = JinjaValue::Kind;
using SequenceType = JinjaValue::SequenceType;

// Brackets, commas and quotes of a list that a message may have brought.
constexpr TextOrigin kMessage = TextOrigin::kMessage;

absl::Status AppendReprOfText(const MarkedText& marked, Meter& meter,
                              MarkedText& out) {
  const std::string_view text = marked.text();
  GEMMA_RETURN_IF_ERROR(meter.Allocate(text.size() + 2));
  const bool has_single = absl::StrContains(text, "'");
  const char quote = has_single && !absl::StrContains(text, "\"") ? '"' : '\'';
  out.Append(std::string_view(&quote, 1), kMessage);
  size_t copied = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = CharacterEnd(text, at);
    const uint32_t c = CodePoint(text.substr(at, end - at));
    std::string escape;
    if (c == static_cast<uint32_t>(quote) || c == '\\') {
      escape = {'\\', static_cast<char>(c)};
    } else if (c == '\n') {
      escape = "\\n";
    } else if (c == '\r') {
      escape = "\\r";
    } else if (c == '\t') {
      escape = "\\t";
    } else if (!IsPrintableCharacter(c)) {
      escape = c < 0x100     ? FormatText("\\x%02x", c)
               : c < 0x10000 ? FormatText("\\u%04x", c)
                             : FormatText("\\U%08x", c);
    }
    if (!escape.empty()) {
      out.Append(marked, copied, at);
      out.Append(escape, marked.OriginAt(at));
      copied = end;
    }
    at = end;
  }
  out.Append(marked, copied, text.size());
  out.Append(std::string_view(&quote, 1), kMessage);
  return absl::OkStatus();
}

absl::Status AppendReprOfSequence(const JinjaValue& value, Meter& meter,
                                  MarkedText& out) {
  std::string_view open = "[", close = "]";
  switch (value.sequence_type()) {
    case SequenceType::kList:
      break;
    case SequenceType::kTuple:
    case SequenceType::kGroup:
      open = "(";
      close = value.items().size() == 1 ? ",)" : ")";
      break;
    case SequenceType::kKeys:
    case SequenceType::kItems:
    case SequenceType::kValues:
      out.Append(absl::StrCat(value.TypeName(), "("), kMessage);
      close = "])";
      break;
    case SequenceType::kRange:
    case SequenceType::kGenerator:
      return absl::UnimplementedError(
          absl::StrCat("the template prints a '", value.TypeName(),
                       "', wanted a list ('|list')"));
  }
  out.Append(open, kMessage);
  bool first = true;
  for (const JinjaValue& item : value.items()) {
    if (!first) out.Append(", ", kMessage);
    first = false;
    GEMMA_RETURN_IF_ERROR(AppendRepr(item, meter, out));
  }
  out.Append(close, kMessage);
  return absl::OkStatus();
}

absl::Status AppendReprOfDict(const JinjaValue& value, Meter& meter,
                              MarkedText& out) {
  out.Append("{", kMessage);
  bool first = true;
  for (const JinjaValue::Entry& entry : value.entries()) {
    if (!first) out.Append(", ", kMessage);
    first = false;
    GEMMA_RETURN_IF_ERROR(AppendRepr(entry.key, meter, out));
    out.Append(": ", kMessage);
    GEMMA_RETURN_IF_ERROR(AppendRepr(entry.value, meter, out));
  }
  out.Append("}", kMessage);
  return absl::OkStatus();
}

}  // namespace

std::string DoubleText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value,
                                 std::chars_format::scientific)
                       .ptr;
  // [-]d.ddde[+-]xx: the exponent chooses the form, as in Python.
  const std::string_view scientific(buffer, end - buffer);
  const size_t e = scientific.find('e');
  const int exponent = std::atoi(std::string(scientific.substr(e + 1)).c_str());
  if (exponent < -4 || exponent >= 16) return std::string(scientific);
  char fixed[64];
  const auto fixed_end = std::to_chars(fixed, fixed + sizeof(fixed), value,
                                       std::chars_format::fixed)
                             .ptr;
  std::string text(fixed, fixed_end - fixed);
  if (!absl::StrContains(text, ".")) text += ".0";
  return text;
}

absl::Status AppendRepr(const JinjaValue& value, Meter& meter,
                        MarkedText& text) {
  GEMMA_RETURN_IF_ERROR(meter.Allocate(8));
  switch (value.kind()) {
    case Kind::kString:
      if (value.is_markup()) {
        return absl::UnimplementedError(
            "the template prints a list that contains text of 'safe' or "
            "'escape'");
      }
      return AppendReprOfText(value.marked(), meter, text);
    case Kind::kSequence:
      return AppendReprOfSequence(value, meter, text);
    case Kind::kDict:
      return AppendReprOfDict(value, meter, text);
    case Kind::kUndefined:
      text.Append("Undefined", value.origin());
      return absl::OkStatus();
    default:
      return AppendStr(value, meter, text);
  }
}

absl::Status AppendStr(const JinjaValue& value, Meter& meter,
                       MarkedText& text) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return absl::OkStatus();
    case Kind::kNone:
      text.Append("None", value.origin());
      return absl::OkStatus();
    case Kind::kBool:
      text.Append(value.boolean() ? "True" : "False", value.origin());
      return absl::OkStatus();
    case Kind::kInt:
      text.Append(absl::StrCat(value.integer()), value.origin());
      return absl::OkStatus();
    case Kind::kDouble:
      text.Append(DoubleText(value.real()), value.origin());
      return absl::OkStatus();
    case Kind::kLargeInt:
    case Kind::kString:
      GEMMA_RETURN_IF_ERROR(meter.Allocate(value.text().size()));
      text.Append(value.marked());
      return absl::OkStatus();
    case Kind::kSequence:
    case Kind::kDict:
      return AppendRepr(value, meter, text);
    case Kind::kObject:
      return absl::UnimplementedError(
          absl::StrCat("the template prints a '", value.TypeName(), "'"));
  }
  return absl::OkStatus();
}

absl::StatusOr<MarkedText> StrOf(const JinjaValue& value, Meter& meter) {
  MarkedText text;
  GEMMA_RETURN_IF_ERROR(AppendStr(value, meter, text));
  return text;
}

}  // namespace gemma::internal

#include "src/jinja/values/to_json.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/json_escape.h"
#include "src/base/status_macros.h"
#include "src/jinja/values/characters.h"
#include "src/jinja/values/object.h"
#include "src/jinja/values/operations.h"
#include "src/jinja/values/text_of.h"

namespace gemma::internal {
namespace {

using Kind = JinjaValue::Kind;
using SequenceType = JinjaValue::SequenceType;

constexpr TextOrigin kJsonOrigin = TextOrigin::kMessage;

// Returns the escape of a character, or nothing if it is written as it is.
std::string EscapeOf(uint32_t c, bool ensure_ascii) {
  if (c < 0x7F || !ensure_ascii) return JsonEscape(c);
  if (c < 0x10000) return FormatText("\\u%04x", c);
  return FormatText("\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
                    0xDC00 + ((c - 0x10000) & 0x3FF));
}

class Writer {
 public:
  Writer(const JsonStyle& style, Meter& meter, MarkedText& out)
      : style_(style), meter_(meter), out_(out) {}

  absl::Status Value(const JinjaValue& value, size_t level) {
    GEMMA_RETURN_IF_ERROR(meter_.Allocate(8));
    switch (value.kind()) {
      case Kind::kNone:
        out_.Append("null", value.origin());
        return absl::OkStatus();
      case Kind::kBool:
        out_.Append(value.boolean() ? "true" : "false", value.origin());
        return absl::OkStatus();
      case Kind::kInt:
      case Kind::kDouble:
        out_.Append(NumberText(value), value.origin());
        return absl::OkStatus();
      case Kind::kLargeInt:
        GEMMA_RETURN_IF_ERROR(meter_.Allocate(value.text().size()));
        out_.Append(value.digits());
        return absl::OkStatus();
      case Kind::kString:
        return Text(value.marked());
      case Kind::kDict:
        return Dict(value, level);
      case Kind::kSequence:
        if (value.is_indexable() && !value.is_sequence(SequenceType::kRange)) {
          return List(value, level);
        }
        break;
      default:
        break;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("a '", value.TypeName(), "' cannot be written as JSON"));
  }

 private:
  static std::string NumberText(const JinjaValue& value) {
    if (!value.is_double()) return absl::StrCat(value.integer());
    if (std::isnan(value.real())) return "NaN";
    if (std::isinf(value.real())) {
      return value.real() < 0 ? "-Infinity" : "Infinity";
    }
    return DoubleText(value.real());
  }

  absl::Status Text(const MarkedText& marked) {
    const std::string_view text = marked.text();
    GEMMA_RETURN_IF_ERROR(meter_.Allocate(text.size()));
    out_.Append("\"", kJsonOrigin);
    size_t copied = 0;
    for (size_t at = 0; at < text.size();) {
      const size_t end = CharacterEnd(text, at);
      const uint32_t c = CodePoint(text.substr(at, end - at));
      const std::string escape = EscapeOf(c, style_.ensure_ascii);
      if (!escape.empty()) {
        GEMMA_RETURN_IF_ERROR(meter_.Allocate(escape.size()));
        out_.Append(marked, copied, at);
        out_.Append(escape, marked.OriginAt(at));
        copied = end;
      }
      at = end;
    }
    out_.Append(marked, copied, text.size());
    out_.Append("\"", kJsonOrigin);
    return absl::OkStatus();
  }

  absl::Status NewLine(size_t level) {
    if (!style_.has_indent) return absl::OkStatus();
    GEMMA_RETURN_IF_ERROR(meter_.Allocate(1 + level * style_.indent.size()));
    out_.Append("\n", kJsonOrigin);
    for (size_t i = 0; i < level; ++i) out_.Append(style_.indent);
    return absl::OkStatus();
  }

  absl::Status Separator(bool first, size_t level) {
    if (!first) {
      GEMMA_RETURN_IF_ERROR(meter_.Allocate(style_.item_separator.size()));
      out_.Append(style_.item_separator);
    }
    return NewLine(level);
  }

  absl::Status List(const JinjaValue& value, size_t level) {
    if (value.items().empty()) {
      out_.Append("[]", kJsonOrigin);
      return absl::OkStatus();
    }
    out_.Append("[", kJsonOrigin);
    bool first = true;
    for (const JinjaValue& item : value.items()) {
      GEMMA_RETURN_IF_ERROR(Separator(first, level + 1));
      first = false;
      GEMMA_RETURN_IF_ERROR(Value(item, level + 1));
    }
    GEMMA_RETURN_IF_ERROR(NewLine(level));
    out_.Append("]", kJsonOrigin);
    return absl::OkStatus();
  }

  absl::Status Key(const JinjaValue& key) {
    if (key.is_string()) return Text(key.marked());
    out_.Append("\"", kJsonOrigin);
    GEMMA_RETURN_IF_ERROR(Value(key, 0));
    out_.Append("\"", kJsonOrigin);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<JinjaValue::Entry>> Sorted(
      const JinjaValue& value) {
    std::vector<JinjaValue::Entry> entries = value.entries();
    GEMMA_RETURN_IF_ERROR(meter_.AllocateValues(2 * entries.size()));
    GEMMA_RETURN_IF_ERROR(meter_.Spend(16 * entries.size()));
    const bool strings = std::all_of(
        entries.begin(), entries.end(),
        [](const JinjaValue::Entry& entry) { return entry.key.is_string(); });
    const bool numbers = std::all_of(
        entries.begin(), entries.end(),
        [](const JinjaValue::Entry& entry) { return entry.key.is_number(); });
    if (!strings && !numbers) {
      return absl::InvalidArgumentError(
          "tojson() cannot sort keys of different types");
    }
    std::stable_sort(
        entries.begin(), entries.end(),
        [&](const JinjaValue::Entry& a, const JinjaValue::Entry& b) {
          return strings ? a.key.text() < b.key.text()
                         : a.key.AsDouble() < b.key.AsDouble();
        });
    return entries;
  }

  absl::Status Dict(const JinjaValue& value, size_t level) {
    if (value.entries().empty()) {
      out_.Append("{}", kJsonOrigin);
      return absl::OkStatus();
    }
    if (style_.sort_keys) {
      GEMMA_ASSIGN_OR_RETURN(const std::vector<JinjaValue::Entry> entries,
                             Sorted(value));
      return Entries(entries, level);
    }
    return Entries(value.entries(), level);
  }

  absl::Status Entries(const std::vector<JinjaValue::Entry>& entries,
                       size_t level) {
    out_.Append("{", kJsonOrigin);
    bool first = true;
    for (const JinjaValue::Entry& entry : entries) {
      GEMMA_RETURN_IF_ERROR(Separator(first, level + 1));
      first = false;
      GEMMA_RETURN_IF_ERROR(Key(entry.key));
      GEMMA_RETURN_IF_ERROR(meter_.Allocate(style_.key_separator.size()));
      out_.Append(style_.key_separator);
      GEMMA_RETURN_IF_ERROR(Value(entry.value, level + 1));
    }
    GEMMA_RETURN_IF_ERROR(NewLine(level));
    out_.Append("}", kJsonOrigin);
    return absl::OkStatus();
  }

  const JsonStyle& style_;
  Meter& meter_;
  MarkedText& out_;
};

}  // namespace

absl::Status AppendJson(const JinjaValue& value, const JsonStyle& style,
                        Meter& meter, MarkedText& text) {
  return Writer(style, meter, text).Value(value, 0);
}

}  // namespace gemma::internal

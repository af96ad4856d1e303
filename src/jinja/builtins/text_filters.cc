// Filters that return text.

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "src/jinja/builtins/builtins.h"
#include "src/jinja/run/interpreter.h"
#include "src/jinja/values/characters.h"
#include "src/jinja/values/format.h"
#include "src/jinja/values/operations.h"
#include "src/jinja/values/text_functions.h"
#include "src/jinja/values/text_of.h"
#include "src/jinja/values/to_json.h"

namespace gemma::internal {
namespace {

using ValueOr = absl::StatusOr<JinjaValue>;

// Returns text that is markup if the subject is.
ValueOr Like(const JinjaValue& subject, MarkedText text, Meter& meter) {
  if (subject.is_markup()) return JinjaValue::Markup(std::move(text));
  return MakeString(std::move(text), meter);
}

ValueOr Trim(Interpreter& interpreter, const JinjaValue& subject,
             CallArguments& arguments) {
  JinjaValue characters = JinjaValue::None();
  GEMMA_RETURN_IF_ERROR(arguments.Bind("trim", {"chars"}, 0, {&characters, 1}));
  Meter& meter = interpreter.meter();
  std::optional<std::string_view> set;
  if (!characters.is_none()) {
    GEMMA_ASSIGN_OR_RETURN(const MarkedText* text,
                           StringOf("trim()", characters));
    set = text->text();
  }
  if (subject.is_string()) {
    GEMMA_ASSIGN_OR_RETURN(MarkedText trimmed,
                           Strip(subject.marked(), set, Side::kBoth, meter));
    return Like(subject, std::move(trimmed), meter);
  }
  GEMMA_ASSIGN_OR_RETURN(const MarkedText text, StrOf(subject, meter));
  GEMMA_ASSIGN_OR_RETURN(MarkedText trimmed,
                         Strip(text, set, Side::kBoth, meter));
  return MakeString(std::move(trimmed), meter);
}

template <CaseChange kChange>
ValueOr CaseFilter(Interpreter& interpreter, const JinjaValue& subject,
                   CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("upper"));
  Meter& meter = interpreter.meter();
  GEMMA_ASSIGN_OR_RETURN(const MarkedText text, StrOf(subject, meter));
  GEMMA_ASSIGN_OR_RETURN(MarkedText changed, ChangeCase(text, kChange, meter));
  return Like(subject, std::move(changed), meter);
}

ValueOr ReplaceFilter(Interpreter& interpreter, const JinjaValue& subject,
                      CallArguments& arguments) {
  JinjaValue values[3] = {{}, {}, JinjaValue::None()};
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("replace", {"old", "new", "count"}, 2, values));
  Meter& meter = interpreter.meter();
  int64_t count = -1;
  if (!values[2].is_none()) {
    GEMMA_ASSIGN_OR_RETURN(count, IntegerOf("replace()", values[2]));
  }
  GEMMA_ASSIGN_OR_RETURN(const MarkedText text, StrOf(subject, meter));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText old, StrOf(values[0], meter));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText replacement, StrOf(values[1], meter));
  GEMMA_ASSIGN_OR_RETURN(MarkedText replaced,
                         Replace(text, old.text(), replacement, count, meter));
  return MakeString(std::move(replaced), meter);
}

ValueOr String(Interpreter& interpreter, const JinjaValue& subject,
               CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("string"));
  if (subject.is_string()) return subject;
  GEMMA_ASSIGN_OR_RETURN(MarkedText text, StrOf(subject, interpreter.meter()));
  return MakeString(std::move(text), interpreter.meter());
}

ValueOr Safe(Interpreter& interpreter, const JinjaValue& subject,
             CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("safe"));
  GEMMA_ASSIGN_OR_RETURN(MarkedText text, StrOf(subject, interpreter.meter()));
  return JinjaValue::Markup(std::move(text));
}

ValueOr EscapeFilter(Interpreter& interpreter, const JinjaValue& subject,
                     CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("escape"));
  if (subject.is_markup()) return subject;
  Meter& meter = interpreter.meter();
  GEMMA_ASSIGN_OR_RETURN(const MarkedText text, StrOf(subject, meter));
  GEMMA_RETURN_IF_ERROR(meter.Allocate(5 * text.size()));
  return JinjaValue::Markup(Escaped(text));
}

ValueOr Indent(Interpreter& interpreter, const JinjaValue& subject,
               CallArguments& arguments) {
  JinjaValue values[3] = {JinjaValue::Int(4), JinjaValue::Bool(false),
                          JinjaValue::Bool(false)};
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("indent", {"width", "first", "blank"}, 0, values));
  Meter& meter = interpreter.meter();
  MarkedText indent;
  if (values[0].is_string()) {
    indent = values[0].marked();
  } else {
    GEMMA_ASSIGN_OR_RETURN(const int64_t width,
                           IntegerOf("indent()", values[0]));
    GEMMA_ASSIGN_OR_RETURN(
        const JinjaValue spaces,
        Calculate(Operator::kMultiply,
                  JinjaValue::String(" ", TextOrigin::kMessage),
                  JinjaValue::Int(width), meter));
    indent = spaces.marked();
  }
  GEMMA_ASSIGN_OR_RETURN(const MarkedText* input,
                         StringOf("indent()", subject));
  MarkedText text = *input;
  const TextOrigin last_origin =
      text.empty() ? TextOrigin::kMessage : text.OriginAt(text.size() - 1);
  text.Append("\n", last_origin);
  GEMMA_ASSIGN_OR_RETURN(const std::vector<MarkedText> lines,
                         SplitLines(text, /*keep_ends=*/false, meter));
  MarkedText result;
  if (IsTrue(values[1])) result.Append(indent);
  for (size_t i = 0; i < lines.size(); ++i) {
    GEMMA_RETURN_IF_ERROR(meter.Allocate(indent.size() + lines[i].size() + 1));
    if (i > 0) {
      result.Append("\n", TextOrigin::kMessage);
      if (!lines[i].empty() || IsTrue(values[2])) result.Append(indent);
    }
    result.Append(lines[i]);
  }
  return Like(subject, std::move(result), meter);
}

ValueOr Center(Interpreter& interpreter, const JinjaValue& subject,
               CallArguments& arguments) {
  JinjaValue width = JinjaValue::Int(80);
  GEMMA_RETURN_IF_ERROR(arguments.Bind("center", {"width"}, 0, {&width, 1}));
  GEMMA_ASSIGN_OR_RETURN(MarkedText text, StrOf(subject, interpreter.meter()));
  CallArguments centered{{width}, {}};
  return FindIn(StringMethods(), "center")
      ->function(interpreter, JinjaValue::String(std::move(text)), centered);
}

ValueOr FormatFilter(Interpreter& interpreter, const JinjaValue& subject,
                     CallArguments& arguments) {
  Meter& meter = interpreter.meter();
  if (!arguments.named.empty() && !arguments.positional.empty()) {
    return absl::InvalidArgumentError(
        "format() has arguments with and without names");
  }
  if (subject.is_markup()) {
    return absl::UnimplementedError(
        "format() of text of 'safe' or 'escape' is not supported");
  }
  GEMMA_ASSIGN_OR_RETURN(const MarkedText format, StrOf(subject, meter));
  JinjaValue values;
  if (arguments.named.empty()) {
    GEMMA_ASSIGN_OR_RETURN(values,
                           MakeSequence(JinjaValue::SequenceType::kTuple,
                                        arguments.positional, meter));
  } else {
    std::vector<JinjaValue::Entry> entries;
    for (const auto& [name, value] : arguments.named) {
      entries.push_back(
          {JinjaValue::String(name, TextOrigin::kTemplate), value});
    }
    GEMMA_ASSIGN_OR_RETURN(values, MakeDict(std::move(entries), meter));
  }
  return FormatPercent(format, values, meter);
}

ValueOr JoinFilter(Interpreter& interpreter, const JinjaValue& subject,
                   CallArguments& arguments) {
  JinjaValue values[2] = {JinjaValue::String(MarkedText()), JinjaValue::None()};
  GEMMA_RETURN_IF_ERROR(arguments.Bind("join", {"d", "attribute"}, 0, values));
  Meter& meter = interpreter.meter();
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items, ItemsOf(subject, meter));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText separator, StrOf(values[0], meter));
  MarkedText text;
  bool first = true;
  for (const JinjaValue& item : items.items()) {
    if (!first) {
      GEMMA_RETURN_IF_ERROR(meter.Allocate(separator.size()));
      text.Append(separator);
    }
    first = false;
    if (values[1].is_none()) {
      GEMMA_RETURN_IF_ERROR(AppendStr(item, meter, text));
    } else {
      GEMMA_ASSIGN_OR_RETURN(const JinjaValue value,
                             AttributePath(interpreter, item, values[1]));
      GEMMA_RETURN_IF_ERROR(AppendStr(value, meter, text));
    }
  }
  return MakeString(std::move(text), meter);
}

ValueOr WordCount(Interpreter& interpreter, const JinjaValue& subject,
                  CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("wordcount"));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText text,
                         StrOf(subject, interpreter.meter()));
  int64_t count = 0;
  bool in_word = false;
  for (const char c : text.text()) {
    if (static_cast<unsigned char>(c) >= 0x80) {
      return absl::UnimplementedError(
          "wordcount() of characters beyond ASCII is not supported");
    }
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '_';
    count += is_letter && !in_word;
    in_word = is_letter;
  }
  return JinjaValue::Int(count);
}

ValueOr ToJson(Interpreter& interpreter, const JinjaValue& subject,
               CallArguments& arguments) {
  JinjaValue values[4] = {JinjaValue::Bool(false), JinjaValue::None(),
                          JinjaValue::None(), JinjaValue::Bool(false)};
  GEMMA_RETURN_IF_ERROR(arguments.Bind(
      "tojson", {"ensure_ascii", "indent", "separators", "sort_keys"}, 0,
      values));
  Meter& meter = interpreter.meter();
  JsonStyle style;
  style.ensure_ascii = IsTrue(values[0]);
  style.sort_keys = IsTrue(values[3]);
  if (!values[1].is_none()) {
    style.has_indent = true;
    style.item_separator = MarkedText(",", TextOrigin::kMessage);
    JinjaValue indent = values[1];
    if (!indent.is_string()) {
      GEMMA_ASSIGN_OR_RETURN(const int64_t width,
                             IntegerOf("tojson()", indent));
      GEMMA_ASSIGN_OR_RETURN(
          indent, Calculate(Operator::kMultiply,
                            JinjaValue::String(" ", TextOrigin::kMessage),
                            JinjaValue::Int(width), meter));
    }
    style.indent = indent.marked();
  }
  if (!values[2].is_none()) {
    GEMMA_ASSIGN_OR_RETURN(const JinjaValue separators,
                           ItemsOf(values[2], meter));
    if (separators.items().size() != 2) {
      return absl::InvalidArgumentError("tojson() wants two separators");
    }
    GEMMA_ASSIGN_OR_RETURN(const MarkedText* item,
                           StringOf("tojson()", separators.items()[0]));
    GEMMA_ASSIGN_OR_RETURN(const MarkedText* key,
                           StringOf("tojson()", separators.items()[1]));
    style.item_separator = *item;
    style.key_separator = *key;
  }
  MarkedText text;
  GEMMA_RETURN_IF_ERROR(AppendJson(subject, style, meter, text));
  return MakeString(std::move(text), meter);
}

constexpr Builtin kTextFilters[] = {
    {"capitalize", CaseFilter<CaseChange::kCapitalize>},
    {"center", Center},
    {"e", EscapeFilter},
    {"escape", EscapeFilter},
    {"format", FormatFilter},
    {"indent", Indent},
    {"join", JoinFilter},
    {"lower", CaseFilter<CaseChange::kLower>},
    {"replace", ReplaceFilter},
    {"safe", Safe},
    {"string", String},
    {"title", CaseFilter<CaseChange::kTitleFilter>},
    {"tojson", ToJson},
    {"trim", Trim},
    {"upper", CaseFilter<CaseChange::kUpper>},
    {"wordcount", WordCount},
};

}  // namespace

absl::Span<const Builtin> TextFilters() { return kTextFilters; }

}  // namespace gemma::internal

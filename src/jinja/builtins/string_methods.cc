// Methods of strings that return text.

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

namespace gemma::internal {
namespace {

using ValueOr = absl::StatusOr<JinjaValue>;
using SequenceType = JinjaValue::SequenceType;

template <Side kSide>
ValueOr StripSide(Interpreter& interpreter, const JinjaValue& subject,
                  CallArguments& arguments) {
  JinjaValue characters = JinjaValue::None();
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("strip", {"chars"}, 0, {&characters, 1}));
  std::optional<std::string_view> set;
  if (!characters.is_none()) {
    GEMMA_ASSIGN_OR_RETURN(const MarkedText* text,
                           StringOf("strip()", characters));
    set = text->text();
  }
  GEMMA_ASSIGN_OR_RETURN(MarkedText text, Strip(subject.marked(), set, kSide,
                                                interpreter.meter()));
  return MakeString(std::move(text), interpreter.meter());
}

template <CaseChange kChange>
ValueOr Case(Interpreter& interpreter, const JinjaValue& subject,
             CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("upper"));
  GEMMA_ASSIGN_OR_RETURN(MarkedText text, ChangeCase(subject.marked(), kChange,
                                                     interpreter.meter()));
  return MakeString(std::move(text), interpreter.meter());
}

// Makes a list of strings.
ValueOr ListOf(std::vector<MarkedText> parts, Meter& meter) {
  std::vector<JinjaValue> items;
  items.reserve(parts.size());
  for (MarkedText& part : parts) {
    GEMMA_ASSIGN_OR_RETURN(JinjaValue item, MakeString(std::move(part), meter));
    items.push_back(std::move(item));
  }
  return MakeSequence(SequenceType::kList, std::move(items), meter);
}

template <Side kSide>
ValueOr SplitSide(Interpreter& interpreter, const JinjaValue& subject,
                  CallArguments& arguments) {
  JinjaValue values[2] = {JinjaValue::None(), JinjaValue::Int(-1)};
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("split", {"sep", "maxsplit"}, 0, values));
  std::optional<std::string_view> separator;
  if (!values[0].is_none()) {
    GEMMA_ASSIGN_OR_RETURN(const MarkedText* text,
                           StringOf("split()", values[0]));
    separator = text->text();
  }
  GEMMA_ASSIGN_OR_RETURN(const int64_t count, IntegerOf("split()", values[1]));
  GEMMA_ASSIGN_OR_RETURN(
      std::vector<MarkedText> parts,
      Split(subject.marked(), separator, count, kSide, interpreter.meter()));
  return ListOf(std::move(parts), interpreter.meter());
}

ValueOr Lines(Interpreter& interpreter, const JinjaValue& subject,
              CallArguments& arguments) {
  JinjaValue keep = JinjaValue::Bool(false);
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("splitlines", {"keepends"}, 0, {&keep, 1}));
  GEMMA_ASSIGN_OR_RETURN(
      std::vector<MarkedText> lines,
      SplitLines(subject.marked(), IsTrue(keep), interpreter.meter()));
  return ListOf(std::move(lines), interpreter.meter());
}

// partition() and, from the right, rpartition().
ValueOr PartitionSide(Interpreter& interpreter, const JinjaValue& subject,
                      CallArguments& arguments, Side side) {
  JinjaValue value;
  GEMMA_RETURN_IF_ERROR(arguments.Bind("partition", {"sep"}, 1, {&value, 1}));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText* separator,
                         StringOf("partition()", value));
  GEMMA_ASSIGN_OR_RETURN(
      std::vector<MarkedText> parts,
      Split(subject.marked(), separator->text(), 1, side, interpreter.meter()));
  if (parts.size() == 2) {
    // The separator that was found, not the argument.
    const size_t begin = parts[0].size();
    parts.insert(parts.begin() + 1,
                 subject.marked().Substring(begin, begin + separator->size()));
  } else {
    parts.resize(3);
    if (side == Side::kRight) std::swap(parts[0], parts[2]);
  }
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue list,
                         ListOf(std::move(parts), interpreter.meter()));
  return MakeSequence(SequenceType::kTuple, list.items(), interpreter.meter());
}

ValueOr PartitionLeft(Interpreter& interpreter, const JinjaValue& subject,
                      CallArguments& arguments) {
  return PartitionSide(interpreter, subject, arguments, Side::kLeft);
}
ValueOr PartitionRight(Interpreter& interpreter, const JinjaValue& subject,
                       CallArguments& arguments) {
  return PartitionSide(interpreter, subject, arguments, Side::kRight);
}

ValueOr ReplaceMethod(Interpreter& interpreter, const JinjaValue& subject,
                      CallArguments& arguments) {
  JinjaValue values[3] = {{}, {}, JinjaValue::Int(-1)};
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("replace", {"old", "new", "count"}, 2, values));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText* old,
                         StringOf("replace()", values[0]));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText* replacement,
                         StringOf("replace()", values[1]));
  GEMMA_ASSIGN_OR_RETURN(const int64_t count,
                         IntegerOf("replace()", values[2]));
  GEMMA_ASSIGN_OR_RETURN(MarkedText text,
                         Replace(subject.marked(), old->text(), *replacement,
                                 count, interpreter.meter()));
  return MakeString(std::move(text), interpreter.meter());
}

ValueOr Join(Interpreter& interpreter, const JinjaValue& subject,
             CallArguments& arguments) {
  JinjaValue value;
  GEMMA_RETURN_IF_ERROR(arguments.Bind("join", {"iterable"}, 1, {&value, 1}));
  Meter& meter = interpreter.meter();
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items, ItemsOf(value, meter));
  MarkedText text;
  bool first = true;
  for (const JinjaValue& item : items.items()) {
    GEMMA_ASSIGN_OR_RETURN(const MarkedText* part, StringOf("join()", item));
    GEMMA_RETURN_IF_ERROR(meter.Allocate(part->size() + subject.text().size()));
    if (!first) text.Append(subject.marked());
    first = false;
    text.Append(*part);
  }
  return MakeString(std::move(text), meter);
}

ValueOr Format(Interpreter& interpreter, const JinjaValue& subject,
               CallArguments& arguments) {
  return FormatBraces(subject.marked(), arguments, interpreter.meter());
}

template <bool kPrefix>
ValueOr RemoveAffix(Interpreter& interpreter, const JinjaValue& subject,
                    CallArguments& arguments) {
  JinjaValue value;
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("removeprefix", {"affix"}, 1, {&value, 1}));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText* affix,
                         StringOf("removeprefix()", value));
  const std::string_view text = subject.text();
  if (kPrefix ? !text.starts_with(affix->text())
              : !text.ends_with(affix->text())) {
    return subject;
  }
  return MakeString(
      kPrefix ? subject.marked().Substring(affix->size(), text.size())
              : subject.marked().Substring(0, text.size() - affix->size()),
      interpreter.meter());
}

// ljust, rjust and center: fills up to a width.
template <Side kText>
ValueOr Justify(Interpreter& interpreter, const JinjaValue& subject,
                CallArguments& arguments) {
  JinjaValue values[2] = {{}, JinjaValue::String(" ", TextOrigin::kTemplate)};
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("ljust", {"width", "fillchar"}, 1, values));
  Meter& meter = interpreter.meter();
  GEMMA_ASSIGN_OR_RETURN(const int64_t width, IntegerOf("ljust()", values[0]));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText* fill,
                         StringOf("ljust()", values[1]));
  if (CountCharacters(fill->text()) != 1) {
    return absl::InvalidArgumentError("ljust() wants a fill of one character");
  }
  GEMMA_ASSIGN_OR_RETURN(const int64_t size, LengthOf(subject, meter));
  const int64_t missing = std::max<int64_t>(width - size, 0);
  // Python rounds the left half up only if the width is odd.
  const int64_t left = kText == Side::kLeft ? 0
                       : kText == Side::kRight
                           ? missing
                           : missing / 2 + (missing & width & 1);
  const auto padding = [&](int64_t count) {
    return Calculate(Operator::kMultiply, values[1],
                     JinjaValue::Int(count, TextOrigin::kTemplate), meter);
  };
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue before, padding(left));
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue after, padding(missing - left));
  MarkedText text = before.marked();
  text.Append(subject.marked());
  text.Append(after.marked());
  return MakeString(std::move(text), meter);
}

ValueOr ZeroFill(Interpreter& interpreter, const JinjaValue& subject,
                 CallArguments& arguments) {
  JinjaValue value;
  GEMMA_RETURN_IF_ERROR(arguments.Bind("zfill", {"width"}, 1, {&value, 1}));
  Meter& meter = interpreter.meter();
  GEMMA_ASSIGN_OR_RETURN(const int64_t width, IntegerOf("zfill()", value));
  GEMMA_ASSIGN_OR_RETURN(const int64_t size, LengthOf(subject, meter));
  GEMMA_ASSIGN_OR_RETURN(
      const JinjaValue zeros,
      Calculate(Operator::kMultiply,
                JinjaValue::String("0", TextOrigin::kTemplate),
                JinjaValue::Int(std::max<int64_t>(width - size, 0)), meter));
  const MarkedText& text = subject.marked();
  const bool has_sign =
      !text.empty() && (text.text()[0] == '-' || text.text()[0] == '+');
  MarkedText filled = text.Substring(0, has_sign ? 1 : 0);
  filled.Append(zeros.marked());
  filled.Append(text, has_sign ? 1 : 0, text.size());
  return MakeString(std::move(filled), meter);
}

constexpr Builtin kStringMethods[] = {
    {"capitalize", Case<CaseChange::kCapitalize>},
    {"center", Justify<Side::kBoth>},
    {"format", Format},
    {"join", Join},
    {"ljust", Justify<Side::kLeft>},
    {"lower", Case<CaseChange::kLower>},
    {"lstrip", StripSide<Side::kLeft>},
    {"partition", PartitionLeft},
    {"removeprefix", RemoveAffix<true>},
    {"removesuffix", RemoveAffix<false>},
    {"replace", ReplaceMethod},
    {"rjust", Justify<Side::kRight>},
    {"rpartition", PartitionRight},
    {"rsplit", SplitSide<Side::kRight>},
    {"rstrip", StripSide<Side::kRight>},
    {"split", SplitSide<Side::kLeft>},
    {"splitlines", Lines},
    {"strip", StripSide<Side::kBoth>},
    {"title", Case<CaseChange::kTitle>},
    {"upper", Case<CaseChange::kUpper>},
    {"zfill", ZeroFill},
};

}  // namespace

absl::Span<const Builtin> StringMethods() { return kStringMethods; }

}  // namespace gemma::internal

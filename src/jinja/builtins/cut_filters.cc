// Filters that cut sequences and texts into parts.

#include <algorithm>
#include <utility>
#include <vector>

#include "src/base/status_macros.h"
#include "src/jinja/builtins/builtins.h"
#include "src/jinja/run/interpreter.h"
#include "src/jinja/values/characters.h"
#include "src/jinja/values/operations.h"

namespace gemma::internal {
namespace {

using ValueOr = absl::StatusOr<JinjaValue>;
using SequenceType = JinjaValue::SequenceType;

ValueOr Batch(Interpreter& interpreter, const JinjaValue& subject,
              CallArguments& arguments) {
  JinjaValue values[2] = {{}, JinjaValue::None()};
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("batch", {"linecount", "fill_with"}, 1, values));
  Meter& meter = interpreter.meter();
  GEMMA_ASSIGN_OR_RETURN(const int64_t count, IntegerOf("batch()", values[0]));
  if (count < 1) {
    return absl::InvalidArgumentError("batch() wants a positive size");
  }
  const auto width = static_cast<size_t>(count);
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items, ItemsOf(subject, meter));
  std::vector<JinjaValue> batches;
  for (size_t at = 0; at < items.items().size();) {
    const size_t end = at + std::min(width, items.items().size() - at);
    const auto begin = items.items().begin();
    std::vector<JinjaValue> batch(begin + static_cast<std::ptrdiff_t>(at),
                                  begin + static_cast<std::ptrdiff_t>(end));
    if (batch.size() < width && !values[1].is_none()) {
      GEMMA_RETURN_IF_ERROR(meter.AllocateValues(width - batch.size()));
      batch.resize(width, values[1]);
    }
    at = end;
    GEMMA_ASSIGN_OR_RETURN(
        JinjaValue made,
        MakeSequence(SequenceType::kList, std::move(batch), meter));
    batches.push_back(std::move(made));
  }
  return MakeSequence(SequenceType::kGenerator, std::move(batches), meter);
}

// Lists of equal length; the first have one item more if some are left.
ValueOr Slice(Interpreter& interpreter, const JinjaValue& subject,
              CallArguments& arguments) {
  JinjaValue values[2] = {{}, JinjaValue::None()};
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("slice", {"slices", "fill_with"}, 1, values));
  Meter& meter = interpreter.meter();
  GEMMA_ASSIGN_OR_RETURN(const int64_t count, IntegerOf("slice()", values[0]));
  if (count < 1) {
    return absl::InvalidArgumentError("slice() wants a positive number");
  }
  const auto num_slices = static_cast<size_t>(count);
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue all, ItemsOf(subject, meter));
  GEMMA_RETURN_IF_ERROR(meter.AllocateValues(num_slices));
  const size_t num_longer = all.items().size() % num_slices;
  auto next = all.items().begin();
  std::vector<JinjaValue> slices;
  for (size_t i = 0; i < num_slices; ++i) {
    const size_t size = all.items().size() / num_slices + (i < num_longer);
    std::vector<JinjaValue> slice(next,
                                  next + static_cast<std::ptrdiff_t>(size));
    next += static_cast<std::ptrdiff_t>(size);
    if (i >= num_longer && !values[1].is_none()) slice.push_back(values[1]);
    GEMMA_ASSIGN_OR_RETURN(
        JinjaValue made,
        MakeSequence(SequenceType::kList, std::move(slice), meter));
    slices.push_back(std::move(made));
  }
  return MakeSequence(SequenceType::kGenerator, std::move(slices), meter);
}

// A text of at most `length` characters, whose end is replaced by `end`, unless
// it is only up to `leeway` characters longer.
ValueOr Truncate(Interpreter& interpreter, const JinjaValue& subject,
                 CallArguments& arguments) {
  JinjaValue values[4] = {JinjaValue::Int(255), JinjaValue::Bool(false),
                          JinjaValue::String("...", TextOrigin::kMessage),
                          JinjaValue::None()};
  GEMMA_RETURN_IF_ERROR(arguments.Bind(
      "truncate", {"length", "killwords", "end", "leeway"}, 0, values));
  constexpr int64_t kLeeway = 5;  // of jinja2's policies
  if (subject.is_undefined()) return subject;
  if (subject.is_markup()) {
    return absl::UnimplementedError(
        "truncate() of text of 'safe' or 'escape' is not supported");
  }
  Meter& meter = interpreter.meter();
  GEMMA_ASSIGN_OR_RETURN(const MarkedText* text,
                         StringOf("truncate()", subject));
  GEMMA_ASSIGN_OR_RETURN(const int64_t length,
                         IntegerOf("truncate()", values[0]));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText* end,
                         StringOf("truncate()", values[2]));
  int64_t leeway = kLeeway;
  if (!values[3].is_none()) {
    GEMMA_ASSIGN_OR_RETURN(leeway, IntegerOf("truncate()", values[3]));
  }
  GEMMA_RETURN_IF_ERROR(meter.Allocate(text->size() + end->size()));
  const auto end_length = static_cast<int64_t>(CountCharacters(end->text()));
  if (length < end_length || leeway < 0) {
    return absl::InvalidArgumentError(
        "truncate() wants a length of at least that of its end, and a leeway "
        "of at least 0");
  }
  const auto size = static_cast<int64_t>(CountCharacters(text->text()));
  if (size <= length || size - length <= leeway) return subject;
  size_t cut =
      OffsetOfCharacter(text->text(), static_cast<size_t>(length - end_length));
  if (!IsTrue(values[1])) {
    // The last blank of the kept text, if it has one.
    const size_t blank = text->text().substr(0, cut).rfind(' ');
    if (blank != std::string::npos) cut = blank;
  }
  MarkedText shorter = text->Substring(0, cut);
  shorter.Append(*end);
  return MakeString(std::move(shorter), meter);
}

constexpr Builtin kCutFilters[] = {
    {"batch", Batch}, {"slice", Slice}, {"truncate", Truncate}};

}  // namespace

absl::Span<const Builtin> CutFilters() { return kCutFilters; }

}  // namespace gemma::internal

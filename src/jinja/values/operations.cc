#include "src/jinja/values/operations.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "src/jinja/values/characters.h"

namespace gemma::internal {
namespace {

using Kind = JinjaValue::Kind;
using SequenceType = JinjaValue::SequenceType;

// Returns the index that a bound of a slice means, as Python's slice.indices.
absl::StatusOr<int64_t> Bound(const JinjaValue& bound, int64_t size, bool down,
                              int64_t missing) {
  if (bound.is_none()) return missing;
  GEMMA_ASSIGN_OR_RETURN(int64_t index, IntegerOf("a slice", bound));
  if (index < 0) {
    index = index < -size ? -1 : index + size;
    return std::max<int64_t>(index, down ? -1 : 0);
  }
  return std::min(index, down ? size - 1 : size);
}

}  // namespace

absl::Status UndefinedError(const JinjaValue& value) {
  return absl::InvalidArgumentError(value.WhatIsUndefined());
}

absl::Status TypeError(std::string_view what, const JinjaValue& a,
                       const JinjaValue& b) {
  if (a.is_large_int() || b.is_large_int()) {
    return absl::UnimplementedError("an integer does not fit into 64 bits");
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", what, "' does not accept '", a.TypeName(), "' and '",
                   b.TypeName(), "'"));
}

absl::StatusOr<int64_t> IntegerOf(std::string_view what,
                                  const JinjaValue& value) {
  if (value.is_undefined()) return UndefinedError(value);
  if (!value.is_int() && !value.is_bool()) {
    return absl::InvalidArgumentError(absl::StrCat(
        what, " has a '", value.TypeName(), "', wanted an integer"));
  }
  return value.integer();
}

absl::StatusOr<const MarkedText*> StringOf(std::string_view what,
                                           const JinjaValue& value) {
  if (value.is_undefined()) return UndefinedError(value);
  if (!value.is_string()) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " has a '", value.TypeName(), "', wanted a string"));
  }
  return &value.marked();
}

absl::StatusOr<JinjaValue> ItemsOf(const JinjaValue& value, Meter& meter) {
  std::vector<JinjaValue> items;
  switch (value.kind()) {
    case Kind::kSequence: {
      if (!value.is_sequence(SequenceType::kGenerator)) return value;
      const size_t next = value.next();
      value.next() = value.items().size();
      if (next == 0) return value;
      items.assign(value.items().begin() + static_cast<std::ptrdiff_t>(next),
                   value.items().end());
      break;
    }
    case Kind::kDict:
      GEMMA_RETURN_IF_ERROR(meter.AllocateValues(value.entries().size()));
      items.reserve(value.entries().size());
      for (const JinjaValue::Entry& entry : value.entries()) {
        items.push_back(entry.key);
      }
      break;
    case Kind::kString: {
      const MarkedText& text = value.marked();
      GEMMA_RETURN_IF_ERROR(meter.AllocateValues(2 * text.size()));
      for (size_t at = 0; at < text.size();) {
        const size_t end = CharacterEnd(text.text(), at);
        items.push_back(JinjaValue::String(text.Substring(at, end)));
        at = end;
      }
      break;
    }
    case Kind::kUndefined:
      break;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("a '", value.TypeName(), "' cannot be iterated over"));
  }
  return MakeSequence(SequenceType::kList, std::move(items), meter);
}

absl::StatusOr<int64_t> LengthOf(const JinjaValue& value, Meter& meter) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      GEMMA_RETURN_IF_ERROR(meter.Spend(value.text().size() / 64));
      return CountCharacters(value.text());
    case Kind::kDict:
      return value.entries().size();
    case Kind::kSequence:
      if (!value.is_sequence(SequenceType::kGenerator)) {
        return value.items().size();
      }
      [[fallthrough]];
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("a '", value.TypeName(), "' has no length"));
  }
}

absl::StatusOr<JinjaValue> MakeString(MarkedText text, Meter& meter) {
  GEMMA_RETURN_IF_ERROR(
      meter.Allocate(64 + text.size() + text.runs().size() * 16));
  return JinjaValue::String(std::move(text));
}

absl::StatusOr<JinjaValue> MakeSequence(SequenceType type,
                                        std::vector<JinjaValue> items,
                                        Meter& meter) {
  GEMMA_RETURN_IF_ERROR(meter.AllocateValues(items.size() + 1));
  JinjaValue value = JinjaValue::Sequence(type, std::move(items));
  GEMMA_RETURN_IF_ERROR(meter.CheckNesting(value.nesting()));
  return value;
}

absl::StatusOr<JinjaValue> MakeDict(std::vector<JinjaValue::Entry> entries,
                                    Meter& meter) {
  GEMMA_RETURN_IF_ERROR(meter.AllocateValues(2 * entries.size() + 1));
  JinjaValue value = JinjaValue::DictOf(std::move(entries));
  GEMMA_RETURN_IF_ERROR(meter.CheckNesting(value.nesting()));
  return value;
}

absl::Status SetEntry(JinjaValue key, JinjaValue value,
                      std::vector<JinjaValue::Entry>& entries, Meter& meter) {
  if (key.is_undefined()) return UndefinedError(key);
  if (!key.is_string() && !key.is_number() && !key.is_none()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a '", key.TypeName(), "' as a key of a dict, wanted a string"));
  }
  GEMMA_RETURN_IF_ERROR(meter.Spend(1 + entries.size() / 4));
  for (JinjaValue::Entry& entry : entries) {
    GEMMA_ASSIGN_OR_RETURN(const bool equal, AreEqual(entry.key, key, meter));
    if (!equal) continue;
    entry.value = std::move(value);
    return absl::OkStatus();
  }
  entries.push_back({std::move(key), std::move(value)});
  return absl::OkStatus();
}

absl::StatusOr<JinjaValue> SliceOf(const JinjaValue& value,
                                   const JinjaValue& begin,
                                   const JinjaValue& end,
                                   const JinjaValue& step_value, Meter& meter) {
  if (value.is_undefined()) return UndefinedError(value);
  if (!value.is_string() && !value.is_indexable()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a '", value.TypeName(), "' cannot be sliced"));
  }
  int64_t step = 1;
  if (!step_value.is_none()) {
    GEMMA_ASSIGN_OR_RETURN(step, IntegerOf("a slice", step_value));
    if (step == 0) {
      return absl::InvalidArgumentError("a slice has the step 0");
    }
  }
  GEMMA_ASSIGN_OR_RETURN(const int64_t size, LengthOf(value, meter));
  const bool down = step < 0;
  GEMMA_ASSIGN_OR_RETURN(const int64_t first,
                         Bound(begin, size, down, down ? size - 1 : 0));
  GEMMA_ASSIGN_OR_RETURN(const int64_t last,
                         Bound(end, size, down, down ? -1 : size));
  if (value.is_string() && step == 1) {
    const std::string& text = value.text();
    if (first >= last) return JinjaValue::String(MarkedText());
    const size_t from = OffsetOfCharacter(text, first);
    const size_t to =
        from + OffsetOfCharacter(std::string_view(text).substr(from),
                                 static_cast<size_t>(last - first));
    return MakeString(value.marked().Substring(from, to), meter);
  }
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items, ItemsOf(value, meter));
  std::vector<JinjaValue> chosen;
  MarkedText text;
  for (int64_t i = first; down ? i > last : i < last;) {
    const JinjaValue& item = items.items()[static_cast<size_t>(i)];
    if (value.is_string()) {
      text.Append(item.marked());
    } else {
      chosen.push_back(item);
    }
    // The step may be any integer, and the sum must not overflow.
    if (down ? step < last - i : step > last - i) break;
    i += step;
  }
  if (value.is_string()) return MakeString(std::move(text), meter);
  return MakeSequence(value.is_sequence(SequenceType::kGroup)
                          ? SequenceType::kTuple
                          : value.sequence_type(),
                      std::move(chosen), meter);
}

}  // namespace gemma::internal

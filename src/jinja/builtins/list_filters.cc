// Filters that order and group sequences.

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "src/base/status_macros.h"
#include "src/jinja/builtins/builtins.h"
#include "src/jinja/run/interpreter.h"
#include "src/jinja/values/characters.h"
#include "src/jinja/values/operations.h"
#include "src/jinja/values/text_functions.h"

namespace gemma::internal {
namespace {

using ValueOr = absl::StatusOr<JinjaValue>;
using SequenceType = JinjaValue::SequenceType;

ValueOr Length(Interpreter& interpreter, const JinjaValue& subject,
               CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("length"));
  if (subject.is_object()) {
    GEMMA_ASSIGN_OR_RETURN(const std::optional<JinjaValue> length,
                           subject.object().Attribute(interpreter, "length"));
    if (length.has_value() && subject.TypeName() == "LoopContext") {
      return *length;
    }
  }
  GEMMA_ASSIGN_OR_RETURN(const int64_t length,
                         LengthOf(subject, interpreter.meter()));
  return JinjaValue::Int(length);
}

ValueOr List(Interpreter& interpreter, const JinjaValue& subject,
             CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("list"));
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items,
                         ItemsOf(subject, interpreter.meter()));
  if (items.is_sequence(SequenceType::kList)) return items;
  return MakeSequence(SequenceType::kList, items.items(), interpreter.meter());
}

ValueOr First(Interpreter& interpreter, const JinjaValue& subject,
              CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("first"));
  if (subject.is_sequence(SequenceType::kGenerator)) {
    size_t& next = subject.next();
    if (next < subject.items().size()) return subject.items()[next++];
    return JinjaValue::Undefined("the sequence of 'first' is empty");
  }
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items,
                         ItemsOf(subject, interpreter.meter()));
  if (!items.items().empty()) return items.items().front();
  return JinjaValue::Undefined("the sequence of 'first' is empty");
}

ValueOr Last(Interpreter& interpreter, const JinjaValue& subject,
             CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("last"));
  if (subject.is_sequence(SequenceType::kGenerator)) {
    return absl::InvalidArgumentError("'last' does not accept a generator");
  }
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items,
                         ItemsOf(subject, interpreter.meter()));
  if (!items.items().empty()) return items.items().back();
  return JinjaValue::Undefined("the sequence of 'last' is empty");
}

ValueOr Reverse(Interpreter& interpreter, const JinjaValue& subject,
                CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("reverse"));
  Meter& meter = interpreter.meter();
  if (subject.is_string()) {
    return SliceOf(subject, JinjaValue::None(), JinjaValue::None(),
                   JinjaValue::Int(-1), meter);
  }
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items, ItemsOf(subject, meter));
  std::vector<JinjaValue> reversed(items.items().rbegin(),
                                   items.items().rend());
  // What cannot be read backwards becomes a list first.
  return MakeSequence(subject.is_sequence(SequenceType::kGenerator)
                          ? SequenceType::kList
                          : SequenceType::kGenerator,
                      std::move(reversed), meter);
}

ValueOr ItemsFilter(Interpreter& interpreter, const JinjaValue& subject,
                    CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("items"));
  if (subject.is_undefined()) {
    return MakeSequence(SequenceType::kGenerator, {}, interpreter.meter());
  }
  if (!subject.is_dict()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'items' does not accept a '", subject.TypeName(), "', wanted a dict"));
  }
  GEMMA_ASSIGN_OR_RETURN(const Builtin* method, FindMethod(subject, "items"));
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items,
                         method->function(interpreter, subject, arguments));
  return MakeSequence(SequenceType::kGenerator, items.items(),
                      interpreter.meter());
}

// Orders indices by their keys: a stable merge sort whose comparisons may fail.
absl::Status SortByKeys(const std::vector<JinjaValue>& keys, bool reverse,
                        Meter& meter, std::vector<size_t>& order) {
  const size_t size = order.size();
  GEMMA_RETURN_IF_ERROR(meter.AllocateValues(size));
  std::vector<size_t> merged(size);
  for (size_t width = 1; width < size; width *= 2) {
    for (size_t begin = 0; begin < size; begin += 2 * width) {
      const size_t middle = std::min(begin + width, size);
      const size_t end = std::min(begin + 2 * width, size);
      size_t left = begin, right = middle;
      for (size_t i = begin; i < end; ++i) {
        bool take_right = left == middle;
        if (left < middle && right < end) {
          const JinjaValue& a = keys[order[left]];
          const JinjaValue& b = keys[order[right]];
          GEMMA_ASSIGN_OR_RETURN(take_right,
                                 Compare(Operator::kLess, reverse ? a : b,
                                         reverse ? b : a, meter));
        }
        merged[i] = order[take_right ? right++ : left++];
      }
    }
    order.swap(merged);
  }
  return absl::OkStatus();
}

// Returns the items ordered by their keys.
absl::StatusOr<std::vector<JinjaValue>> Sorted(
    const std::vector<JinjaValue>& items, const std::vector<JinjaValue>& keys,
    bool reverse, Meter& meter) {
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  GEMMA_RETURN_IF_ERROR(SortByKeys(keys, reverse, meter, order));
  std::vector<JinjaValue> sorted;
  sorted.reserve(items.size());
  for (const size_t i : order) sorted.push_back(items[i]);
  return sorted;
}

// Returns what a filter compares of an item: an attribute, without case. An
// attribute "a,b" gives a list.
ValueOr KeyOf(Interpreter& interpreter, const JinjaValue& item,
              const JinjaValue& attribute, bool case_sensitive,
              bool several = false) {
  Meter& meter = interpreter.meter();
  if (several && attribute.is_string()) {
    const auto& names = attribute.text();
    if (names.find(',') != std::string::npos) {
      std::vector<JinjaValue> keys;
      for (const std::string_view name : absl::StrSplit(names, ',')) {
        GEMMA_ASSIGN_OR_RETURN(
            JinjaValue key,
            KeyOf(interpreter, item,
                  JinjaValue::String(name, TextOrigin::kTemplate),
                  case_sensitive));
        keys.push_back(std::move(key));
      }
      return MakeSequence(SequenceType::kList, std::move(keys), meter);
    }
  }
  GEMMA_ASSIGN_OR_RETURN(JinjaValue key,
                         AttributePath(interpreter, item, attribute));
  if (case_sensitive) return key;
  return WithoutCase(interpreter, key);
}

absl::StatusOr<std::vector<JinjaValue>> KeysOf(
    Interpreter& interpreter, const std::vector<JinjaValue>& items,
    const JinjaValue& attribute, bool case_sensitive, bool several = false) {
  std::vector<JinjaValue> keys;
  GEMMA_RETURN_IF_ERROR(interpreter.meter().AllocateValues(items.size()));
  keys.reserve(items.size());
  for (const JinjaValue& item : items) {
    GEMMA_ASSIGN_OR_RETURN(JinjaValue key, KeyOf(interpreter, item, attribute,
                                                 case_sensitive, several));
    keys.push_back(std::move(key));
  }
  return keys;
}

ValueOr Sort(Interpreter& interpreter, const JinjaValue& subject,
             CallArguments& arguments) {
  JinjaValue values[3] = {JinjaValue::Bool(false), JinjaValue::Bool(false),
                          JinjaValue::None()};
  GEMMA_RETURN_IF_ERROR(arguments.Bind(
      "sort", {"reverse", "case_sensitive", "attribute"}, 0, values));
  Meter& meter = interpreter.meter();
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items, ItemsOf(subject, meter));
  GEMMA_ASSIGN_OR_RETURN(const std::vector<JinjaValue> keys,
                         KeysOf(interpreter, items.items(), values[2],
                                IsTrue(values[1]), /*several=*/true));
  GEMMA_ASSIGN_OR_RETURN(std::vector<JinjaValue> sorted,
                         Sorted(items.items(), keys, IsTrue(values[0]), meter));
  return MakeSequence(SequenceType::kList, std::move(sorted), meter);
}

ValueOr DictSort(Interpreter& interpreter, const JinjaValue& subject,
                 CallArguments& arguments) {
  JinjaValue values[3] = {JinjaValue::Bool(false),
                          JinjaValue::String("key", TextOrigin::kTemplate),
                          JinjaValue::Bool(false)};
  GEMMA_RETURN_IF_ERROR(arguments.Bind(
      "dictsort", {"case_sensitive", "by", "reverse"}, 0, values));
  if (!subject.is_dict()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'dictsort' has a '", subject.TypeName(), "', wanted a dict"));
  }
  GEMMA_ASSIGN_OR_RETURN(const MarkedText* by,
                         StringOf("dictsort()", values[1]));
  if (by->text() != "key" && by->text() != "value") {
    return absl::InvalidArgumentError(
        "dictsort() sorts by 'key' or by 'value'");
  }
  GEMMA_ASSIGN_OR_RETURN(const Builtin* method, FindMethod(subject, "items"));
  CallArguments none;
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items,
                         method->function(interpreter, subject, none));
  const JinjaValue index = JinjaValue::Int(by->text() == "key" ? 0 : 1);
  GEMMA_ASSIGN_OR_RETURN(
      const std::vector<JinjaValue> keys,
      KeysOf(interpreter, items.items(), index, IsTrue(values[0])));
  GEMMA_ASSIGN_OR_RETURN(
      std::vector<JinjaValue> sorted,
      Sorted(items.items(), keys, IsTrue(values[2]), interpreter.meter()));
  return MakeSequence(SequenceType::kList, std::move(sorted),
                      interpreter.meter());
}

ValueOr GroupBy(Interpreter& interpreter, const JinjaValue& subject,
                CallArguments& arguments) {
  JinjaValue values[3] = {{}, JinjaValue::None(), JinjaValue::Bool(false)};
  GEMMA_RETURN_IF_ERROR(arguments.Bind(
      "groupby", {"attribute", "default", "case_sensitive"}, 1, values));
  if (!values[1].is_none()) {
    return absl::UnimplementedError(
        "groupby() with a default is not supported");
  }
  Meter& meter = interpreter.meter();
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue all, ItemsOf(subject, meter));
  GEMMA_ASSIGN_OR_RETURN(
      const std::vector<JinjaValue> keys,
      KeysOf(interpreter, all.items(), values[0], IsTrue(values[2])));
  std::vector<size_t> order(keys.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  GEMMA_RETURN_IF_ERROR(SortByKeys(keys, false, meter, order));
  std::vector<JinjaValue> groups;
  for (size_t begin = 0; begin < order.size();) {
    std::vector<JinjaValue> members;
    size_t end = begin;
    for (; end < order.size(); ++end) {
      GEMMA_ASSIGN_OR_RETURN(
          const bool equal,
          AreEqual(keys[order[begin]], keys[order[end]], meter));
      if (!equal) break;
      members.push_back(all.items()[order[end]]);
    }
    // The first member's own key, with its case.
    GEMMA_ASSIGN_OR_RETURN(JinjaValue key,
                           AttributePath(interpreter, members[0], values[0]));
    GEMMA_ASSIGN_OR_RETURN(
        JinjaValue list,
        MakeSequence(SequenceType::kList, std::move(members), meter));
    GEMMA_ASSIGN_OR_RETURN(
        JinjaValue group,
        MakeSequence(SequenceType::kGroup, {std::move(key), std::move(list)},
                     meter));
    groups.push_back(std::move(group));
    // A key that differs from itself, as NaN does, is a group of its own.
    begin = std::max(end, begin + 1);
  }
  return MakeSequence(SequenceType::kList, std::move(groups), meter);
}

ValueOr Unique(Interpreter& interpreter, const JinjaValue& subject,
               CallArguments& arguments) {
  JinjaValue values[2] = {JinjaValue::Bool(false), JinjaValue::None()};
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("unique", {"case_sensitive", "attribute"}, 0, values));
  Meter& meter = interpreter.meter();
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items, ItemsOf(subject, meter));
  GEMMA_ASSIGN_OR_RETURN(
      const std::vector<JinjaValue> keys,
      KeysOf(interpreter, items.items(), values[1], IsTrue(values[0])));
  std::vector<JinjaValue> chosen;
  std::vector<JinjaValue::Entry> seen;
  for (size_t i = 0; i < keys.size(); ++i) {
    const size_t before = seen.size();
    GEMMA_RETURN_IF_ERROR(SetEntry(keys[i], JinjaValue(), seen, meter));
    if (seen.size() > before) chosen.push_back(items.items()[i]);
  }
  return MakeSequence(SequenceType::kGenerator, std::move(chosen), meter);
}

// min and max: the first item that no other one precedes.
template <bool kMax>
ValueOr Extreme(Interpreter& interpreter, const JinjaValue& subject,
                CallArguments& arguments) {
  JinjaValue values[2] = {JinjaValue::Bool(false), JinjaValue::None()};
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("min", {"case_sensitive", "attribute"}, 0, values));
  Meter& meter = interpreter.meter();
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items, ItemsOf(subject, meter));
  if (items.items().empty()) {
    return JinjaValue::Undefined("the sequence of 'min' or 'max' is empty");
  }
  GEMMA_ASSIGN_OR_RETURN(
      const std::vector<JinjaValue> keys,
      KeysOf(interpreter, items.items(), values[1], IsTrue(values[0])));
  size_t best = 0;
  for (size_t i = 1; i < keys.size(); ++i) {
    GEMMA_ASSIGN_OR_RETURN(const bool better,
                           Compare(kMax ? Operator::kGreater : Operator::kLess,
                                   keys[i], keys[best], meter));
    if (better) best = i;
  }
  return items.items()[best];
}

constexpr Builtin kListFilters[] = {
    {"count", Length},       {"dictsort", DictSort}, {"first", First},
    {"groupby", GroupBy},    {"items", ItemsFilter}, {"last", Last},
    {"length", Length},      {"list", List},         {"max", Extreme<true>},
    {"min", Extreme<false>}, {"reverse", Reverse},   {"sort", Sort},
    {"unique", Unique},
};

}  // namespace

absl::Span<const Builtin> ListFilters() { return kListFilters; }

}  // namespace gemma::internal

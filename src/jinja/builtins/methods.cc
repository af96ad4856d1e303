// The methods of values other than strings, and the search for methods.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/builtins/builtins.h"
#include "src/jinja/run/interpreter.h"
#include "src/jinja/values/operations.h"

namespace gemma::internal {
namespace {

using ValueOr = absl::StatusOr<JinjaValue>;
using SequenceType = JinjaValue::SequenceType;

ValueOr Keys(Interpreter& interpreter, const JinjaValue& subject,
             CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("keys"));
  std::vector<JinjaValue> items;
  items.reserve(subject.entries().size());
  for (const JinjaValue::Entry& entry : subject.entries()) {
    items.push_back(entry.key);
  }
  return MakeSequence(SequenceType::kKeys, std::move(items),
                      interpreter.meter());
}

ValueOr Values(Interpreter& interpreter, const JinjaValue& subject,
               CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("values"));
  std::vector<JinjaValue> items;
  items.reserve(subject.entries().size());
  for (const JinjaValue::Entry& entry : subject.entries()) {
    items.push_back(entry.value);
  }
  return MakeSequence(SequenceType::kValues, std::move(items),
                      interpreter.meter());
}

ValueOr Items(Interpreter& interpreter, const JinjaValue& subject,
              CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("items"));
  std::vector<JinjaValue> items;
  GEMMA_RETURN_IF_ERROR(
      interpreter.meter().AllocateValues(3 * subject.entries().size()));
  items.reserve(subject.entries().size());
  for (const JinjaValue::Entry& entry : subject.entries()) {
    items.push_back(
        JinjaValue::Sequence(SequenceType::kTuple, {entry.key, entry.value}));
  }
  return MakeSequence(SequenceType::kItems, std::move(items),
                      interpreter.meter());
}

ValueOr Get(Interpreter& interpreter, const JinjaValue& subject,
            CallArguments& arguments) {
  if (!arguments.named.empty()) {
    return absl::InvalidArgumentError("get() takes no argument by name");
  }
  JinjaValue values[2] = {{}, JinjaValue::None(TextOrigin::kTemplate)};
  GEMMA_RETURN_IF_ERROR(arguments.Bind("get", {"key", "default"}, 1, values));
  GEMMA_RETURN_IF_ERROR(
      interpreter.meter().Spend(subject.entries().size() / 16));
  const JinjaValue* found = subject.Find(values[0]);
  return found != nullptr ? *found : values[1];
}

ValueOr Copy(Interpreter&, const JinjaValue& subject,
             CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("copy"));
  return subject;
}

// Returns the indices of the items that equal the argument.
absl::StatusOr<std::vector<int64_t>> Matches(Interpreter& interpreter,
                                             std::string_view callee,
                                             const JinjaValue& subject,
                                             const CallArguments& arguments) {
  JinjaValue wanted;
  GEMMA_RETURN_IF_ERROR(arguments.Bind(callee, {"value"}, 1, {&wanted, 1}));
  std::vector<int64_t> matches;
  for (size_t i = 0; i < subject.items().size(); ++i) {
    GEMMA_ASSIGN_OR_RETURN(
        const bool equal,
        AreEqual(subject.items()[i], wanted, interpreter.meter()));
    if (equal) matches.push_back(static_cast<int64_t>(i));
  }
  return matches;
}

ValueOr CountItem(Interpreter& interpreter, const JinjaValue& subject,
                  CallArguments& arguments) {
  GEMMA_ASSIGN_OR_RETURN(const std::vector<int64_t> matches,
                         Matches(interpreter, "count", subject, arguments));
  return JinjaValue::Int(static_cast<int64_t>(matches.size()));
}

ValueOr IndexOfItem(Interpreter& interpreter, const JinjaValue& subject,
                    CallArguments& arguments) {
  GEMMA_ASSIGN_OR_RETURN(const std::vector<int64_t> matches,
                         Matches(interpreter, "index", subject, arguments));
  if (matches.empty()) {
    return absl::InvalidArgumentError("index() does not find the value");
  }
  return JinjaValue::Int(matches.front());
}

constexpr Builtin kDictMethods[] = {
    {"copy", Copy}, {"get", Get},       {"items", Items},
    {"keys", Keys}, {"values", Values},
};
constexpr Builtin kListMethods[] = {
    {"copy", Copy},
    {"count", CountItem},
    {"index", IndexOfItem},
};
constexpr Builtin kTupleMethods[] = {
    {"count", CountItem},
    {"index", IndexOfItem},
};

// Attributes that Python has and this interpreter does not.
constexpr std::string_view kOtherOfString =
    "casefold encode expandtabs format_map isidentifier isprintable istitle "
    "maketrans swapcase translate";
constexpr std::string_view kOtherOfDict = "fromkeys";
constexpr std::string_view kOtherOfInt =
    "as_integer_ratio bit_count bit_length conjugate denominator from_bytes "
    "imag numerator real to_bytes";
constexpr std::string_view kOtherOfDouble =
    "as_integer_ratio conjugate fromhex hex imag is_integer real";
constexpr std::string_view kOtherOfRange = "count index start step stop";
constexpr std::string_view kOtherOfGenerator = "close send throw";
constexpr std::string_view kOtherOfView = "isdisjoint mapping";

constexpr std::string_view kMutatingOfDict =
    "clear pop popitem setdefault update";
constexpr std::string_view kMutatingOfList =
    "append clear extend insert pop remove reverse sort";

// Whether a word is one of `words`, which spaces separate.
bool ListContains(std::string_view words, std::string_view word) {
  for (size_t at = words.find(word); at != std::string_view::npos;
       at = words.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || words[at - 1] == ' ') &&
        (end == words.size() || words[end] == ' ')) {
      return !word.empty();
    }
  }
  return false;
}

// Returns the attributes that only Python has.
std::string_view OthersOf(const JinjaValue& subject) {
  switch (subject.kind()) {
    case JinjaValue::Kind::kString:
      return kOtherOfString;
    case JinjaValue::Kind::kDict:
      return kOtherOfDict;
    case JinjaValue::Kind::kBool:
    case JinjaValue::Kind::kInt:
    case JinjaValue::Kind::kLargeInt:
      return kOtherOfInt;
    case JinjaValue::Kind::kDouble:
      return kOtherOfDouble;
    case JinjaValue::Kind::kSequence:
      switch (subject.sequence_type()) {
        case SequenceType::kRange:
          return kOtherOfRange;
        case SequenceType::kGenerator:
          return kOtherOfGenerator;
        case SequenceType::kKeys:
        case SequenceType::kItems:
        case SequenceType::kValues:
          return kOtherOfView;
        default:
          return "";
      }
    default:
      return "";
  }
}

const Builtin* FindKnown(const JinjaValue& subject, std::string_view name) {
  if (subject.is_string()) {
    const Builtin* method = FindIn(StringMethods(), name);
    return method != nullptr ? method : FindIn(StringTestMethods(), name);
  }
  if (subject.is_dict()) return FindIn(kDictMethods, name);
  if (subject.is_sequence(SequenceType::kList)) {
    return FindIn(kListMethods, name);
  }
  if (subject.is_sequence(SequenceType::kTuple)) {
    return FindIn(kTupleMethods, name);
  }
  return nullptr;
}

}  // namespace

const Builtin* FindIn(absl::Span<const Builtin> table, std::string_view name) {
  for (const Builtin& builtin : table) {
    if (builtin.name == name) return &builtin;
  }
  return nullptr;
}

absl::StatusOr<const Builtin*> FindMethod(const JinjaValue& subject,
                                          std::string_view name) {
  const Builtin* method = FindKnown(subject, name);
  const std::string_view others = OthersOf(subject);
  if ((method != nullptr && subject.is_markup()) ||
      (method == nullptr && !others.empty() && ListContains(others, name))) {
    return absl::UnimplementedError(absl::StrCat("the attribute ", Quoted(name),
                                                 " of a '", subject.TypeName(),
                                                 "' is not supported"));
  }
  return method;
}

bool IsMutatingMethod(const JinjaValue& subject, std::string_view name) {
  if (subject.is_dict()) return ListContains(kMutatingOfDict, name);
  return subject.is_sequence(SequenceType::kList) &&
         ListContains(kMutatingOfList, name);
}

}  // namespace gemma::internal

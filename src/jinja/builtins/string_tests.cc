// Methods of strings that look at text: searches and classes of characters.

#include <algorithm>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "src/jinja/builtins/builtins.h"
#include "src/jinja/run/interpreter.h"
#include "src/jinja/values/characters.h"
#include "src/jinja/values/operations.h"
#include "src/jinja/values/text_functions.h"

namespace gemma::internal {
namespace {

using ValueOr = absl::StatusOr<JinjaValue>;

JinjaValue TextTruth(bool value) {
  return JinjaValue::Bool(value, TextOrigin::kTemplate);
}

// Arguments (text, start, end) of a search, and where to search.
struct Search {
  JinjaValue wanted;
  std::string_view range;
  size_t first = 0;    // the index of the range's first character
  bool empty = false;  // the start is beyond the end: nothing is found
};

absl::StatusOr<Search> SearchOf(Interpreter& interpreter,
                                std::string_view callee,
                                const JinjaValue& subject,
                                const CallArguments& arguments) {
  JinjaValue values[3] = {{}, JinjaValue::None(), JinjaValue::None()};
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind(callee, {"sub", "start", "end"}, 1, values));
  Search search{values[0], subject.text()};
  Meter& meter = interpreter.meter();
  GEMMA_RETURN_IF_ERROR(
      meter.SpendSearch(search.range.size(),
                        values[0].is_string() ? values[0].text().size() : 0));
  if (values[1].is_none() && values[2].is_none()) return search;
  GEMMA_ASSIGN_OR_RETURN(const int64_t size, LengthOf(subject, meter));
  int64_t bounds[2] = {0, size};
  for (size_t i = 0; i < 2; ++i) {
    if (values[i + 1].is_none()) continue;
    GEMMA_ASSIGN_OR_RETURN(bounds[i], IntegerOf(callee, values[i + 1]));
    if (bounds[i] < 0) bounds[i] = bounds[i] < -size ? 0 : bounds[i] + size;
  }
  search.empty = bounds[0] > size || bounds[0] > bounds[1];
  if (search.empty) return search;
  search.first = static_cast<size_t>(bounds[0]);
  const size_t begin = OffsetOfCharacter(search.range, search.first);
  search.range = search.range.substr(begin);
  search.range = search.range.substr(
      0, OffsetOfCharacter(search.range,
                           static_cast<size_t>(bounds[1] - bounds[0])));
  return search;
}

template <bool kStart>
ValueOr HasAffix(Interpreter& interpreter, const JinjaValue& subject,
                 CallArguments& arguments) {
  const std::string_view callee = kStart ? "startswith" : "endswith";
  GEMMA_ASSIGN_OR_RETURN(const Search search,
                         SearchOf(interpreter, callee, subject, arguments));
  const auto has = [&](std::string_view affix) {
    return !search.empty && (kStart ? search.range.starts_with(affix)
                                    : search.range.ends_with(affix));
  };
  if (search.wanted.is_sequence(JinjaValue::SequenceType::kTuple)) {
    bool found = false;
    for (const JinjaValue& item : search.wanted.items()) {
      GEMMA_ASSIGN_OR_RETURN(const MarkedText* affix, StringOf(callee, item));
      GEMMA_RETURN_IF_ERROR(interpreter.meter().Spend(1 + affix->size() / 64));
      found = found || has(affix->text());
    }
    return TextTruth(found);
  }
  GEMMA_ASSIGN_OR_RETURN(const MarkedText* affix,
                         StringOf(callee, search.wanted));
  return TextTruth(has(affix->text()));
}

template <bool kLast, bool kMustExist>
ValueOr Find(Interpreter& interpreter, const JinjaValue& subject,
             CallArguments& arguments) {
  GEMMA_ASSIGN_OR_RETURN(const Search search,
                         SearchOf(interpreter, "find", subject, arguments));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText* wanted,
                         StringOf("find()", search.wanted));
  const size_t found = search.empty ? std::string_view::npos
                       : kLast      ? search.range.rfind(wanted->text())
                                    : search.range.find(wanted->text());
  if (found == std::string_view::npos) {
    if (kMustExist) {
      return absl::InvalidArgumentError("index() does not find the text");
    }
    return JinjaValue::Int(-1);
  }
  return JinjaValue::Int(static_cast<int64_t>(
      search.first + CountCharacters(search.range.substr(0, found))));
}

ValueOr Count(Interpreter& interpreter, const JinjaValue& subject,
              CallArguments& arguments) {
  GEMMA_ASSIGN_OR_RETURN(const Search search,
                         SearchOf(interpreter, "count", subject, arguments));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText* wanted,
                         StringOf("count()", search.wanted));
  if (search.empty) return JinjaValue::Int(0);
  if (wanted->empty()) {
    return JinjaValue::Int(
        static_cast<int64_t>(CountCharacters(search.range) + 1));
  }
  int64_t count = 0;
  for (size_t at = search.range.find(wanted->text());
       at != std::string_view::npos;
       at = search.range.find(wanted->text(), at + wanted->size())) {
    ++count;
  }
  return JinjaValue::Int(count);
}

// isdigit and others: whether the text has characters and all are of a class.
// Only the classes of ASCII characters are known.
template <bool (*kIsOfClass)(char)>
ValueOr AllAre(Interpreter& interpreter, const JinjaValue& subject,
               CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("isdigit"));
  const std::string_view text = subject.text();
  GEMMA_RETURN_IF_ERROR(interpreter.meter().Spend(text.size() / 64));
  bool has_others = false;
  for (const char c : text) {
    if (!absl::ascii_isascii(static_cast<unsigned char>(c))) {
      has_others = true;
    } else if (!kIsOfClass(c)) {
      return TextTruth(false);
    }
  }
  if (has_others) {
    return absl::UnimplementedError(
        "the classes of characters beyond ASCII are not known here");
  }
  return TextTruth(!text.empty());
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool IsLetterOrDigit(char c) { return IsLetter(c) || IsDigit(c); }

ValueOr IsAscii(Interpreter& interpreter, const JinjaValue& subject,
                CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("isascii"));
  const std::string_view text = subject.text();
  GEMMA_RETURN_IF_ERROR(interpreter.meter().Spend(text.size() / 64));
  return TextTruth(std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x80;
  }));
}

ValueOr IsBlank(Interpreter& interpreter, const JinjaValue& subject,
                CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("isspace"));
  const std::string_view text = subject.text();
  GEMMA_RETURN_IF_ERROR(interpreter.meter().Spend(text.size() / 64));
  for (size_t at = 0; at < text.size();) {
    const size_t end = CharacterEnd(text, at);
    if (!IsSpace(CodePoint(text.substr(at, end - at)))) return TextTruth(false);
    at = end;
  }
  return TextTruth(!text.empty());
}

template <LetterCase kCase>
ValueOr HasCase(Interpreter& interpreter, const JinjaValue& subject,
                CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(arguments.BindNone("islower"));
  GEMMA_ASSIGN_OR_RETURN(const bool result, IsAllOfCase(subject.text(), kCase,
                                                        interpreter.meter()));
  return TextTruth(result);
}

constexpr Builtin kTestMethods[] = {
    {"count", Count},
    {"endswith", HasAffix<false>},
    {"find", Find<false, false>},
    {"index", Find<false, true>},
    {"isalnum", AllAre<IsLetterOrDigit>},
    {"isalpha", AllAre<IsLetter>},
    {"isascii", IsAscii},
    {"isdecimal", AllAre<IsDigit>},
    {"isdigit", AllAre<IsDigit>},
    {"islower", HasCase<LetterCase::kLower>},
    {"isnumeric", AllAre<IsDigit>},
    {"isspace", IsBlank},
    {"isupper", HasCase<LetterCase::kUpper>},
    {"rfind", Find<true, false>},
    {"rindex", Find<true, true>},
    {"startswith", HasAffix<true>},
};

}  // namespace

absl::Span<const Builtin> StringTestMethods() { return kTestMethods; }

}  // namespace gemma::internal

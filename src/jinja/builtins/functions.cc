// The functions that every template can call.

#include <array>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/run/interpreter.h"
#include "src/jinja/run/objects.h"
#include "src/jinja/values/operations.h"
#include "src/jinja/values/text_of.h"

namespace gemma::internal {
namespace {

using ValueOr = absl::StatusOr<JinjaValue>;

constexpr TextOrigin kTemplate = TextOrigin::kTemplate;
constexpr int64_t kMaxRange = 100000;  // items, as in jinja2's sandbox

ValueOr RangeFunction(Interpreter& interpreter,
                      const CallArguments& arguments) {
  const size_t count = arguments.positional.size();
  if (count < 1 || count > 3 || !arguments.named.empty()) {
    return absl::InvalidArgumentError("range() wants one to three integers");
  }
  int64_t bounds[3] = {0, 0, 1};  // begin, end, step
  TextOrigin origin = kTemplate;
  for (size_t i = 0; i < count; ++i) {
    const JinjaValue& argument = arguments.positional[i];
    GEMMA_ASSIGN_OR_RETURN(bounds[count == 1 ? 1 : i],
                           IntegerOf("range()", argument));
    origin = Joined(origin, argument.origin());
  }
  const auto [begin, end, step] = bounds;
  if (step == 0) return absl::InvalidArgumentError("range() has the step 0");
  // The distance as an unsigned number, because it may exceed 63 bits.
  const uint64_t distance =
      step > 0 ? (end > begin ? uint64_t(end) - uint64_t(begin) : 0)
               : (begin > end ? uint64_t(begin) - uint64_t(end) : 0);
  const uint64_t stride = step > 0 ? uint64_t(step) : 0 - uint64_t(step);
  const uint64_t size = distance / stride + (distance % stride != 0 ? 1 : 0);
  if (size > kMaxRange) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "range() has ", size, " items, wanted at most ", kMaxRange));
  }
  GEMMA_RETURN_IF_ERROR(interpreter.meter().AllocateValues(size));
  std::vector<JinjaValue> items;
  items.reserve(size);
  for (uint64_t i = 0; i < size; ++i) {
    items.push_back(JinjaValue::Int(
        static_cast<int64_t>(uint64_t(begin) + i * uint64_t(step)), origin));
  }
  return MakeSequence(JinjaValue::SequenceType::kRange, std::move(items),
                      interpreter.meter());
}

// Returns the entries of dict(arguments) or namespace(arguments).
absl::StatusOr<std::vector<JinjaValue::Entry>> EntriesOf(
    Interpreter& interpreter, std::string_view callee,
    const CallArguments& arguments) {
  Meter& meter = interpreter.meter();
  std::vector<JinjaValue::Entry> entries;
  if (arguments.positional.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(callee, "() has more than one argument without a name"));
  }
  if (!arguments.positional.empty()) {
    const JinjaValue& source = arguments.positional[0];
    if (source.is_dict()) {
      GEMMA_RETURN_IF_ERROR(meter.AllocateValues(2 * source.entries().size()));
      entries = source.entries();
    } else {
      GEMMA_ASSIGN_OR_RETURN(const JinjaValue pairs, ItemsOf(source, meter));
      for (const JinjaValue& item : pairs.items()) {
        GEMMA_ASSIGN_OR_RETURN(const JinjaValue pair, ItemsOf(item, meter));
        if (pair.items().size() != 2) {
          return absl::InvalidArgumentError(
              absl::StrCat(callee, "() has an item of ", pair.items().size(),
                           " values, wanted a key and a value"));
        }
        GEMMA_RETURN_IF_ERROR(
            SetEntry(pair.items()[0], pair.items()[1], entries, meter));
      }
    }
  }
  for (const auto& [name, value] : arguments.named) {
    GEMMA_RETURN_IF_ERROR(
        SetEntry(JinjaValue::String(name, kTemplate), value, entries, meter));
  }
  return entries;
}

ValueOr Dict(Interpreter& interpreter, const CallArguments& arguments) {
  GEMMA_ASSIGN_OR_RETURN(std::vector<JinjaValue::Entry> entries,
                         EntriesOf(interpreter, "dict", arguments));
  return MakeDict(std::move(entries), interpreter.meter());
}

ValueOr Namespace(Interpreter& interpreter, const CallArguments& arguments) {
  GEMMA_ASSIGN_OR_RETURN(const std::vector<JinjaValue::Entry> entries,
                         EntriesOf(interpreter, "namespace", arguments));
  auto names = std::make_unique<NamespaceObject>();
  for (const JinjaValue::Entry& entry : entries) {
    GEMMA_ASSIGN_OR_RETURN(const MarkedText* name,
                           StringOf("namespace()", entry.key));
    GEMMA_RETURN_IF_ERROR(
        names->Set(name->text(), entry.value, interpreter.meter()));
  }
  return interpreter.Own(std::move(names));
}

ValueOr RaiseException(Interpreter& interpreter,
                       const CallArguments& arguments) {
  JinjaValue message;
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("raise_exception", {"message"}, 1, {&message, 1}));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText text,
                         StrOf(message, interpreter.meter()));
  return RaisedError(text.text());
}

// A day and a time, from the seconds since 1970.
struct LocalTime {
  int64_t year, month, day, hour, minute, second, weekday, yearday;
};

LocalTime LocalTimeOf(int64_t seconds) {
  constexpr int64_t kDay = 86400;
  int64_t days = seconds / kDay;
  int64_t rest = seconds % kDay;
  if (rest < 0) {
    rest += kDay;
    --days;
  }
  LocalTime time{};
  time.hour = rest / 3600;
  time.minute = rest / 60 % 60;
  time.second = rest % 60;
  time.weekday = ((days + 4) % 7 + 7) % 7;  // 1970-01-01 was a Thursday
  const auto is_leap = [](int64_t year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  };
  time.year = 1970;
  for (; days < 0; --time.year) days += is_leap(time.year - 1) ? 366 : 365;
  for (; days >= (is_leap(time.year) ? 366 : 365); ++time.year) {
    days -= is_leap(time.year) ? 366 : 365;
  }
  time.yearday = days;
  constexpr std::array<int64_t, 12> kDays = {31, 28, 31, 30, 31, 30,
                                             31, 31, 30, 31, 30, 31};
  for (time.month = 0; time.month < 11; ++time.month) {
    const auto month = static_cast<size_t>(time.month);
    const int64_t length =
        kDays[month] + (month == 1 && is_leap(time.year) ? 1 : 0);
    if (days < length) break;
    days -= length;
  }
  time.day = days + 1;
  return time;
}

constexpr std::string_view kMonths[] = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};
constexpr std::string_view kWeekdays[] = {"Sunday",    "Monday",   "Tuesday",
                                          "Wednesday", "Thursday", "Friday",
                                          "Saturday"};

// Appends the field "%c" of a date; "%-c" has no leading zero. Returns false if
// it is not known.
bool AppendTimeField(const LocalTime& time, char c, bool plain,
                     std::string& out) {
  const auto number = [&](int64_t value, int width) {
    out += plain ? absl::StrCat(value)
                 : FormatText("%0*d", width, static_cast<int>(value));
    return true;
  };
  const auto name = [&](std::string_view text) {
    out += text;
    return !plain;
  };
  const int64_t hour12 = time.hour % 12 == 0 ? 12 : time.hour % 12;
  switch (c) {
    case 'Y':
      return number(time.year, 1);
    case 'y':
      return number(time.year % 100, 2);
    case 'm':
      return number(time.month + 1, 2);
    case 'd':
      return number(time.day, 2);
    case 'H':
      return number(time.hour, 2);
    case 'I':
      return number(hour12, 2);
    case 'M':
      return number(time.minute, 2);
    case 'S':
      return number(time.second, 2);
    case 'j':
      return number(time.yearday + 1, 3);
    case 'e':
      out += plain ? absl::StrCat(time.day)
                   : FormatText("%2d", static_cast<int>(time.day));
      return true;
    case 'p':
      return name(time.hour < 12 ? "AM" : "PM");
    case 'B':
      return name(kMonths[time.month]);
    case 'b':
      return name(kMonths[time.month].substr(0, 3));
    case 'A':
      return name(kWeekdays[time.weekday]);
    case 'a':
      return name(kWeekdays[time.weekday].substr(0, 3));
    case 'F':
      out += FormatText("%d-%02d-%02d", static_cast<int>(time.year),
                        static_cast<int>(time.month + 1),
                        static_cast<int>(time.day));
      return !plain;
    case 'T':
      out += FormatText("%02d:%02d:%02d", static_cast<int>(time.hour),
                        static_cast<int>(time.minute),
                        static_cast<int>(time.second));
      return !plain;
    default:
      return false;
  }
}

ValueOr StrftimeNow(Interpreter& interpreter, const CallArguments& arguments) {
  JinjaValue format_value;
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("strftime_now", {"format"}, 1, {&format_value, 1}));
  GEMMA_ASSIGN_OR_RETURN(const MarkedText* format,
                         StringOf("strftime_now()", format_value));
  constexpr int64_t kMaxSeconds = int64_t{253402300799};  // the year 9999
  const JinjaValue& now = interpreter.local_time();
  if (!now.is_int() || now.integer() < 0 || now.integer() > kMaxSeconds) {
    return absl::FailedPreconditionError(
        "strftime_now() needs the local time, which is not given");
  }
  const LocalTime time = LocalTimeOf(now.integer());
  const std::string& text = format->text();
  GEMMA_RETURN_IF_ERROR(interpreter.meter().Allocate(16 * text.size()));
  MarkedText out;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out.Append(*format, at, at + 1);
      continue;
    }
    const size_t begin = at++;
    if (at < text.size() && text[at] == '%') {
      out.Append(*format, at, at + 1);
      continue;
    }
    const bool plain = at < text.size() && text[at] == '-';
    if (plain) ++at;
    std::string field;
    if (at == text.size() || !AppendTimeField(time, text[at], plain, field)) {
      return absl::UnimplementedError(
          absl::StrCat("strftime_now() has the format ",
                       Quoted(text.substr(begin, at + 1 - begin)),
                       ", which is not supported"));
    }
    out.Append(field, kTemplate);
  }
  return MakeString(std::move(out), interpreter.meter());
}

// The variable `self`: the blocks of a template, which has none.
class TemplateReference : public JinjaObject {
 public:
  std::string_view TypeName() const override { return "TemplateReference"; }
};

class Function : public JinjaObject {
 public:
  using Body = ValueOr (*)(Interpreter&, const CallArguments&);

  Function(std::string_view name, Body body) : name_(name), body_(body) {}

  std::string_view TypeName() const override { return "function"; }
  bool callable() const override { return true; }
  ValueOr Call(Interpreter& interpreter,
               const CallArguments& arguments) override {
    if (body_ != nullptr) return body_(interpreter, arguments);
    return absl::UnimplementedError(
        absl::StrCat("the function '", name_, "' is not supported"));
  }

 private:
  std::string_view name_;
  Body body_;  // null if it is not known here
};

struct Global {
  std::string_view name;
  Function::Body body;
};
constexpr Global kGlobals[] = {
    {"range", RangeFunction},      {"dict", Dict},
    {"namespace", Namespace},      {"raise_exception", RaiseException},
    {"strftime_now", StrftimeNow}, {"lipsum", nullptr},
    {"cycler", MakeCycler},        {"joiner", MakeJoiner},
};

}  // namespace

JinjaValue GlobalFunction(std::string_view name) {
  for (const Global& global : kGlobals) {
    if (global.name == name) {
      return JinjaValue::Object(
          std::make_shared<Function>(global.name, global.body));
    }
  }
  if (name == "self") {
    return JinjaValue::Object(std::make_shared<TemplateReference>());
  }
  return JinjaValue::Undefined(absl::StrCat(Quoted(name), " is undefined"));
}

}  // namespace gemma::internal

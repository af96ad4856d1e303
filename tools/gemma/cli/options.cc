#include "tools/gemma/cli/options.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "src/base/internal.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/words/type_habits.h"

namespace gemma::tools {
namespace {

// Adds an option that receives its words unchanged: CLI11's own conversions
// split texts in brackets and read "010" as octal.
CLI::Option* AddRaw(CLI::App& app, const std::string& names,
                    const std::string& type_name,
                    const std::string& description,
                    std::function<void(const std::string&)> set) {
  return app
      .add_option(
          names,
          [set = std::move(set)](const CLI::results_t& results) {
            for (const std::string& result : results) set(result);
            return true;
          },
          description)
      ->type_name(type_name);
}

}  // namespace

void CheckValue(const std::string& names, std::string_view found,
                std::string_view wanted) {
  if (wanted.empty()) return;
  // The long name: the last of "-t,--threads".
  const size_t comma = names.rfind(',');
  throw CLI::ValidationError(
      comma == std::string::npos ? names : names.substr(comma + 1),
      absl::StrCat("'", found, "' is not ", wanted));
}

std::string ParseCount(std::string_view text, size_t least, size_t most,
                       size_t* value) {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(text, &number) || number < least || number > most) {
    return absl::StrCat("a whole number from ", least, " to ", most);
  }
  *value = number;
  return "";
}

std::string ParseTokens(std::string_view text, size_t least, size_t most,
                        size_t* value) {
  size_t unit = 1;
  if (absl::EndsWithIgnoreCase(text, "k")) unit = 1024;  // as in "8k" contexts
  if (absl::EndsWithIgnoreCase(text, "m")) unit = size_t{1024} * 1024;
  size_t units = 0;
  if (unit > 1 && ParseCount(text.substr(0, text.size() - 1),
                             (least + unit - 1) / unit, most / unit, &units)
                      .empty()) {
    *value = units * unit;
    return "";
  }
  return ParseCount(text, least, most, value);
}

std::string ParseReal(std::string_view text, float* value) {
  float number = 0;
  if (!absl::SimpleAtof(text, &number)) return "a number";
  if (!std::isfinite(number)) return "a finite number";
  *value = number;
  return "";
}

std::string ParseSize(std::string_view text, size_t least, size_t most,
                      size_t* bytes) {
  struct Unit {
    std::string_view name;
    double bytes;
  };
  constexpr Unit kUnits[] = {{"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30},
                             {"TiB", 0x1p40}, {"kB", 1e3},     {"MB", 1e6},
                             {"GB", 1e9},     {"TB", 1e12},    {"B", 1}};
  double unit = 1;
  for (const Unit& known : kUnits) {
    if (!absl::EndsWithIgnoreCase(text, known.name)) continue;
    text.remove_suffix(known.name.size());
    unit = known.bytes;
    break;
  }
  double number = 0;
  const bool is_number =
      absl::SimpleAtod(absl::StripTrailingAsciiWhitespace(text), &number);
  number *= unit;
  if (!is_number || !(number >= static_cast<double>(least) &&
                      number <= static_cast<double>(most))) {
    return absl::StrCat("a size from ", Bytes(least), " to ", Bytes(most),
                        ", in B, kB, MB, GB, TB, KiB, MiB, GiB or TiB");
  }
  *bytes = static_cast<size_t>(number);
  return "";
}

std::string ParseSeconds(std::string_view text, size_t least, size_t most,
                         size_t* seconds) {
  if (ParseCount(absl::StripSuffix(text, "s"), least, most, seconds).empty()) {
    return "";
  }
  return absl::StrCat("a whole number of seconds from ", least, " to ", most);
}

std::string ParseChoice(std::string_view text,
                        const std::vector<std::string>& choices,
                        std::string* value) {
  const auto same = [&](const std::string& choice) {
    return absl::EqualsIgnoreCase(choice, text);
  };
  const auto found = std::find_if(choices.begin(), choices.end(), same);
  if (found != choices.end()) {
    *value = *found;
    return "";
  }
  const std::string_view near =
      NearestType(absl::AsciiStrToLower(text), choices);
  return absl::StrCat("one of ", absl::StrJoin(choices, "|"),
                      near.empty() ? "" : "; the nearest is ", near);
}

CLI::Option* AddNumber(CLI::App& app, const std::string& names, size_t* value,
                       size_t least, size_t most,
                       const std::string& description,
                       const std::string& default_text) {
  return AddRaw(app, names, "N", description,
                [=](const std::string& text) {
                  CheckValue(names, text, ParseCount(text, least, most, value));
                })
      ->default_str(default_text.empty() ? absl::StrCat(*value) : default_text);
}

CLI::Option* AddNumber(CLI::App& app, const std::string& names, float* value,
                       const std::string& description) {
  return AddRaw(app, names, "X", description,
                [=](const std::string& text) {
                  CheckValue(names, text, ParseReal(text, value));
                })
      ->default_str(absl::StrCat(*value));
}

CLI::Option* AddSize(CLI::App& app, const std::string& names, size_t* bytes,
                     size_t least, size_t most,
                     const std::string& description) {
  constexpr size_t kMiB = size_t{1} << 20;
  return AddRaw(app, names, "SIZE", description,
                [=](const std::string& text) {
                  CheckValue(names, text, ParseSize(text, least, most, bytes));
                })
      ->default_str(*bytes % kMiB == 0 ? absl::StrCat(*bytes / kMiB, " MiB")
                                       : Bytes(*bytes));
}

CLI::Option* AddSeconds(CLI::App& app, const std::string& names,
                        size_t* seconds, size_t least, size_t most,
                        const std::string& description) {
  return AddRaw(app, names, "N", description,
                [=](const std::string& text) {
                  CheckValue(names, text,
                             ParseSeconds(text, least, most, seconds));
                })
      ->default_str(absl::StrCat(*seconds));
}

CLI::Option* AddNumbers(CLI::App& app, const std::string& names,
                        std::vector<size_t>* values, size_t least, size_t most,
                        const std::string& description,
                        decltype(&ParseCount) parse) {
  return AddRaw(app, names, "N[,N...]", description,
                [=](const std::string& text) {
                  values->clear();
                  for (std::string_view part : absl::StrSplit(text, ',')) {
                    size_t& value = values->emplace_back();
                    CheckValue(names, part, parse(part, least, most, &value));
                  }
                })
      ->default_str(absl::StrJoin(*values, ","));
}

CLI::Option* AddParsed(
    CLI::App& app, const std::string& names, const std::string& type_name,
    const std::string& description,
    std::function<std::string(const std::string& text)> parse) {
  return AddRaw(app, names, type_name, description,
                [names, parse = std::move(parse)](const std::string& text) {
                  CheckValue(names, text, parse(text));
                });
}

CLI::Option* AddText(CLI::App& app, const std::string& names,
                     const std::string& type_name, std::string* value,
                     const std::string& description) {
  return AddRaw(app, names, type_name, description,
                [value](const std::string& text) { *value = text; });
}

CLI::Option* AddTexts(CLI::App& app, const std::string& names,
                      const std::string& type_name,
                      std::vector<std::string>* values,
                      const std::string& description) {
  // All at once, so that GEMMA_MODEL can put a text before those found first.
  return app
      .add_option(
          names,
          [values](const CLI::results_t& results) {
            *values = results;
            return true;
          },
          description)
      ->type_name(type_name)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

CLI::Option* AddTextArguments(CLI::App& app, const std::string& name,
                              std::vector<std::string>* values,
                              const std::string& description) {
  return AddTexts(app, name, "", values, description)
      ->expected(-1)
      ->allow_extra_args();
}

CLI::Option* AddChoice(CLI::App& app, const std::string& names,
                       std::string* value, std::vector<std::string> choices,
                       const std::string& description) {
  const std::string joined = absl::StrJoin(choices, "|");
  return AddRaw(app, names, joined, description,
                [=](const std::string& text) {
                  CheckValue(names, text, ParseChoice(text, choices, value));
                })
      ->default_str(*value);
}

std::vector<std::string> WeightTypeNames() {
  std::vector<std::string> names;
  for (const WeightType type :
       {WeightType::kKeep, WeightType::kBF16, WeightType::kQ8, WeightType::kQ6,
        WeightType::kQ5, WeightType::kQ4, WeightType::kQ4S,
        WeightType::kQ4_0}) {
    names.emplace_back(WeightTypeName(type));
  }
  return names;
}

void AddQuiet(CLI::App& app, bool* quiet) {
  app.add_flag("-q,--quiet", *quiet, "Print only failures on standard error");
}

}  // namespace gemma::tools

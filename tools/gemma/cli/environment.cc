#include "tools/gemma/cli/environment.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/system_text.h"
#include "tools/gemma/pull/resolve.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kPrefix = "GEMMA_";
constexpr std::string_view kModel = "MODEL";

bool IsFlag(const CLI::Option& option) {
  return option.get_items_expected_max() == 0;
}

bool Repeats(const CLI::Option& option) {
  return option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
}

// Converts the value of a variable to words of the command line. A flag that is
// off gives no words.
std::vector<std::string> Words(const CLI::Option& option,
                               const std::string& variable,
                               const std::string& value) {
  if (Repeats(option)) return absl::StrSplit(value, '\n', absl::SkipEmpty());
  if (!IsFlag(option)) return {value};
  if (value == "1" || value == "true") return {"true"};
  if (value == "0" || value == "false") return {};
  throw CLI::ValidationError(
      variable,
      absl::StrCat("'", value, "' is not one of 1, true, 0 and false"));
}

void Set(CLI::Option& option, const std::vector<std::string>& words) {
  for (const std::string& word : words) option.add_result(word);
  if (!words.empty()) option.run_callback();
}

// Returns whether the option needs another option that is not set.
bool LacksNeeded(const CLI::Option& option) {
  const std::set<CLI::Option*> needs = option.get_needs();
  return std::any_of(needs.begin(), needs.end(), [](const CLI::Option* needed) {
    return needed->count() == 0;
  });
}

// Returns whether an option is set that excludes this one.
bool IsExcluded(const CLI::Option& option) {
  const std::set<CLI::Option*> excludes = option.get_excludes();
  return std::any_of(excludes.begin(), excludes.end(),
                     [](const CLI::Option* o) { return o->count() != 0; });
}

// Returns whether the option's variable is not for this call: GEMMA_OUTPUT
// names the file of a --batch, not of each answer of `gemma run`.
bool IsForBatch(const CLI::App& command, const CLI::Option& option) {
  const CLI::Option* batch = command.get_option_no_throw("--batch");
  return batch != nullptr && batch->count() == 0 &&
         option.check_lname("output");
}

// If a variable sets the model, the only word of the command line may be the
// second argument, or the first of the words that the second argument collects:
// moves it there.
void ShiftArguments(CLI::App& command) {
  const std::vector<CLI::Option*> arguments = command.get_options(
      [](CLI::Option* option) { return option->get_positional(); });
  if (arguments.size() < 2 || arguments[0]->get_name() != kModel ||
      arguments[0]->count() == 0 ||
      (arguments[1]->count() != 0 && !Repeats(*arguments[1])) ||
      EnvironmentValue(VariableOf(*arguments[0])).empty()) {
    return;
  }
  const std::string text = arguments[0]->results()[0];
  const bool wants_file = arguments[1]->get_type_name() == "FILE";
  if (NamesModel(text) && !(wants_file && IsOtherFile(text))) return;
  std::vector<std::string> texts = arguments[1]->results();
  texts.insert(texts.begin(), text);
  arguments[0]->clear();
  arguments[1]->clear();
  Set(*arguments[1], texts);
}

// Whether `names` has the option's name, "--top-k" or "PROMPT".
bool IsNamed(const CLI::Option& option, const std::vector<std::string>& names) {
  const std::string name =
      option.get_positional() || option.get_lnames().empty()
          ? option.get_name()
          : absl::StrCat("--", option.get_lnames()[0]);
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool IsFound(const std::string& model) {
  const absl::StatusOr<std::string> path = ResolveModel(model);
  return path.ok() && access(path->c_str(), F_OK) == 0;
}

// The same error, whose message begins with the variable.
absl::Status WithCause(const absl::Status& status, std::string_view variable) {
  absl::Status named(status.code(),
                     absl::StrCat(variable, ": ", status.message()));
  status.ForEachPayload([&named](std::string_view url, const absl::Cord& text) {
    named.SetPayload(url, text);
  });
  return named;
}

}  // namespace

std::string VariableOf(const CLI::Option& option) {
  std::string name(kModel);
  if (!option.get_configurable()) return "";
  if (!option.get_positional()) {
    if (option.get_lnames().empty()) return "";
    name = option.get_lnames()[0];
  } else if (option.get_name() != kModel) {
    return "";
  }
  for (const std::string_view other : {"help", "help-all", "version"}) {
    if (name == other) return "";
  }
  return absl::StrCat(
      kPrefix, absl::AsciiStrToUpper(absl::StrReplaceAll(name, {{"-", "_"}})));
}

void Environment::Relax() {
  for (CLI::Option* option : command_.get_options({})) {
    const std::string variable = VariableOf(*option);
    if (!variable.empty() && !EnvironmentValue(variable).empty()) {
      option->required(false);
    }
    const std::set<CLI::Option*> needs = option->get_needs();
    for (CLI::Option* needed : needs) {
      if (!EnvironmentValue(VariableOf(*needed)).empty()) {
        option->remove_needs(needed);
      }
    }
  }
}

void Environment::Apply() {
  ShiftArguments(command_);
  for (CLI::Option* option : command_.get_options({})) {
    const std::string variable = VariableOf(*option);
    if (variable.empty() || option->count() != 0 ||
        overridden_.count(variable) != 0) {
      continue;
    }
    const std::string value = EnvironmentValue(variable);
    if (value.empty() || LacksNeeded(*option) || IsExcluded(*option) ||
        IsForBatch(command_, *option)) {
      continue;
    }
    applied_.push_back(option);
    const std::vector<std::string> words = Words(*option, variable, value);
    try {
      Set(*option, words);
    } catch (const CLI::ParseError& error) {
      // "--top-k: 'x' is not a number"
      throw CLI::ValidationError(
          variable, std::string(absl::StripPrefix(
                        error.what(), absl::StrCat(option->get_name(), ": "))));
    }
  }
}

std::vector<std::string> Environment::Overridden(
    const absl::Status& status) const {
  if (!IsUsageError(status)) return {};
  const std::vector<std::string> wrong = OptionsOf(status);
  std::vector<std::string> variables;
  // What an option needs and has not got is no fault of the command line.
  bool is_fault_of_variable = IsNeeds(status);
  for (const CLI::Option* option : command_.get_options({})) {
    if (option->count() == 0 || !IsNamed(*option, wrong)) continue;
    if (std::find(applied_.begin(), applied_.end(), option) == applied_.end()) {
      is_fault_of_variable = true;
    } else {
      variables.push_back(VariableOf(*option));
    }
  }
  if (!is_fault_of_variable) return {};
  return variables;
}

absl::Status Environment::Explain(absl::Status status) const {
  for (const CLI::Option* option : applied_) {
    if (!option->get_positional()) continue;
    const std::string variable = VariableOf(*option);
    if (!IsFound(EnvironmentValue(variable)))
      return WithCause(status, variable);
  }
  if (!IsUsageError(status)) return status;
  const std::vector<std::string> wrong = OptionsOf(status);
  std::vector<std::string> culprits;
  for (const CLI::Option* option : applied_) {
    if (option->get_positional()) continue;
    const std::string name = absl::StrCat("--", option->get_lnames()[0]);
    if (std::find(wrong.begin(), wrong.end(), name) == wrong.end()) continue;
    const std::string variable = VariableOf(*option);
    culprits.push_back(
        absl::StrCat(variable, " is '", EnvironmentValue(variable), "'"));
  }
  if (culprits.empty()) return status;
  return WithCure(std::move(status), absl::StrJoin(culprits, ", "));
}

}  // namespace gemma::tools

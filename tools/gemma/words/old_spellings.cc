#include "tools/gemma/words/old_spellings.h"

#include <stdlib.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/system_text.h"
#include "tools/gemma/words/unknown_words.h"

namespace gemma::tools {
namespace {

constexpr char kFormVariable[] = "GEMMA_OUTPUT_FORMAT";
constexpr std::string_view kOldOption = "--output-format";

// Words that tools use for forms. After -o they are not the names of files.
constexpr std::string_view kFormWords[] = {
    "text", "json", "jsonl", "csv", "md", "markdown", "npy", "sql", "table"};

bool IsFormWord(std::string_view word) {
  return std::find(std::begin(kFormWords), std::end(kFormWords), word) !=
         std::end(kFormWords);
}

// The forms of a command's result: "text", and those with a flag.
std::vector<std::string> FormsOf(const CLI::App& command) {
  if (command.get_option_no_throw("--json") == nullptr) return {};
  std::vector<std::string> forms = {"text"};
  for (const std::string name : {"json", "npy", "csv"}) {
    if (command.get_option_no_throw("--" + name) != nullptr) {
      forms.push_back(name);
    }
  }
  // Its text is a table in Markdown, which llama-bench calls so.
  if (command.get_name() == "bench") forms.emplace_back("md");
  return forms;
}

bool IsText(std::string_view form) { return form == "text" || form == "md"; }

// A word that may be an option for the form, with its value.
struct Old {
  std::string option;
  std::string form;
  size_t words = 1;   // 2 if the value is the next word
  std::string flags;  // before -o in the same word: "-q" of "-qo"
};

std::optional<Old> ReadOld(const CLI::App& command,
                           const std::vector<std::string>& words, size_t at) {
  const std::string& word = words[at];
  for (const std::string_view option : {"--output", kOldOption.data()}) {
    if (absl::StartsWith(word, absl::StrCat(option, "="))) {
      return Old{std::string(option), word.substr(option.size() + 1)};
    }
    if (word == option && at + 1 < words.size()) {
      return Old{word, words[at + 1], 2};
    }
  }
  if (word == "-o" && at + 1 < words.size()) return Old{word, words[at + 1], 2};
  const CLI::Option* option = OptionNamed(command, word);
  if (option != nullptr && option->check_lname("output") &&
      !absl::StartsWith(word, "--") && ValueFollows(*option, word) &&
      at + 1 < words.size()) {
    return Old{"-o", words[at + 1], 2, word.substr(0, word.size() - 1)};
  }
  if (!absl::StartsWith(word, "-o")) return std::nullopt;
  return Old{"-o", std::string(absl::StripPrefix(word.substr(2), "="))};
}

absl::Status WrongForm(const CLI::App& command, const Old& old,
                       const std::vector<std::string>& forms) {
  absl::Status status = UsageError(absl::StrCat(
      command.get_name(), " ", old.option, ": '", old.form,
      forms.empty()
          ? "' is the name of a form, and there is only text"
          : absl::StrCat("' is not one of ", absl::StrJoin(forms, "|"))));
  return WithCure(std::move(status),
                  absl::StrCat("-o ./", old.form, " names a file"));
}

// Returns the words for `form`, which is one of the command's, and says so.
std::vector<std::string> Replace(const Old& old, std::string* note) {
  if (IsText(old.form)) {
    // It overrides variables, as options do.
    for (const char* variable :
         {kFormVariable, "GEMMA_JSON", "GEMMA_NPY", "GEMMA_CSV"}) {
      unsetenv(variable);
    }
    *note = absl::StrCat(old.option, " ", old.form,
                         ": text is the default and needs no option");
    return {};
  }
  *note = absl::StrCat(old.option, " ", old.form, " is now spelled --",
                       old.form, " (-o ./", old.form, " names a file)");
  return {absl::StrCat("--", old.form)};
}

// Renames an option of before in its place: bench's --batch, which other
// commands have for a file.
void Rename(const CLI::App& command, std::string* word, SpelledWords* result) {
  constexpr std::string_view kOld = "--batch";
  if (command.get_option_no_throw("--batch") != nullptr ||
      command.get_option_no_throw("--batch-size") == nullptr ||
      std::string_view(*word).substr(0, word->find('=')) != kOld) {
    return;
  }
  word->insert(kOld.size(), "-size");
  result->notes.emplace_back("--batch is now spelled --batch-size");
}

}  // namespace

absl::StatusOr<SpelledWords> NewSpellings(
    const CLI::App& command, const std::vector<std::string>& words) {
  const std::vector<std::string> forms = FormsOf(command);
  SpelledWords result;
  const bool has_output = command.get_option_no_throw("--output") != nullptr;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--") {
      result.words.insert(result.words.end(), words.begin() + i, words.end());
      break;
    }
    const std::optional<Old> old =
        has_output ? ReadOld(command, words, i) : std::nullopt;
    const bool is_form =
        old.has_value() && (IsFormWord(old->form) || old->option == kOldOption);
    if (is_form) {
      if (std::find(forms.begin(), forms.end(), old->form) == forms.end()) {
        return WrongForm(command, *old, forms);
      }
      if (!old->flags.empty()) result.words.push_back(old->flags);
      for (std::string& word : Replace(*old, &result.notes.emplace_back())) {
        result.words.push_back(std::move(word));
      }
      i += old->words - 1;
      continue;
    }
    std::string& word = result.words.emplace_back(words[i]);
    Rename(command, &word, &result);
    const CLI::Option* option = OptionNamed(command, word);
    if (option != nullptr && ValueFollows(*option, word) &&
        i + 1 < words.size()) {
      result.words.push_back(words[++i]);
    }
  }
  return result;
}

absl::StatusOr<std::string> ReadFormVariable(const CLI::App& command) {
  const std::string form = EnvironmentValue(kFormVariable);
  const std::vector<std::string> forms = FormsOf(command);
  if (form.empty() || forms.empty()) return "";
  if (std::find(forms.begin(), forms.end(), form) == forms.end()) {
    return UsageError(absl::StrCat(kFormVariable, ": '", form,
                                   "' is not one of ",
                                   absl::StrJoin(forms, "|")));
  }
  if (IsText(form)) return "";
  const std::string variable =
      absl::StrCat("GEMMA_", absl::AsciiStrToUpper(form));
  setenv(variable.c_str(), "1", /*overwrite=*/0);
  return absl::StrCat(kFormVariable, "=", form, " is now spelled ", variable,
                      "=1");
}

}  // namespace gemma::tools

#include "tools/gemma/words/joined_values.h"

#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/words/unknown_words.h"

namespace gemma::tools {
namespace {

bool IsSwitch(const CLI::Option& option) {
  return option.get_items_expected_max() == 0;
}

absl::Status TakesNoValue(const CLI::Option& option, std::string_view name,
                          std::string_view value) {
  absl::Status status =
      UsageError(absl::StrCat(name, " takes no value, found '", value, "'"));
  if (!option.check_lname("decode")) return status;
  return WithCure(std::move(status),
                  absl::StrCat("the ids follow: gemma tokenize MODEL --decode ",
                               value.empty() ? "9259" : value));
}

// Appends "-qn=5" as "-qn", "5", and other words as they are.
absl::Status AppendShort(const CLI::App& command, const std::string& word,
                         std::vector<std::string>* words) {
  const size_t equals = word.find('=');
  for (size_t i = 1; i < equals; ++i) {
    const std::string name = {'-', word[i]};
    const CLI::Option* option = command.get_option_no_throw(name);
    if (option == nullptr) break;  // CheckOptions says so
    if (i + 1 < equals) {
      if (IsSwitch(*option)) continue;
      break;  // the value begins before "="
    }
    const std::string value = word.substr(equals + 1);
    if (IsSwitch(*option)) return TakesNoValue(*option, name, value);
    words->push_back(word.substr(0, equals));
    words->push_back(value);
    return absl::OkStatus();
  }
  words->push_back(word);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> SeparateValues(
    const CLI::App& command, const std::vector<std::string>& words) {
  std::vector<std::string> result;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      result.insert(result.end(), words.begin() + i, words.end());
      break;
    }
    const size_t equals = word.find('=');
    if (word.size() > 1 && word[0] == '-' && word[1] != '-' &&
        equals != std::string::npos) {
      const absl::Status status = AppendShort(command, word, &result);
      if (!status.ok()) return status;
      continue;
    }
    result.push_back(word);
    const CLI::Option* option = OptionNamed(command, word);
    if (option == nullptr) continue;
    if (IsSwitch(*option) && absl::StartsWith(word, "--") &&
        equals != std::string::npos) {
      return TakesNoValue(*option, word.substr(0, equals),
                          word.substr(equals + 1));
    }
    if (ValueFollows(*option, word) && i + 1 < words.size()) {
      result.push_back(words[++i]);
    }
  }
  return result;
}

}  // namespace gemma::tools

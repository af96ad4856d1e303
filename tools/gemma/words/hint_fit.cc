#include "tools/gemma/words/hint_fit.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace gemma::tools {
namespace {

// Words of fewer letters, such as -to and -TO, are not alike.
constexpr size_t kMinLetters = 3;

// "topk" of "--top-k", "--topK" and "-top_k".
std::string LettersOf(std::string_view option) {
  return absl::StrReplaceAll(absl::AsciiStrToLower(option),
                             {{"-", ""}, {"_", ""}});
}

bool Contains(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// "--top-k" of "(--top-k,"
std::string_view WithoutMarks(std::string_view word) {
  constexpr std::string_view kMarks = "(,;:)";
  const size_t begin = word.find_first_not_of(kMarks);
  if (begin == std::string_view::npos) return "";
  return word.substr(begin, word.find_last_not_of(kMarks) + 1 - begin);
}

}  // namespace

bool AreAlike(std::string_view one, std::string_view other) {
  const std::string letters = LettersOf(one);
  return letters.size() >= kMinLetters && letters == LettersOf(other);
}

std::vector<std::string> OwnOptionsIn(std::string_view hint) {
  if (absl::StartsWith(hint, "--")) hint = hint.substr(0, hint.find(" ("));
  std::vector<std::string> options;
  bool is_other = false;  // after "gemma run", until the clause ends
  for (const std::string_view word : absl::StrSplit(hint, ' ')) {
    const std::string_view name = WithoutMarks(word);
    if (name == "gemma") is_other = true;
    if (!is_other && name.size() > 1 && name[0] == '-') {
      options.emplace_back(name);
    }
    if (absl::EndsWith(word, ":") || absl::EndsWith(word, ";")) {
      is_other = false;
    }
  }
  return options;
}

bool Fits(std::string_view hint, std::string_view about,
          std::string_view command, const std::vector<std::string>& own) {
  const std::vector<std::string_view> words =
      absl::StrSplit(about, ' ', absl::SkipEmpty());
  const auto counts = [&](std::string_view word) {
    return word == command || Contains(own, word) ||
           (own.empty() && absl::StartsWith(word, "-"));
  };
  if (!words.empty() && std::none_of(words.begin(), words.end(), counts)) {
    return false;
  }
  const std::vector<std::string> named = OwnOptionsIn(hint);
  return std::all_of(
      named.begin(), named.end(),
      [&](const std::string& option) { return Contains(own, option); });
}

}  // namespace gemma::tools

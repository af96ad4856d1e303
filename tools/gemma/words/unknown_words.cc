#include "tools/gemma/words/unknown_words.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/help/option_table.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/nearest.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/pull/resolve.h"
#include "tools/gemma/words/command_habits.h"
#include "tools/gemma/words/habits.h"

namespace gemma::tools {
namespace {

// "--temp" of "--temp=0"
std::string_view NameOf(std::string_view word) {
  return word.substr(0, word.find('='));
}

const CLI::Option* FindShort(const CLI::App& command, char letter) {
  return command.get_option_no_throw(std::string{'-', letter});
}

bool TakesValue(const CLI::Option& option) {
  return option.get_items_expected_max() > 0;
}

// "-v", "-qv", or "-n5": flags, and at the end perhaps an option whose value
// follows. -h stands alone, so that no other word prints the help.
const CLI::Option* LastOfShortOptions(const CLI::App& command,
                                      std::string_view word) {
  const CLI::Option* option = nullptr;
  for (const char letter : word.substr(1)) {
    option = FindShort(command, letter);
    if (option == nullptr || (letter == 'h' && word.size() > 2)) return nullptr;
    if (TakesValue(*option)) return option;
  }
  return option;
}

// Whether a word is "-cb" rather than -c with the value "b": a word of another
// tool, or a number that begins with a letter.
bool IsOtherWord(const CLI::Option& option, std::string_view word) {
  if (absl::StartsWith(word, "--") || NameOf(word).size() < 3) return false;
  if (IsOptionElsewhere(NameOf(word))) return true;
  const std::string type = option.get_type_name();
  const bool is_number = type == "N" || type == "X" || type == "N[,N...]";
  return is_number && option.check_sname(std::string(1, word[1])) &&
         absl::ascii_isalpha(word[2]);
}

std::vector<std::string> OptionsOf(const CLI::App& command) {
  std::vector<std::string> names;
  for (const OptionEntry& entry : DescribeCommand(command).options) {
    for (std::string& name : entry.Spellings()) {
      names.push_back(std::move(name));
    }
  }
  return names;
}

// "gemma run"
std::string FullName(const CLI::App& command) {
  if (command.get_name() == kCommandName) return std::string(kCommandName);
  return absl::StrCat(kCommandName, " ", command.get_name());
}

std::string Lists(const CLI::App& command) {
  const bool is_root = command.get_name() == kCommandName;
  return absl::StrCat(FullName(command), is_root ? " --help" : " --help-all",
                      " lists the options");
}

absl::Status UnknownOption(const CLI::App& command, std::string_view word) {
  const std::string_view name = NameOf(word);
  const std::vector<std::string> own = OptionsOf(command);
  const std::string hint = HintOn(command, name);
  const std::string guess =
      hint.empty() && absl::StartsWith(name, "--") ? DidYouMean(name, own) : "";
  const bool is_root = command.get_name() == kCommandName;
  return WithCure(
      UsageError(absl::StrCat(
          is_root ? "no" : absl::StrCat(command.get_name(), " has no"),
          " option ", name, guess)),
      hint.empty() ? Lists(command) : hint);
}

}  // namespace

std::vector<std::string> OwnWordsOf(const CLI::App& command) {
  std::vector<std::string> own = OptionsOf(command);
  for (const OptionEntry& argument : DescribeCommand(command).arguments) {
    own.push_back(argument.argument);
  }
  return own;
}

std::string HintOn(const CLI::App& command, std::string_view option) {
  return OptionHint(option, command.get_name(), OwnWordsOf(command));
}

bool AsksForHelp(absl::Span<const std::string> words) {
  return std::any_of(words.begin(), std::find(words.begin(), words.end(), "--"),
                     [](const std::string& word) {
                       return word == "--help" || word == "-h" ||
                              word == "--help-all";
                     });
}

const CLI::Option* OptionNamed(const CLI::App& command, std::string_view word) {
  // "-" is standard input, and "-1" a number.
  if (word.size() < 2 || word[0] != '-' || absl::ascii_isdigit(word[1]) ||
      word[1] == '.') {
    return nullptr;
  }
  if (absl::StartsWith(word, "--")) {
    return command.get_option_no_throw(std::string(NameOf(word)));
  }
  return LastOfShortOptions(command, word);
}

bool ValueFollows(const CLI::Option& option, std::string_view word) {
  if (!TakesValue(option)) return false;
  if (absl::StartsWith(word, "--")) return !absl::StrContains(word, '=');
  return option.check_sname(std::string(1, word.back()));
}

absl::Status CheckOptions(const CLI::App& command,
                          absl::Span<const std::string> words) {
  if (AsksForHelp(words)) return absl::OkStatus();
  const auto end = std::find(words.begin(), words.end(), "--");
  for (auto word = words.begin(); word != end; ++word) {
    // "-" is standard input, and "-1" a number.
    if (word->size() < 2 || (*word)[0] != '-' ||
        absl::ascii_isdigit((*word)[1]) || (*word)[1] == '.') {
      continue;
    }
    const CLI::Option* option = OptionNamed(command, *word);
    if (option == nullptr || IsOtherWord(*option, *word)) {
      return UnknownOption(command, *word);
    }
    if (ValueFollows(*option, *word) && word + 1 != end) ++word;
  }
  return absl::OkStatus();
}

absl::Status CheckCommandFirst(const CLI::App& root,
                               absl::Span<const std::string> words) {
  if (words.empty() || !absl::StartsWith(words[0], "-") || AsksForHelp(words) ||
      OptionNamed(root, words[0]) != nullptr) {
    return absl::OkStatus();
  }
  for (const std::string& word : words) {
    for (const CLI::App* command : root.get_subcommands({})) {
      if (command->get_name() != word) continue;
      return WithCure(UsageError(absl::StrCat("no option ", NameOf(words[0]),
                                              " before the command")),
                      absl::StrCat("options follow the command: ",
                                   FullName(*command), " ... ", words[0]));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckArgumentOrder(const CLI::App& command) {
  const std::vector<OptionEntry> arguments = DescribeCommand(command).arguments;
  if (arguments.size() < 2 || arguments[0].argument != "MODEL") {
    return absl::OkStatus();
  }
  const auto value = [&](const std::string& argument) {
    const CLI::Option* option = command.get_option_no_throw(argument);
    return option == nullptr || option->count() == 0 ? ""
                                                     : option->results()[0];
  };
  const std::string model = value("MODEL");
  const std::string text = value(arguments[1].argument);
  if (model.empty() || text.empty() || NamesModel(model) ||
      !LooksLikeModel(text)) {
    return absl::OkStatus();
  }
  return WithCure(
      absl::NotFoundError(
          absl::StrCat(Quoted(model), ": No such file or directory")),
      absl::StrCat("the model comes first: ", FullName(command), " ", text,
                   arguments[1].argument == "FILE"
                       ? " FILE"
                       : absl::StrCat(" \"", arguments[1].argument, "\"")));
}

absl::Status UnknownCommand(const CLI::App& root, const std::string& word) {
  std::vector<std::string> names;
  const std::string lower = absl::AsciiStrToLower(word);
  std::string hint(CommandHint(lower));
  for (const CLI::App* command : root.get_subcommands({})) {
    names.push_back(command->get_name());
    if (hint.empty() && command->get_option_no_throw("--" + word) != nullptr) {
      hint = absl::StrCat(FullName(*command), " has --", word, ": gemma help ",
                          word, " explains it");
    }
  }
  if (hint.empty() && LooksLikeModel(word)) {
    hint = absl::StrCat("gemma run ", word, " \"TEXT\"");
  }
  return WithCure(
      UsageError(absl::StrCat("no command '", word, "'",
                              hint.empty() ? DidYouMean(lower, names) : "")),
      hint.empty() ? "gemma --help lists the commands" : hint);
}

std::string FlagBefore(const CLI::App& command,
                       absl::Span<const std::string> all,
                       const std::string& surplus) {
  // A prompt rather than a file
  if (!absl::StrContains(surplus, '.') || absl::StrContains(surplus, ' ')) {
    return "";
  }
  for (size_t i = 1; i < all.size(); ++i) {
    const CLI::Option* option = OptionNamed(command, all[i - 1]);
    if (all[i] != surplus || option == nullptr || TakesValue(*option)) continue;
    const bool has_output = command.get_option_no_throw("--output") != nullptr;
    return absl::StrCat(
        all[i - 1], " takes no value",
        has_output ? "; -o FILE writes the result to FILE" : "");
  }
  return "";
}

absl::Status SurplusArguments(const CLI::App& command,
                              const std::vector<std::string>& words) {
  std::vector<std::string> takes;
  for (const OptionEntry& argument : DescribeCommand(command).arguments) {
    takes.push_back(argument.argument);
  }
  const bool reads_file =
      command.get_option_no_throw("--file") != nullptr && IsOtherFile(words[0]);
  const std::string text = takes.size() > 1 ? takes[1] : "";
  const bool reads_text = text == "PROMPT" || text == "TEXT";
  const bool reads_ids = command.get_option_no_throw("--tokens") != nullptr;
  return WithCure(
      UsageError(absl::StrCat(
          command.get_name(), " takes ",
          takes.empty() ? "options only" : absl::StrJoin(takes, " "),
          ", found more: '", absl::StrJoin(words, "' '"), "'")),
      words[0] == kStdinArgument
          ? absl::StrCat(FullName(command),
                         " ... < FILE: standard input needs no \"-\"")
      : reads_ids
          ? "gemma tokenize MODEL --bos \"TEXT\" prints the ids for --tokens"
      : reads_file ? absl::StrCat("--file ", words[0], " reads a file")
      : reads_text ? absl::StrCat("quote a ", absl::AsciiStrToLower(text),
                                  " of several words: gemma ",
                                  command.get_name(), " MODEL \"TEXT\"")
      : command.get_name() == "chat"
          ? "gemma run MODEL \"TEXT\" answers a message of the command line"
          : Lists(command));
}

}  // namespace gemma::tools

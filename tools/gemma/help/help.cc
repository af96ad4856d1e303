#include "tools/gemma/help/help.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tools/gemma/cli/parts.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/help/option_table.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

constexpr size_t kColumn = 26;  // where descriptions begin
constexpr size_t kWidth = 80;
constexpr size_t kShort = 80;  // lines that a help may have in one piece
constexpr size_t kExamplesFirst = 2;

constexpr std::string_view kOften = "Often used";
constexpr std::string_view kMachine = "Machine and numbers";

struct Group {
  std::string_view title;
  std::vector<std::string_view> options;
};

// The groups of options, in the order of the help; all others are often used.
const std::vector<Group>& Groups() {
  static const std::vector<Group>& groups = *new std::vector<Group>{
      {kOften, {}},
      {"Sampling",
       {"top-k", "top-p", "min-p", "typical-p", "repetition-penalty",
        "frequency-penalty", "presence-penalty", "penalty-window", "logit-bias",
        "stop", "speculate", "timeout"}},
      {"Output",
       {"regex", "choice", "logprobs", "score-prompt", "parse-control",
        "chat-template", "markdown", "force"}},
      {"Many prompts", {"batch-size"}},
      {"Access",
       {"api-key-file", "no-auth", "allow-host", "cors", "tls-cert", "tls-key",
        "no-page", "log-prompts"}},
      {"Limits",
       {"max-queued", "max-queued-per-client", "max-body", "max-response",
        "max-connections", "max-connections-per-address", "head-timeout",
        "body-timeout", "idle-timeout", "write-timeout", "ping", "grace"}},
      {"Guard",
       {"guard", "guard-threshold", "guard-policy", "guard-policy-file",
        "guard-wording"}},
      {"Filling a gap",
       {"fill-prefix", "fill-suffix", "fill-path", "fill-file"}},
      {"Features", {"steer", "ablate", "sae-type"}},
      {kMachine,
       {"decode-threads", "chunk", "recurrent-window", "cache-type",
        "activations", "quantize", "deterministic", "simd", "ignore-memory"}},
  };
  return groups;
}

const Group& GroupOf(const OptionEntry& option) {
  for (const Group& group : Groups()) {
    if (std::find(group.options.begin(), group.options.end(),
                  option.long_name) != group.options.end()) {
      return group;
    }
  }
  return Groups()[0];
}

// How much a help shows.
enum class Extent {
  kOften,  // the options that are often used
  kWords,  // all options that are not about the machine
  kAll,
};

bool Shows(Extent extent, const Group& group) {
  return extent == Extent::kAll || group.title == kOften ||
         (extent == Extent::kWords && group.title != kMachine);
}

bool HasMachineOptions(const CommandEntry& command) {
  return std::any_of(command.options.begin(), command.options.end(),
                     [](const OptionEntry& option) {
                       return GroupOf(option).title == kMachine;
                     });
}

// Appends `left` and, from the column on, `text` in lines of the width.
void AppendEntry(std::string_view left, std::string_view text,
                 std::string* help) {
  absl::StrAppend(help, "  ", left);
  size_t column = 2 + left.size();
  bool is_new_line = false;
  const auto start = [&] {
    if (column + 2 > kColumn) {
      absl::StrAppend(help, "\n");
      column = 0;
    }
    help->append(kColumn - column, ' ');
    column = kColumn;
    is_new_line = true;
  };
  start();
  for (const std::string_view word :
       absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    if (!is_new_line && column + 1 + word.size() > kWidth) start();
    absl::StrAppend(help, is_new_line ? "" : " ", word);
    column += word.size() + (is_new_line ? 0 : 1);
    is_new_line = false;
  }
  absl::StrAppend(help, "\n");
}

// "-n, --max-tokens N"
std::string Spelling(const OptionEntry& option) {
  if (!option.argument.empty()) return option.argument;
  return absl::StrCat(absl::StrJoin(option.Spellings(), ", "),
                      option.value.empty() ? "" : " ", option.value);
}

std::string Description(const OptionEntry& option) {
  if (option.default_text.empty()) return option.description;
  return absl::StrCat(option.description, " (default: ", option.default_text,
                      ")");
}

void AppendOptions(const CommandEntry& command, Extent extent,
                   std::string* help) {
  if (!command.arguments.empty()) absl::StrAppend(help, "\nArguments:\n");
  for (const OptionEntry& argument : command.arguments) {
    AppendEntry(Spelling(argument), Description(argument), help);
  }
  const bool has_groups = std::any_of(
      command.options.begin(), command.options.end(),
      [](const OptionEntry& o) { return GroupOf(o).title != kOften; });
  for (const Group& group : Groups()) {
    if (!Shows(extent, group)) continue;
    std::string text;
    for (const OptionEntry& option : command.options) {
      if (&GroupOf(option) == &group) {
        AppendEntry(Spelling(option), Description(option), &text);
      }
    }
    if (text.empty()) continue;
    absl::StrAppend(help, "\n", has_groups ? group.title : "Options", ":\n",
                    text);
  }
}

// The parts of a command's footer.
struct Footer {
  std::string text;                   // without the examples
  std::vector<std::string> examples;  // each may have several lines
};

Footer SplitFooter(std::string_view footer) {
  Footer parts;
  size_t begin = footer.find("Examples:\n");
  if (begin == std::string_view::npos) begin = footer.find("Example:\n");
  parts.text = std::string(absl::StripAsciiWhitespace(footer.substr(0, begin)));
  if (begin == std::string_view::npos) return parts;
  footer.remove_prefix(begin);
  footer.remove_prefix(footer.find('\n') + 1);
  bool continues = false;
  for (const std::string_view line : absl::StrSplit(footer, '\n')) {
    if (!absl::StartsWith(line, "  ")) break;
    if (continues) {
      absl::StrAppend(&parts.examples.back(), "\n", line);
    } else {
      parts.examples.emplace_back(line);
    }
    continues = absl::EndsWith(line, "\\");
  }
  return parts;
}

std::string Usage(const CommandEntry& command) {
  std::string usage =
      absl::StrCat("Usage: ", kCommandName, " ", command.name, " [OPTIONS]");
  for (const OptionEntry& argument : command.arguments) {
    const char* bracket = argument.required ? "" : "[";
    absl::StrAppend(&usage, " ", bracket, argument.argument,
                    argument.repeatable ? "..." : "",
                    argument.required ? "" : "]");
  }
  return usage;
}

std::string HelpOfRoot(const CLI::App& root) {
  std::string help =
      absl::StrCat(root.get_description(), "\n\nUsage: ", kCommandName,
                   " COMMAND [OPTIONS]\n\nCommands:\n");
  for (const CommandEntry& command : DescribeCommands(root)) {
    absl::StrAppendFormat(&help, "  %-12s%s\n", command.name,
                          command.description);
  }
  absl::StrAppend(&help, "\nOptions:\n");
  for (const OptionEntry& option : DescribeCommand(root).options) {
    AppendEntry(Spelling(option), Description(option), &help);
  }
  return absl::StrCat(help, "\n", root.get_footer());
}

// "top-k" of "top-k", "--Top_K" or "-k": the long name of an option, or the
// topic as it is.
std::string NameOfTopic(const std::vector<CommandEntry>& commands,
                        std::string_view topic) {
  if (topic.size() == 2 && topic[0] == '-') {
    for (const CommandEntry& command : commands) {
      for (const OptionEntry& option : command.options) {
        if (option.short_name == topic.substr(1)) return option.long_name;
      }
    }
  }
  std::string name = absl::AsciiStrToLower(topic);
  name = absl::StrReplaceAll(name, {{"_", "-"}});
  name.erase(0, name.find_first_not_of('-'));
  return name;
}

}  // namespace

std::string HelpOf(const CLI::App& app, bool all) {
  if (app.get_name() == kCommandName) return HelpOfRoot(app);
  if (const absl::Status built = CheckBuilt(app.get_name()); !built.ok()) {
    return absl::StrCat(built.message(), "\n", CureOf(built), "\n");
  }
  const CommandEntry command = DescribeCommand(app);
  const Footer footer = SplitFooter(command.footer);
  const auto make = [&](Extent extent) {
    std::string help = absl::StrCat(command.description, ":\n");
    const size_t shown = extent != Extent::kOften
                             ? footer.examples.size()
                             : std::min(kExamplesFirst, footer.examples.size());
    for (size_t i = 0; i < shown; ++i) {
      absl::StrAppend(&help, footer.examples[i], "\n");
    }
    absl::StrAppend(&help, "\n", Usage(command), "\n");
    AppendOptions(command, extent, &help);
    if (extent != Extent::kOften && !footer.text.empty()) {
      absl::StrAppend(&help, "\n", footer.text, "\n");
    }
    if (extent != Extent::kAll) {
      absl::StrAppend(&help, "\n", kCommandName, " ", command.name,
                      " --help-all lists all options",
                      extent == Extent::kOften ? " and explains them" : "",
                      ".\n");
    }
    return help;
  };
  if (all) return make(Extent::kAll);
  const std::string help =
      make(HasMachineOptions(command) ? Extent::kWords : Extent::kAll);
  const auto lines = std::count(help.begin(), help.end(), '\n');
  return lines <= static_cast<ptrdiff_t>(kShort) ? help : make(Extent::kOften);
}

std::string HelpOnTopic(const CLI::App& root, std::string_view topic) {
  const std::vector<CommandEntry> commands = DescribeCommands(root);
  const std::string name = NameOfTopic(commands, topic);
  const auto is_option = [&](const OptionEntry& option) {
    return option.long_name == name;
  };
  const auto has_option = [&](const CommandEntry& command) {
    return std::any_of(command.options.begin(), command.options.end(),
                       is_option);
  };
  // --sae belongs to scope, though run comes first and has --sae-type.
  const bool is_exact =
      std::any_of(commands.begin(), commands.end(), has_option);
  const auto has_name = [&](const OptionEntry& option) {
    return is_option(option) ||
           absl::StartsWith(option.long_name, absl::StrCat(name, "-"));
  };
  const auto in_group = [&](const OptionEntry& option) {
    const std::vector<std::string> title = absl::StrSplit(
        absl::AsciiStrToLower(GroupOf(option).title), absl::MaxSplits(' ', 1));
    return title[0] == name;
  };
  // The first command with the topic, or the first whose help explains it.
  std::string first;
  for (const CommandEntry& command : commands) {
    if (is_exact && !has_option(command)) continue;
    const bool is_name =
        std::any_of(command.options.begin(), command.options.end(), has_name);
    std::string help;
    for (const OptionEntry& option : command.options) {
      if (is_name ? has_name(option) : in_group(option)) {
        AppendEntry(Spelling(option), Description(option), &help);
      }
    }
    if (help.empty()) continue;
    bool explains = false;
    const std::string text = SplitFooter(command.footer).text;
    for (const std::string_view paragraph : absl::StrSplit(text, "\n\n")) {
      const std::string_view begin = paragraph.substr(0, paragraph.find('\n'));
      if (is_name && absl::StrContains(begin, absl::StrCat("--", name))) {
        absl::StrAppend(&help, "\n", paragraph, "\n");
        explains = true;
      }
    }
    if (!explains && !first.empty()) continue;
    first = absl::StrCat("Options of ", kCommandName, " ", command.name, ":\n",
                         help, "\n", kCommandName, " ", command.name,
                         " --help-all lists all options.\n");
    if (explains) break;
  }
  return first;
}

}  // namespace gemma::tools

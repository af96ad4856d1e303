#include "tools/gemma/help/option_table.h"

#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tools/gemma/cli/environment.h"

namespace gemma::tools {
namespace {

// The name of an argument decides its kind.
ValueKind KindOfArgument(std::string_view name) {
  for (const std::string_view model : {"MODEL", "SRC", "BASE", "OTHER"}) {
    if (name == model) return ValueKind::kModel;
  }
  if (name == "SOURCE") return ValueKind::kSource;
  if (name == "NAME") return ValueKind::kStored;
  return ValueKind::kText;
}

}  // namespace

OptionEntry DescribeOption(const CLI::Option& option) {
  OptionEntry entry;
  if (!option.get_snames().empty()) entry.short_name = option.get_snames()[0];
  if (!option.get_lnames().empty()) entry.long_name = option.get_lnames()[0];
  if (option.get_positional()) entry.argument = option.get_name();
  entry.value = option.get_type_name();
  entry.default_text = option.get_default_str();
  entry.description =
      absl::StrReplaceAll(option.get_description(), {{"\n", " "}});
  entry.variable = VariableOf(option);
  entry.required = option.get_required();
  entry.repeatable =
      option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
  if (option.get_items_expected_max() == 0) {
    entry.kind = ValueKind::kNone;
    entry.value.clear();
    entry.default_text.clear();
  } else if (absl::StartsWith(entry.value, "FILE")) {
    entry.kind = ValueKind::kFile;
  } else if (absl::StrContains(entry.value, '|')) {
    entry.kind = ValueKind::kChoice;
    entry.choices = absl::StrSplit(entry.value, '|');
  } else if (entry.value == "MODEL") {
    entry.kind = ValueKind::kModel;
  } else if (!entry.argument.empty()) {
    entry.kind = KindOfArgument(entry.argument);
  }
  return entry;
}

std::vector<std::string> OptionEntry::Spellings() const {
  std::vector<std::string> spellings;
  if (!short_name.empty()) spellings.push_back(absl::StrCat("-", short_name));
  if (!long_name.empty()) spellings.push_back(absl::StrCat("--", long_name));
  return spellings;
}

CommandEntry DescribeCommand(const CLI::App& command) {
  CommandEntry entry;
  entry.name = command.get_name();
  entry.description = command.get_description();
  entry.footer = command.get_footer();
  for (const CLI::Option* option : command.get_options({})) {
    (option->get_positional() ? entry.arguments : entry.options)
        .push_back(DescribeOption(*option));
  }
  return entry;
}

std::vector<CommandEntry> DescribeCommands(const CLI::App& root) {
  std::vector<CommandEntry> commands;
  for (const CLI::App* command : root.get_subcommands({})) {
    commands.push_back(DescribeCommand(*command));
  }
  return commands;
}

}  // namespace gemma::tools

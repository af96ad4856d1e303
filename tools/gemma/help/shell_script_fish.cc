#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "tools/gemma/help/shell_scripts.h"

namespace gemma::tools {
namespace {

std::string FishQuoted(std::string_view text) {
  return absl::StrCat(
      "'", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

// Returns the arguments of `complete` that complete a value.
std::string ValueWords(const OptionEntry& option) {
  switch (option.kind) {
    case ValueKind::kNone:
      return " -f";
    case ValueKind::kText:
      return " -x";
    case ValueKind::kChoice:
      return absl::StrCat(" -x -a '", absl::StrJoin(option.choices, " "), "'");
    case ValueKind::kFile:
      return " -r -F";
    case ValueKind::kModel:
      return absl::StrCat(" -F -a ",
                          FishQuoted(absl::StrCat("(", kListNames, ")")));
    case ValueKind::kSource:
      return absl::StrCat(" -f -a ",
                          FishQuoted(absl::StrCat("(", kListAllNames, ")")));
    case ValueKind::kStored:
      return absl::StrCat(" -f -a ",
                          FishQuoted(absl::StrCat("(", kListNames, ")")));
  }
  return "";
}

void AppendOption(const OptionEntry& option, std::string_view condition,
                  std::string* script) {
  absl::StrAppend(script, "complete -c gemma -n '", condition, "'");
  if (!option.short_name.empty()) {
    absl::StrAppend(script, " -s ", option.short_name);
  }
  if (!option.long_name.empty()) {
    absl::StrAppend(script, " -l ", option.long_name);
  }
  absl::StrAppend(script, ValueWords(option), " -d ",
                  FishQuoted(option.description), "\n");
}

}  // namespace

std::string FishScript(const CommandEntry& root,
                       const std::vector<CommandEntry>& commands) {
  std::string script =
      "# fish completion of gemma; made by: gemma completion fish\n\n"
      "complete -c gemma -f\n";
  for (const OptionEntry& option : root.options) {
    AppendOption(option, "__fish_use_subcommand", &script);
  }
  for (const CommandEntry& command : commands) {
    absl::StrAppend(
        &script, "complete -c gemma -n __fish_use_subcommand -f -a ",
        command.name, " -d ", FishQuoted(command.description), "\n");
  }
  for (const CommandEntry& command : commands) {
    const std::string condition =
        absl::StrCat("__fish_seen_subcommand_from ", command.name);
    absl::StrAppend(&script, "\n");
    for (const OptionEntry& option : command.options) {
      AppendOption(option, condition, &script);
    }
    // fish does not count arguments: complete only the first possible one.
    for (const OptionEntry& argument : command.arguments) {
      if (argument.kind == ValueKind::kText) continue;
      absl::StrAppend(&script, "complete -c gemma -n '", condition, "'",
                      ValueWords(argument), "\n");
      break;
    }
  }
  return script;
}

}  // namespace gemma::tools

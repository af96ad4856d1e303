#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "tools/gemma/help/shell_scripts.h"

namespace gemma::tools {
namespace {

// The part before the commands. @NAMES@ and @ALL_NAMES@ stand for kListNames
// and kListAllNames.
constexpr std::string_view kZshHead = R"zsh(#compdef gemma
# zsh completion of gemma; made by: gemma completion zsh

_gemma_stored() {
  local -a names
  names=(${(f)"$(@NAMES@)"})
  _wanted models expl 'pulled model' compadd -a names
}

_gemma_model() {
  _alternative 'models:pulled model:_gemma_stored' 'files:file:_files'
}

_gemma_source() {
  local -a names
  names=(${(f)"$(@ALL_NAMES@)"})
  _wanted models expl 'model that can be pulled' compadd -a names
}

_gemma() {
  local curcontext="$curcontext" state line expl
  local -a commands
)zsh";

// Escapes a text for use within '...' and [...].
std::string ZshQuoted(std::string_view text) {
  return absl::StrReplaceAll(
      text, {{"'", "'\\''"}, {"\\", "\\\\"}, {"[", "\\["}, {"]", "\\]"}});
}

// Escapes a text for use within '...' where colons separate parts.
std::string QuotedPart(std::string_view text) {
  return absl::StrReplaceAll(text,
                             {{"'", "'\\''"}, {"\\", "\\\\"}, {":", "\\:"}});
}

// Returns the name of a value and its completion: ":N:(a b)".
std::string ValueSpec(const OptionEntry& option) {
  const std::string name =
      QuotedPart(option.kind == ValueKind::kChoice ? "one of" : option.value);
  switch (option.kind) {
    case ValueKind::kNone:
      return "";
    case ValueKind::kText:
      return absl::StrCat(":", name, ": ");
    case ValueKind::kChoice:
      return absl::StrCat(":", name, ":(", absl::StrJoin(option.choices, " "),
                          ")");
    case ValueKind::kFile:
      return absl::StrCat(":", name, ":_files");
    case ValueKind::kModel:
      return absl::StrCat(":", name, ":_gemma_model");
    case ValueKind::kSource:
      return absl::StrCat(":", name, ":_gemma_source");
    case ValueKind::kStored:
      return absl::StrCat(":", name, ":_gemma_stored");
  }
  return "";
}

// "'(-t --threads)'{-t,--threads}'[help]:N: '"
std::string OptionSpec(const OptionEntry& option) {
  const std::vector<std::string> spellings = option.Spellings();
  std::string spec;
  if (option.repeatable) {
    spec = "'*'";
  } else {
    spec = absl::StrCat("'(", absl::StrJoin(spellings, " "), ")'");
  }
  absl::StrAppend(&spec,
                  spellings.size() > 1
                      ? absl::StrCat("{", absl::StrJoin(spellings, ","), "}")
                      : spellings[0]);
  return absl::StrCat(spec, "'[", ZshQuoted(option.description), "]",
                      ValueSpec(option), "'");
}

std::string ArgumentSpec(OptionEntry argument) {
  argument.value = argument.argument;
  return absl::StrCat("'", argument.required ? "" : ":", ValueSpec(argument),
                      "'");
}

void AppendSpecs(const CommandEntry& command, std::string_view indent,
                 std::string* script) {
  for (const OptionEntry& option : command.options) {
    absl::StrAppend(script, " \\\n", indent, OptionSpec(option));
  }
  for (const OptionEntry& argument : command.arguments) {
    absl::StrAppend(script, " \\\n", indent, ArgumentSpec(argument));
  }
}

}  // namespace

std::string ZshScript(const CommandEntry& root,
                      const std::vector<CommandEntry>& commands) {
  std::string script = absl::StrCat(
      absl::StrReplaceAll(
          kZshHead, {{"@NAMES@", kListNames}, {"@ALL_NAMES@", kListAllNames}}),
      "  commands=(\n");
  for (const CommandEntry& command : commands) {
    absl::StrAppend(&script, "    '", command.name, ":",
                    QuotedPart(command.description), "'\n");
  }
  absl::StrAppend(&script, "  )\n  _arguments -C");
  AppendSpecs(root, "    ", &script);
  absl::StrAppend(&script,
                  " \\\n    '1:command:->command' '*::argument:->argument'\n",
                  "  case $state in\n"
                  "    command) _describe command commands ;;\n"
                  "    argument)\n"
                  "      case $line[1] in\n");
  for (const CommandEntry& command : commands) {
    absl::StrAppend(&script, "        ", command.name, ")\n",
                    "          _arguments -s");
    AppendSpecs(command, "            ", &script);
    absl::StrAppend(&script, "\n          ;;\n");
  }
  absl::StrAppend(&script,
                  "      esac\n      ;;\n  esac\n}\n\n"
                  "if [[ $funcstack[1] == _gemma ]]; then\n"
                  "  _gemma \"$@\"\n"
                  "else\n"
                  "  compdef _gemma gemma\n"
                  "fi\n");
  return script;
}

}  // namespace gemma::tools

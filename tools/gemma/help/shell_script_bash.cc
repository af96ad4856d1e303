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
// and kListAllNames. COMP_WORDS holds "--a=b" as three words.
constexpr std::string_view kBashHead = R"bash(
# bash completion of gemma; made by: gemma completion bash

# _gemma_complete KIND WORD [CHOICE...]
_gemma_complete() {
  local kind="$1" word="$2" line
  shift 2
  case "$kind" in
    choice) mapfile -t COMPREPLY < <(compgen -W "$*" -- "$word") ;;
    file | model)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      ;;
  esac
  while read -r line; do
    [[ $line == "$word"* ]] && COMPREPLY+=("$line")
  done < <(
    case "$kind" in
      model | stored) @NAMES@ ;;
      source) @ALL_NAMES@ ;;
    esac
  )
}

_gemma() {
  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD - 1]}"
  local options="" valued="" i
  local -a arguments=()
  COMPREPLY=()
  if [[ $word == "=" ]]; then
    word=""
  elif [[ $before == "=" ]]; then
    before="${COMP_WORDS[COMP_CWORD - 2]}"
  fi
)bash";

constexpr std::string_view kEnd = R"bash(  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    return
  fi
  # Count the arguments before the word.
  local count=0 skip=""
  for ((i = 2; i < COMP_CWORD; ++i)); do
    local each="${COMP_WORDS[i]}"
    if [[ $each == "=" ]]; then
      skip=1
    elif [[ -n $skip ]]; then
      skip=""
    elif [[ $each == -* ]]; then
      [[ " $valued " == *" $each "* ]] && skip=1
    else
      ((++count))
    fi
  done
  ((count < ${#arguments[@]})) || return
  # Unquoted, to split a kind from its choices.
  local -a kind=(${arguments[count]})
  _gemma_complete "${kind[0]}" "$word" "${kind[@]:1}"
}

complete -F _gemma gemma
)bash";

std::string_view Kind(ValueKind kind) {
  switch (kind) {
    case ValueKind::kNone:
    case ValueKind::kText:
      return "text";
    case ValueKind::kChoice:
      return "choice";
    case ValueKind::kFile:
      return "file";
    case ValueKind::kModel:
      return "model";
    case ValueKind::kSource:
      return "source";
    case ValueKind::kStored:
      return "stored";
  }
  return "";
}

std::vector<std::string> AllSpellings(const std::vector<OptionEntry>& options) {
  std::vector<std::string> all;
  for (const OptionEntry& option : options) {
    for (std::string& spelling : option.Spellings()) {
      all.push_back(std::move(spelling));
    }
  }
  return all;
}

// Appends the branch of one command: its options, its arguments, and the values
// of its options.
void AppendBashCommand(const CommandEntry& command, std::string* script) {
  absl::StrAppend(script, "    ", command.name, ")\n      options=\"",
                  absl::StrJoin(AllSpellings(command.options), " "), "\"\n");
  std::vector<OptionEntry> valued;
  for (const OptionEntry& option : command.options) {
    if (option.kind != ValueKind::kNone) valued.push_back(option);
  }
  absl::StrAppend(script, "      valued=\"",
                  absl::StrJoin(AllSpellings(valued), " "), "\"\n");
  std::vector<std::string> arguments;
  for (const OptionEntry& argument : command.arguments) {
    std::string words(Kind(argument.kind));
    for (const std::string& choice : argument.choices) {
      absl::StrAppend(&words, " ", choice);
    }
    arguments.push_back(absl::StrCat("\"", words, "\""));
  }
  absl::StrAppend(script, "      arguments=(", absl::StrJoin(arguments, " "),
                  ")\n      case \"$before\" in\n");
  for (const OptionEntry& option : valued) {
    absl::StrAppend(script, "        ",
                    absl::StrJoin(option.Spellings(), " | "), ") ");
    if (option.kind == ValueKind::kText) {
      absl::StrAppend(script, "return ;;\n");
      continue;
    }
    absl::StrAppend(script, "_gemma_complete ", Kind(option.kind),
                    " \"$word\"");
    for (const std::string& choice : option.choices) {
      absl::StrAppend(script, " ", choice);
    }
    absl::StrAppend(script, "; return ;;\n");
  }
  absl::StrAppend(script, "      esac\n      ;;\n");
}

}  // namespace

std::string BashScript(const CommandEntry& root,
                       const std::vector<CommandEntry>& commands) {
  std::string script = absl::StrReplaceAll(
      kBashHead.substr(1),
      {{"@NAMES@", kListNames}, {"@ALL_NAMES@", kListAllNames}});
  std::vector<std::string> words;
  for (const CommandEntry& command : commands) words.push_back(command.name);
  for (const std::string& option : AllSpellings(root.options)) {
    words.push_back(option);
  }
  absl::StrAppend(&script, "  if ((COMP_CWORD == 1)); then\n",
                  "    _gemma_complete choice \"$word\" ",
                  absl::StrJoin(words, " "), "\n    return\n  fi\n",
                  "  case \"${COMP_WORDS[1]}\" in\n");
  for (const CommandEntry& command : commands)
    AppendBashCommand(command, &script);
  absl::StrAppend(&script, "    *) return ;;\n  esac\n", kEnd);
  return script;
}

}  // namespace gemma::tools

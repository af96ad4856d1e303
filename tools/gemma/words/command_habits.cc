#include "tools/gemma/words/command_habits.h"

#include <algorithm>

#include "absl/strings/str_split.h"

namespace gemma::tools {
namespace {

struct CommandAliasRow {
  std::string_view word;
  std::string_view command;
};

constexpr CommandAliasRow kCommandAliases[] = {
    {"ls", "list"},       {"models", "list"},  {"rm", "remove"},
    {"delete", "remove"}, {"show", "inspect"}, {"server", "serve"},
};

struct CommandHintRow {
  std::string_view words;  // separated by blanks
  std::string_view hint;
};

constexpr CommandHintRow kCommandHints[] = {
    {"h help usage -? /? ?",
     "gemma --help lists the commands, gemma help COMMAND explains one"},
    {"ps top", "no model stays loaded: gemma list shows the pulled ones"},
    {"stop", "no model stays loaded: Ctrl-C ends a command"},
    {"cp mv rename",
     "gemma pull SOURCE --name NAME gives a model another name"},
    {"create",
     "gemma reads models as they are; gemma run --system sets "
     "instructions, --lora merges an adapter"},
    {"import",
     "gemma reads models as they are: a file or a folder is MODEL, and gemma "
     "pull SOURCE fetches one"},
    {"info describe",
     "gemma inspect MODEL describes a model, gemma doctor the machine"},
    {"check",
     "gemma verify-file MODEL checks a model's file, gemma doctor the machine"},
    {"download get fetch install update upgrade",
     "gemma pull SOURCE fetches a model"},
    {"search", "gemma list --all shows the models that have a name"},
    {"del uninstall", "gemma remove NAME deletes a pulled model"},
    {"push", "gemma uploads nothing"},
    {"signin login", "gemma pull reads the token of a hub from HF_TOKEN"},
    {"generate complete gen infer predict ask start prompt",
     "gemma run MODEL \"TEXT\" answers or completes a text"},
    {"api openai http web webui ui listen daemon",
     "gemma serve MODEL answers HTTP requests and has a chat page"},
    {"completions",
     "gemma completion SHELL prints a completion script; gemma "
     "run completes texts"},
    {"cli main", "gemma run MODEL \"TEXT\", or gemma chat MODEL"},
    {"fill infill fim",
     "gemma run MODEL --fill-prefix FILE --fill-suffix FILE fills a gap in "
     "code"},
    {"convert export",
     "gemma quantize SRC DST keep writes a model to one file, with --layout "
     "gguf one for llama.cpp, too"},
    {"merge",
     "gemma quantize SRC DST keep --lora FILE writes a model with an adapter "
     "in its weights"},
    {"diff",
     "gemma compare BASE OTHER FILE measures how much two models differ"},
    {"imatrix", "gemma importance MODEL measures the importance of inputs"},
    {"embedding embeddings",
     "gemma embed MODEL \"TEXT\" turns texts into vectors"},
    {"encode tokens", "gemma tokenize MODEL \"TEXT\" prints token ids"},
    {"detokenize decode",
     "gemma tokenize MODEL --decode prints the text of token ids"},
    {"benchmark", "gemma bench MODEL measures the speed"},
    {"eval ppl", "gemma perplexity MODEL --file FILE"},
    {"safety moderate moderation",
     "gemma classify MODEL \"TEXT\" asks a ShieldGemma"},
};

}  // namespace

std::string_view CommandAlias(std::string_view word) {
  for (const CommandAliasRow& alias : kCommandAliases) {
    if (alias.word == word) return alias.command;
  }
  return "";
}

std::string_view CommandHint(std::string_view word) {
  for (const CommandHintRow& row : kCommandHints) {
    const std::vector<std::string_view> words = absl::StrSplit(row.words, ' ');
    if (std::find(words.begin(), words.end(), word) != words.end()) {
      return row.hint;
    }
  }
  return "";
}

std::vector<std::string_view> AllCommandHints() {
  std::vector<std::string_view> hints;
  for (const CommandHintRow& row : kCommandHints) hints.push_back(row.hint);
  return hints;
}

}  // namespace gemma::tools

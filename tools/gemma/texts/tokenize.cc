// gemma tokenize: turns a text into token ids.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "tools/gemma/answer/prompt.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/terminal_text.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/model_error.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/pull/resolve.h"
#include "tools/gemma/words/unknown_words.h"

namespace gemma::tools {
namespace {

struct TokenizeOptions {
  std::string model;
  std::vector<std::string> texts;
  std::string file;
  bool decode = false;
  bool pieces = false;
  std::string format = "text";
  bool bos = false;
  bool parse_control = false;
};

// Several words are one list of ids.
std::string TextOf(const TokenizeOptions& options) {
  return options.texts.empty() ? std::string(kStdinArgument)
                               : absl::StrJoin(options.texts, " ");
}

absl::Status Check(const CLI::App& command, const TokenizeOptions& options) {
  if (!options.file.empty() && TextOf(options) != kStdinArgument) {
    return Exclude("--file", "TEXT");
  }
  if (options.texts.size() > 1 && !options.decode) {
    return SurplusArguments(command,
                            {options.texts.begin() + 1, options.texts.end()});
  }
  if (options.decode && options.bos) return Exclude("--decode", "--bos");
  if (options.decode && options.parse_control) {
    return Exclude("--decode", "--parse-control");
  }
  if (options.pieces && options.format == "json") {
    return OptionError({"--pieces", "--json"},
                       "--pieces excludes --json, which has the pieces");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadInput(const TokenizeOptions& options) {
  const std::string text = TextOf(options);
  if (text != kStdinArgument) {
    GEMMA_RETURN_IF_ERROR(AsUsageError(CheckUtf8(text, "TEXT")));
    return text;
  }
  return ReadUtf8(options.file.empty() ? text : options.file, kWaiting);
}

// Reads token ids between blanks, commas or brackets, so that the output of
// this command and lists in JSON or Python can be given.
absl::StatusOr<std::vector<TokenId>> ReadIds(std::string_view text,
                                             const Tokenizer& tokenizer) {
  std::vector<TokenId> tokens;
  for (const std::string_view word :
       absl::StrSplit(text, absl::ByAnyChar(" \t\r\n,[]"), absl::SkipEmpty())) {
    size_t id = 0;
    const std::string wanted =
        ParseCount(word, 0, tokenizer.vocab_size() - 1, &id);
    if (!wanted.empty()) {
      return UsageError(absl::StrCat("TEXT: '", word, "' is not ", wanted));
    }
    tokens.push_back(static_cast<TokenId>(id));
  }
  return tokens;
}

std::string Show(const TokenizeOptions& options, const Tokenizer& tokenizer,
                 absl::Span<const TokenId> tokens) {
  if (options.format == "json") {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const TokenId token : tokens) {
      list.push_back({{"id", token},
                      {"piece", tokenizer.Piece(token)},
                      {"control", tokenizer.IsControl(token)}});
    }
    nlohmann::ordered_json json = ReportHead();
    json.update({{"model", options.model},
                 {"path", PathOfModel(options.model)},
                 {"options",
                  {{"bos", options.bos},
                   {"decode", options.decode},
                   {"parse_control", options.parse_control}}},
                 {"text", tokenizer.Decode(tokens)},
                 {"tokens", std::move(list)}});
    return ToText(json);
  }
  if (options.pieces) {
    std::string lines;
    for (const TokenId token : tokens) {
      absl::StrAppend(&lines, token, "\t", Printable(tokenizer.Piece(token)),
                      "\n");
    }
    return lines;
  }
  if (!options.decode) return absl::StrCat(absl::StrJoin(tokens, " "), "\n");
  const std::string text = tokenizer.Decode(tokens);
  return absl::StrCat(OutputIsTerminal() ? PrintableLines(text) : text, "\n");
}

absl::Status Tokenize(const CLI::App& command, const TokenizeOptions& options) {
  GEMMA_RETURN_IF_ERROR(Check(command, options));
  GEMMA_ASSIGN_OR_RETURN(const std::string text, ReadInput(options));
  GEMMA_ASSIGN_OR_RETURN(const std::string path, ResolveModel(options.model));
  const absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(path);
  if (!tokenizer.ok()) return ExplainModelError(tokenizer.status(), path);
  for (const std::string& note : tokenizer->notes()) Note(note);
  std::vector<TokenId> tokens;
  if (options.decode) {
    GEMMA_ASSIGN_OR_RETURN(tokens, ReadIds(text, *tokenizer));
  } else {
    GEMMA_ASSIGN_OR_RETURN(
        tokens, tokenizer->Encode(text, options.parse_control
                                            ? ControlTokens::kParse
                                            : ControlTokens::kAsText));
  }
  if (options.bos) tokens.insert(tokens.begin(), tokenizer->bos());
  return WriteOutput(Show(options, *tokenizer, tokens));
}

}  // namespace

void AddTokenize(CLI::App& app, Action* action) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command =
      app.add_subcommand("tokenize", "Turn a text into token ids, and back");
  AddModelPath(*command, &options->model);
  AddTextArguments(*command, "TEXT", &options->texts,
                   "The text; if missing or \"-\": standard input, unchanged");
  AddText(*command, "-f,--file", "FILE", &options->file,
          "Read the text from FILE; \"-\": standard input");
  command->add_flag("-d,--decode", options->decode,
                    "TEXT is a list of ids, in one word or several: print\n"
                    "their text");
  command->add_flag("--pieces", options->pieces,
                    "Print a line for each token: its id and its piece");
  command->add_flag("--bos", options->bos, "Begin with the BOS token");
  AddParseControl(*command, &options->parse_control);
  AddForms(*command, &options->format);
  command->footer(
      R"(With --json, standard output receives an object with the text of all tokens
and for each its id, its piece (its spelling in the vocabulary) and whether
it is a control token.

Examples:
  gemma tokenize gemma-3-270m "Hello world"
  gemma tokenize gemma-3-270m --decode "9259 1902"
  gemma tokenize gemma-3-270m --pieces < text.txt

)");
  command->callback(
      [=] { *action = [=] { return Tokenize(*command, *options); }; });
}

}  // namespace gemma::tools

// gemma tokenize: turns a text into token ids.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/answer/prompt.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/model_error.h"
#include "tools/gemma/pull/resolve.h"

namespace gemma::tools {
namespace {

struct TokenizeOptions {
  std::string model;
  std::string text = std::string(kStdinArgument);
  bool bos = false;
  bool parse_control = false;
};

absl::Status Tokenize(const TokenizeOptions& options) {
  std::string text = options.text;
  if (text == kStdinArgument) {
    GEMMA_ASSIGN_OR_RETURN(text, ReadText(text));
    GEMMA_RETURN_IF_ERROR(CheckUtf8(text, kStdinName));
  } else {
    GEMMA_RETURN_IF_ERROR(AsUsageError(CheckUtf8(text, "TEXT")));
  }
  GEMMA_ASSIGN_OR_RETURN(const std::string path, ResolveModel(options.model));
  const absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(path);
  if (!tokenizer.ok()) return ExplainModelError(tokenizer.status(), path);
  for (const std::string& note : tokenizer->notes()) Note(note);
  GEMMA_ASSIGN_OR_RETURN(
      std::vector<TokenId> tokens,
      tokenizer->Encode(text, options.parse_control ? ControlTokens::kParse
                                                    : ControlTokens::kAsText));
  if (options.bos) tokens.insert(tokens.begin(), tokenizer->bos());
  return WriteOutput(absl::StrCat(absl::StrJoin(tokens, " "), "\n"));
}

}  // namespace

void AddTokenize(CLI::App& app, Action* action) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command =
      app.add_subcommand("tokenize", "Print the token ids of a text");
  AddModelPath(*command, &options->model);
  AddText(*command, "TEXT", "", &options->text,
          "The text; if missing or \"-\": standard input, unchanged");
  command->add_flag("--bos", options->bos, "Begin with the BOS token");
  AddParseControl(*command, &options->parse_control);
  command->footer(
      "Example:\n  gemma tokenize gemma-3-270m.gguf \"Hello world\"\n\n");
  command->callback([=] { *action = [=] { return Tokenize(*options); }; });
}

}  // namespace gemma::tools

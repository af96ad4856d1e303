// gemma logits: computes the logits of every position.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/cli/output_check.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/logit_rows.h"
#include "tools/gemma/io/npy.h"
#include "tools/gemma/io/output_file.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/measure/token_file.h"

namespace gemma::tools {
namespace {

constexpr char kTokensOption[] = "--tokens";

struct LogitsOptions {
  ModelOptions model;
  std::string tokens;
  std::string tokens_file;
  std::string output;
  bool force = false;
  std::string format = "text";
};

// Reads the ids of --tokens or of --tokens-file. Bad ids in --tokens are a
// usage error.
absl::StatusOr<std::vector<TokenId>> ReadTokens(const LogitsOptions& options) {
  if (!options.tokens_file.empty()) return ReadTokenFile(options.tokens_file);
  absl::StatusOr<std::vector<TokenId>> tokens =
      ParseTokenIds(options.tokens, ", ", kTokensOption);
  if (!tokens.ok()) {
    return WithOptions(AsUsageError(tokens.status()), {kTokensOption});
  }
  return tokens;
}

absl::Status Check(const LogitsOptions& options,
                   absl::Span<const TokenId> tokens,
                   const ModelConfig& config) {
  if (!options.tokens_file.empty()) {
    return CheckTokens(tokens, config, options.tokens_file);
  }
  return WithOptions(AsUsageError(CheckTokens(tokens, config, kTokensOption)),
                     {kTokensOption});
}

absl::Status Logits(const LogitsOptions& options) {
  if (options.tokens_file.empty() == options.tokens.empty()) {
    return OptionError({"--tokens", "--tokens-file"},
                       "wanted one of --tokens and --tokens-file");
  }
  GEMMA_RETURN_IF_ERROR(CheckOutput(options.output, ModelPaths(options.model),
                                    {options.tokens_file}));
  GEMMA_RETURN_IF_ERROR(CheckReplaces(options.output, options.force));
  GEMMA_ASSIGN_OR_RETURN(const std::vector<TokenId> tokens,
                         ReadTokens(options));
  GEMMA_ASSIGN_OR_RETURN(const Model model, LoadModel(options.model));
  const size_t vocab_size = model.config().vocab_size;
  GEMMA_RETURN_IF_ERROR(Check(options, tokens, model.config()));
  GEMMA_ASSIGN_OR_RETURN(Session session,
                         CreateSession(model, options.model, tokens.size()));
  GEMMA_RETURN_IF_ERROR(CheckFits(session, tokens.size()));

  GEMMA_ASSIGN_OR_RETURN(
      NpyWriter writer,
      NpyWriter::Create(options.output, tokens.size(), vocab_size));
  {
    Progress progress("logits", "tok");
    GEMMA_RETURN_IF_ERROR(ForEachLogitRows(
        session, tokens, options.model.chunk,
        [&](size_t first, absl::Span<const float> rows) {
          progress.Update(first + rows.size() / vocab_size, tokens.size());
          return writer.Append(rows);
        }));
  }
  GEMMA_RETURN_IF_ERROR(writer.Finish());
  if (options.format == "json") {
    nlohmann::ordered_json json = ReportHead(options.model, model);
    json["options"] =
        OptionsJson(options.model, model, session.options().max_tokens);
    json.update({{"tokens", tokens.size()}, {"vocab_size", vocab_size}});
    AddOutputFile(options.output, &json);
    return WriteResult(ToText(json));
  }
  return WriteFileSummary(
      options.output,
      absl::StrCat(tokens.size(), " tokens, ", vocab_size, " logits each"));
}

}  // namespace

void AddLogits(CLI::App& app, Action* action) {
  auto options = std::make_shared<LogitsOptions>();
  options->model.chunk = kDefaultLogitRows;
  options->model.logits = 1;
  CLI::App* command = app.add_subcommand(
      "logits", "Write the logits of every position to a NumPy file");
  options->model.activations = "float32";
  AddModelOptions(*command, &options->model, "enough for the tokens");
  AddText(*command, kTokensOption, "ID[,ID...]", &options->tokens, "Token ids");
  AddText(*command, "--tokens-file", "FILE", &options->tokens_file,
          "File of token ids, separated by blanks or line\n"
          "ends; \"-\": standard input");
  AddText(*command, "-o,--output", "FILE.npy", &options->output,
          "Output file: float32 [tokens, vocabulary]")
      ->required();
  AddForce(*command, &options->force);
  AddForms(*command, &options->format);
  command->footer(
      "Examples:\n"
      "  gemma logits gemma-3-270m --tokens 2,17,4 -o F.npy\n"
      "  gemma tokenize gemma-3-270m --bos \"Hello\" | \\\n"
      "    gemma logits gemma-3-270m --tokens-file - -o F.npy\n\n");
  command->callback([=] { *action = [=] { return Logits(*options); }; });
}

}  // namespace gemma::tools

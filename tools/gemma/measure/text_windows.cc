#include "tools/gemma/measure/text_windows.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/machine/model_error.h"

namespace gemma::tools {
namespace {

constexpr size_t kDefaultWindow = 2048;

}  // namespace

void AddTextFile(CLI::App& app, std::string* file,
                 const std::string& description) {
  CLI::Option* argument =
      AddText(app, "FILE", "FILE", file, "As --file")->option_text("FILE");
  AddText(app, "-f,--file", "FILE", file, description)->excludes(argument);
}

absl::Status FindTextFile(std::string_view command, std::string* file) {
  if (!file->empty()) {
    const bool is_text =
        absl::StrContains(*file, ' ') && access(file->c_str(), F_OK) != 0;
    if (!is_text) return absl::OkStatus();
    return WithCure(
        absl::NotFoundError(
            absl::StrCat(Quoted(*file), ": No such file or directory")),
        absl::StrCat("FILE is a file; a text comes from a pipe: echo \"TEXT\" "
                     "| gemma ",
                     command));
  }
  if (!StdinIsRedirected()) {
    return WithCure(
        OptionError({"--file"},
                    absl::StrCat(command.substr(0, command.find(' ')),
                                 ": FILE is required")),
        absl::StrCat("gemma ", command, " FILE, or < FILE"));
  }
  *file = std::string(kStdinArgument);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TokenId>> TokensOf(const Model& model,
                                              std::string_view text,
                                              const std::string& file) {
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, TokenizerOf(model));
  GEMMA_ASSIGN_OR_RETURN(std::vector<TokenId> tokens, tokenizer->Encode(text));
  if (tokens.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(InputName(file), ": no text to score"));
  }
  return tokens;
}

absl::Status CheckWindow(const ModelOptions& options) {
  if (options.context != 1) return absl::OkStatus();
  return OptionError({"--context"},
                     "--context: '1' leaves no token to score after BOS");
}

size_t WindowSize(const ModelOptions& options, const ModelConfig& config) {
  if (options.context != 0) return options.context;
  return std::min(kDefaultWindow, config.max_context);
}

absl::StatusOr<WindowedText> LoadWindowedText(const ModelOptions& options,
                                              const std::string& file) {
  GEMMA_ASSIGN_OR_RETURN(Model model, LoadModel(options));
  GEMMA_ASSIGN_OR_RETURN(const std::string text, ReadUtf8(file, kWaiting));
  GEMMA_ASSIGN_OR_RETURN(std::vector<TokenId> tokens,
                         TokensOf(model, text, file));
  const size_t window = WindowSize(options, model.config());
  GEMMA_ASSIGN_OR_RETURN(
      Session session,
      CreateSession(model, options, std::min(window, tokens.size() + 1)));
  return WindowedText{std::move(model), std::move(tokens), window,
                      std::move(session)};
}

absl::StatusOr<size_t> ForEachWindow(
    absl::Span<const TokenId> tokens, TokenId bos, size_t size,
    const std::function<absl::Status(const TextWindow&)>& body) {
  size_t windows = 0;
  for (size_t at = 0; at < tokens.size(); at += size - 1) {
    const absl::Span<const TokenId> targets = tokens.subspan(at, size - 1);
    TextWindow window = {.first = at, .inputs = {bos}, .targets = targets};
    // Nothing is scored after the last token, so the model need not see it.
    window.inputs.insert(window.inputs.end(), targets.begin(),
                         targets.end() - 1);
    GEMMA_RETURN_IF_ERROR(body(window));
    ++windows;
  }
  return windows;
}

}  // namespace gemma::tools

#include "tools/gemma/answer/fill.h"

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/model_error.h"

namespace gemma::tools {
const char kFillHelp[] =
    R"(With --fill-prefix, --fill-suffix or both, a model such as CodeGemma 2B
or 7B writes the text between the two files. It reads both unchanged, with
all line ends. Unless the answer goes to a terminal, no line end is added
to it: prefix, answer and suffix together are the whole file. To help the
model, --fill-path gives it the path of the file, and --fill-file other
files, under the names that you type. For a file with a gap before line
12, in bash:
  gemma run codegemma-2b/ --fill-path a.py \
    --fill-prefix <(head -n 11 a.py) --fill-suffix <(tail -n +12 a.py)

)";

void AddFillOptions(CLI::App& app, FillOptions* options) {
  AddText(app, "--fill-prefix", "FILE", &options->prefix,
          "Fill the gap between the text of FILE (\"-\": standard\n"
          "input) and that of --fill-suffix");
  AddText(app, "--fill-suffix", "FILE", &options->suffix,
          "Fill the gap before the text of FILE");
  AddText(app, "--fill-path", "PATH", &options->path,
          "With --fill-prefix or --fill-suffix: tell the model\n"
          "the path of the file with the gap");
  AddTexts(app, "--fill-file", "FILE", &options->files,
           "With --fill-prefix or --fill-suffix: let the model\n"
           "read this file first; may be repeated");
}

absl::Status Validate(const FillOptions& options) {
  if (options.asked_by().empty()) {
    const char* what = !options.path.empty()    ? "--fill-path"
                       : !options.files.empty() ? "--fill-file"
                                                : nullptr;
    if (what == nullptr) return absl::OkStatus();
    return Needs(what, "--fill-prefix or --fill-suffix");
  }
  size_t stdins = 0;
  std::vector<std::string> all = options.files;
  all.insert(all.end(), {options.prefix, options.suffix});
  for (const std::string& file : all) {
    stdins += file == kStdinArgument ? 1 : 0;
    GEMMA_RETURN_IF_ERROR(AsUsageError(CheckUtf8(file, "the name of a file")));
  }
  if (stdins > 1) {
    return OptionError(
        {"--fill-prefix", "--fill-suffix", "--fill-file"},
        "only one of --fill-prefix, --fill-suffix and --fill-file may be "
        "\"-\", standard input");
  }
  return WithOptions(AsUsageError(CheckUtf8(options.path, "--fill-path")),
                     {"--fill-path"});
}

absl::StatusOr<FillTexts> ReadFill(const FillOptions& options) {
  FillTexts texts;
  if (!options.prefix.empty()) {
    GEMMA_ASSIGN_OR_RETURN(texts.prefix, ReadUtf8(options.prefix));
  }
  if (!options.suffix.empty()) {
    GEMMA_ASSIGN_OR_RETURN(texts.suffix, ReadUtf8(options.suffix));
  }
  for (const std::string& file : options.files) {
    GEMMA_ASSIGN_OR_RETURN(texts.files.emplace_back(), ReadUtf8(file));
  }
  return texts;
}

absl::StatusOr<std::vector<TokenId>> FillTokens(const Model& model,
                                                std::string_view model_name,
                                                const FillOptions& options,
                                                const FillTexts& texts,
                                                AnswerOptions* answer) {
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, TokenizerOf(model));
  const absl::StatusOr<FillInMiddle> fill = FillInMiddle::Create(*tokenizer);
  if (!fill.ok()) {
    return WithCure(
        absl::FailedPreconditionError(
            absl::StrCat(model_name, ": ", fill.status().message())),
        "use CodeGemma 2B or 7B: gemma pull hf://google/codegemma-2b");
  }
  std::vector<SourceFile> files;
  for (size_t i = 0; i < texts.files.size(); ++i) {
    const bool has_name = options.files[i] != kStdinArgument;
    files.push_back(
        {has_name ? std::string_view(options.files[i]) : "", texts.files[i]});
  }
  answer->stop_tokens = fill->stop_tokens();
  answer->as_is = true;
  return fill->Prompt({.prefix = texts.prefix,
                       .suffix = texts.suffix,
                       .path = options.path,
                       .files = files});
}

}  // namespace gemma::tools

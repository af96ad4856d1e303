#include "tools/gemma/answer/fill.h"

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/model_error.h"

namespace gemma::tools {
namespace {

absl::StatusOr<std::string> ReadUtf8(const std::string& path) {
  GEMMA_ASSIGN_OR_RETURN(std::string text, ReadText(path));
  GEMMA_RETURN_IF_ERROR(
      CheckUtf8(text, path == kStdinArgument ? kStdinName : path));
  return text;
}

}  // namespace

const char kFillHelp[] =
    R"(With --fill-prefix, --fill-suffix or both, a model such as CodeGemma 2B
or 7B writes what belongs between the two texts, which are read as they
are, to the last line end. So is the answer: it gets no line end of its
own, unless it goes to a terminal, and prefix, answer and suffix make a
whole. The model knows more if it is told the file's path, and of other
files, each under the name that --fill-file has. For a file with a gap
before line 12, in bash:
  gemma run codegemma-2b.gguf --fill-path a.py \
    --fill-prefix <(head -n 11 a.py) --fill-suffix <(tail -n +12 a.py)

)";

void AddFillOptions(CLI::App& app, FillOptions* options) {
  AddText(app, "--fill-prefix", "FILE", &options->prefix,
          "Fill in what follows the text of FILE (\"-\": standard\n"
          "input) and is followed by that of --fill-suffix");
  AddText(app, "--fill-suffix", "FILE", &options->suffix,
          "Fill in what is followed by the text of FILE");
  AddText(app, "--fill-path", "PATH", &options->path,
          "With these: the path of the file that has the gap, as\n"
          "the model reads it");
  AddTexts(app, "--fill-file", "FILE", &options->files,
           "With these: another file that the model reads first;\n"
           "may be repeated");
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
        "of --fill-prefix, --fill-suffix and --fill-file, only one may be "
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
        "take CodeGemma 2B or 7B: gemma pull hf://google/codegemma-2b");
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

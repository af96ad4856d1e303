// gemma importance: measures how much each column of a model's matrices
// matters.

#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/os/atomic_file.h"
#include "src/quantize/activation_sums.h"
#include "src/session/model_impl.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/cli/output_check.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/output_file.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/machine/written_model.h"
#include "tools/gemma/measure/text_windows.h"

namespace gemma::tools {
namespace {

struct ImportanceOptions {
  ModelOptions model;
  std::string file;
  std::string output = "importance.gguf";
  bool force = false;
  std::string format = "text";
};

// Returns the file that `path` names, with links resolved. Fails if it cannot
// be written. Called before the model is loaded, so that the command fails
// early.
absl::StatusOr<std::string> OutputPath(const std::string& path) {
  std::error_code ignored;
  std::string target = path;
  if (std::filesystem::exists(path, ignored)) {
    if (!std::filesystem::is_regular_file(path, ignored)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": not a file"));
    }
    target = std::filesystem::canonical(path, ignored).string();
  }
  GEMMA_RETURN_IF_ERROR(AtomicFile::Create(target).status());
  return target;
}

// The name of the text in the output. It has no folders, because they may be
// private.
std::string DatasetOf(const std::string& file) {
  if (file == kStdinArgument) return std::string(kStdinName);
  return std::filesystem::path(file).filename().string();
}

// Reads a window. The session's tap receives the activations.
absl::Status ReadWindow(Session& session, const TextWindow& window,
                        size_t total, Progress& progress) {
  GEMMA_RETURN_IF_ERROR(session.Rewind(0));
  GEMMA_RETURN_IF_ERROR(session.Append(window.inputs, [&](size_t done) {
    progress.Update(window.first + done, total);
    return !Interrupted();
  }));
  return Interrupted() ? InterruptedError() : absl::OkStatus();
}

absl::Status Importance(const ImportanceOptions& options) {
  GEMMA_RETURN_IF_ERROR(CheckWindow(options.model));
  GEMMA_RETURN_IF_ERROR(
      CheckOutput(options.output, ModelPaths(options.model), {options.file}));
  GEMMA_RETURN_IF_ERROR(CheckReplaces(options.output, options.force));
  GEMMA_ASSIGN_OR_RETURN(const std::string output, OutputPath(options.output));
  GEMMA_ASSIGN_OR_RETURN(WindowedText text,
                         LoadWindowedText(options.model, options.file));
  ActivationSums sums;
  text.session.SetTap(
      [&sums](const TapSite& site, absl::Span<float> activations) {
        sums.Add(site, activations);
      });

  size_t windows = 0;
  {
    Progress progress("importance", "tok");
    GEMMA_ASSIGN_OR_RETURN(
        windows, ForEachWindow(text.tokens, text.model.config().bos_token,
                               text.window, [&](const TextWindow& at) {
                                 return ReadWindow(text.session, at,
                                                   text.tokens.size(),
                                                   progress);
                               }));
  }
  GEMMA_RETURN_IF_ERROR(sums.Write(
      text.model.config(), text.model.impl().weights.head.view.rows != 0,
      {DatasetOf(options.file), static_cast<uint32_t>(windows),
       static_cast<uint32_t>(text.window)},
      output));
  NoteGgufName(options.output);
  if (options.format == "json") {
    nlohmann::ordered_json json = ReportHead(options.model, text.model);
    json["options"] = OptionsJson(options.model, text.model, text.window);
    json.update({{"file", options.file},
                 {"windows", windows},
                 {"tokens", text.tokens.size()}});
    AddOutputFile(options.output, &json);
    return WriteResult(ToText(json));
  }
  return WriteFileSummary(
      options.output, absl::StrCat(Counted(text.tokens.size(), "token"), ", ",
                                   Counted(windows, "window")));
}

}  // namespace

void AddImportance(CLI::App& app, Action* action) {
  auto options = std::make_shared<ImportanceOptions>();
  options->model.activations = "float32";
  CLI::App* command = app.add_subcommand(
      "importance", "Measure which inputs of the weights matter");
  AddModelOptions(*command, &options->model, kDefaultWindowText);
  AddTextFile(*command, &options->file,
              "A text like those that the model will work with;\n"
              "\"-\", or nothing: standard input. It is read in windows\n"
              "of BOS and --context - 1 tokens, as perplexity does");
  AddText(*command, "-o,--output", "FILE", &options->output,
          "Output file, a GGUF file like those of llama.cpp's\n"
          "imatrix: for each column of each matrix, the mean\n"
          "square of the values that it is multiplied by")
      ->default_str(options->output);
  AddForce(*command, &options->force);
  AddForms(*command, &options->format);
  command->footer(
      "Examples:\n"
      "  gemma importance gemma-3-270m text.txt\n"
      "  gemma importance gemma-3-270m --file text.txt -o "
      "F.gguf\n\n");
  command->callback([=] {
    *action = [=]() -> absl::Status {
      GEMMA_RETURN_IF_ERROR(FindTextFile("importance MODEL", &options->file));
      return Importance(*options);
    };
  });
}

}  // namespace gemma::tools

// gemma verify-file: checks that a file is as it was written.

#include "gemma/verify_file.h"

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gemma/model.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/file_type.h"
#include "tools/gemma/machine/model_error.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/pull/resolve.h"

namespace gemma::tools {
namespace {

absl::StatusOr<FileCheck> Check(const std::string& path) {
  Progress line = Progress::OfBytes("verifying", /*quiet=*/false);
  VerifyOptions options;
  options.progress = [&line](uint64_t done, uint64_t total) {
    line.Update(done, total);
    return !Interrupted();
  };
  return VerifyFile(path, options);
}

std::string JsonOf(const std::string& model, const FileCheck& check) {
  nlohmann::ordered_json json = ReportHead();
  const std::string path = PathOfModel(model);
  json.update({{"model", model}, {"path", path}, {"file_type", nullptr}});
  LoadOptions load;
  load.num_threads = 1;
  load.skip_weights = true;
  if (const absl::StatusOr<Model> outline = Model::Load(path, load);
      outline.ok()) {
    json["file_type"] = FileType(path, *outline);
  }
  json.update({{"tensors", check.tensors},
               {"bytes", check.bytes},
               {"has_checksums", check.has_checksums}});
  return ToText(json);
}

absl::Status Run(const std::string& model, bool json) {
  GEMMA_ASSIGN_OR_RETURN(const std::string path, ResolveModel(model));
  const absl::StatusOr<FileCheck> check = Check(path);
  if (absl::IsCancelled(check.status())) return InterruptedError();
  if (!check.ok()) return ExplainModelError(check.status(), path);
  if (json) return WriteOutput(JsonOf(model, *check));
  return WriteOutput(absl::StrFormat(
      "%s: %u tensors, %s: %s, and all weights are finite\n", path,
      check->tensors, Bytes(check->bytes),
      check->has_checksums
          ? "as they were written"
          : "the file has no checksums (only gemma quantize writes them)"));
}

}  // namespace

void AddVerifyFile(CLI::App& app, Action* action) {
  auto path = std::make_shared<std::string>();
  auto format = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("verify-file", "Check a model's file for damage");
  AddText(*command, "MODEL", "", path.get(),
          "A GGUF file, or the name of a pulled model")
      ->option_text("MODEL")
      ->required();
  AddForms(*command, format.get());
  command->footer(
      R"(Compares the checksums in files that gemma quantize wrote. Looks in all
files for weights that are not finite. If it finds damage, it names the
first damaged tensor and exits with 1.

Examples:
  gemma quantize gemma-3-1b-it 1b-q8.gguf q8 && gemma verify-file 1b-q8.gguf
  gemma verify-file gemma-3-270m --json

)");
  command->callback(
      [=] { *action = [=] { return Run(*path, *format == "json"); }; });
}

}  // namespace gemma::tools

// gemma verify-file: checks that a file is as it was written.

#include "gemma/verify_file.h"

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/model_error.h"
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

absl::Status Run(const std::string& model) {
  GEMMA_ASSIGN_OR_RETURN(const std::string path, ResolveModel(model));
  const absl::StatusOr<FileCheck> check = Check(path);
  if (absl::IsCancelled(check.status())) return InterruptedError();
  if (!check.ok()) return ExplainModelError(check.status(), path);
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
  CLI::App* command =
      app.add_subcommand("verify-file", "Check a model's file for damage");
  AddText(*command, "MODEL", "", path.get(),
          "A GGUF file, or the name of a pulled model")
      ->option_text("MODEL")
      ->required();
  command->footer(
      R"(Compares the checksums in files that gemma quantize wrote. Looks in all
files for weights that are not finite. If it finds damage, it names the
first damaged tensor and exits with 1.

Example:
  gemma verify-file gemma-3-1b-it-q8.gguf

)");
  command->callback([=] { *action = [=] { return Run(*path); }; });
}

}  // namespace gemma::tools

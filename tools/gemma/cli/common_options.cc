#include "tools/gemma/cli/common_options.h"

#include <sys/resource.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/base/stopwatch.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/cli/output_check.h"
#include "tools/gemma/help/option_table.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/output_file.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

bool Has(const CLI::App& command, const std::string& option) {
  return command.get_option_no_throw(option) != nullptr;
}

bool WritesNoResult(const CLI::App& command) {
  for (const std::string_view name :
       {"chat", "serve", "pull", "remove", "quantize"}) {
    if (command.get_name() == name) return true;
  }
  return false;
}

// The value of an option may go on after a path: FILE=SCALE, FILE:SITE.
std::vector<std::string> PathsIn(const std::string& value) {
  std::vector<std::string> paths = {value};
  for (size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '=' || value[i] == ':') paths.push_back(value.substr(0, i));
  }
  return paths;
}

// Whether a flag is set, if the command has it.
bool IsOn(const CLI::App& command, const std::string& flag) {
  const CLI::Option* option = command.get_option_no_throw(flag);
  return option != nullptr && option->count() > 0 && option->as<bool>();
}

// Says what became of the output file of a command that a signal stopped. A
// batch says so itself: its file keeps the answers so far.
void NoteInterrupted(const CLI::App& command) {
  const CLI::Option* output = command.get_option_no_throw("--output");
  const CLI::Option* batch = command.get_option_no_throw("--batch");
  if (output == nullptr || output->count() == 0 || IsOn(command, "--quiet") ||
      (batch != nullptr && batch->count() > 0)) {
    return;
  }
  const std::string path = output->results().back();
  std::error_code error;
  const std::filesystem::file_status file =
      std::filesystem::status(path, error);
  if (path.empty() || path == kStdinArgument ||
      (std::filesystem::exists(file) &&
       !std::filesystem::is_regular_file(file))) {
    return;
  }
  Note(absl::StrCat("interrupted: ", path,
                    std::filesystem::exists(file) ? " is left as it was"
                                                  : " is not written"));
}

// The most memory that the process had so far.
uint64_t MostMemory() {
  struct rusage usage = {};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace

void AddForce(CLI::App& command, bool* force) {
  command.add_flag("--force", *force, "Replace the output file if it exists");
}

void AddCommonOptions(CLI::App& command, CommonOptions* options) {
  const bool has_output = Has(command, "--output");
  if (!has_output && !WritesNoResult(command)) {
    AddText(command, "-o,--output", "FILE", &options->output,
            "Write the result to FILE, which appears when it is\n"
            "complete")
        ->default_str("standard output")
        ->configurable(false);
  }
  if (Has(command, "--output") && !Has(command, "--force")) {
    AddForce(command, &options->force);
  }
  if (!Has(command, "--quiet")) AddQuiet(command, &options->quiet);
  if (!Has(command, "--verbose")) {
    command.add_flag("-v,--verbose", options->verbose,
                     "Print time and memory on standard error at the end");
  }
  command.get_option("--quiet")->excludes(command.get_option("--verbose"));
}

void AddForms(CLI::App& command, std::string* form,
              const std::vector<ResultForm>& forms) {
  std::vector<CLI::Option*> before;
  for (const ResultForm& of : forms) {
    CLI::Option* option = command.add_flag_callback(
        absl::StrCat("--", of.name), [form, name = of.name] { *form = name; },
        of.description);
    for (CLI::Option* other : before) option->excludes(other);
    before.push_back(option);
  }
}

absl::Status CheckCommandOutput(const CLI::App& command,
                                const std::string& output) {
  std::vector<std::string> models;
  std::vector<std::string> files;
  for (const CLI::Option* option : command.get_options({})) {
    if (option->check_lname("output")) continue;
    const ValueKind kind = DescribeOption(*option).kind;
    for (const std::string& value : option->results()) {
      if (kind == ValueKind::kModel) models.push_back(value);
      if (kind != ValueKind::kFile) continue;
      for (std::string& path : PathsIn(value)) files.push_back(std::move(path));
    }
  }
  return CheckOutput(output, models, std::move(files));
}

absl::Status WithOutput(const CLI::App& command, const std::string& path,
                        const Action& action) {
  if (path.empty() || path == kStdinArgument) return action();
  GEMMA_RETURN_IF_ERROR(CheckCommandOutput(command, path));
  absl::Status status;
  {
    GEMMA_ASSIGN_OR_RETURN(const std::unique_ptr<OutputFile> file,
                           OutputFile::Open(path, IsOn(command, "--force")));
    status = action();
    // A result that a signal cut short is not written, even if its JSON says
    // so.
    const bool is_result = file->is_whole() && !absl::IsCancelled(status);
    if (!status.ok() && !is_result) return status;
    GEMMA_RETURN_IF_ERROR(file->Commit());
  }
  const absl::Status said =
      WriteFileSummary(path, "", IsOn(command, "--quiet"));
  return status.ok() ? said : status;
}

absl::Status RunAction(const CLI::App& command, const CommonOptions& options,
                       const Action& action) {
  if (options.quiet) SetQuiet(true);
  const Stopwatch stopwatch;
  absl::Status status = WithOutput(command, options.output, action);
  if (absl::IsCancelled(status)) NoteInterrupted(command);
  if (options.verbose) {
    Note(absl::StrFormat("%.2f s, at most %s of memory", stopwatch.seconds(),
                         Bytes(MostMemory())));
  }
  return status;
}

}  // namespace gemma::tools

#include "tools/gemma/measure/comparison_plot.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/os/atomic_file.h"
#include "src/os/system_error.h"
#include "tools/gemma/io/child_process.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

constexpr char kMatplotlib[] = "python3-matplotlib";
constexpr int kNoMatplotlib = 3;  // exit code of the script

// Runs the script. `names`: the models' paths, or empty for a check only.
// `input`: file descriptor of its standard input, or -1.
absl::Status RunScript(
    const std::vector<std::string>& names, int input,
    const std::function<absl::Status(std::string_view)>& on_output) {
  ChildCommand command = {.arguments = {kPython, "-c", kPlotScript},
                          // So Python imports no file of the current folder.
                          .directory = "/",
                          .environment = {},
                          .input = input};
  command.arguments.insert(command.arguments.end(), names.begin(), names.end());
  const absl::StatusOr<ChildResult> result =
      RunChild(command, on_output, [] {});
  if (!result.ok()) return PythonError(result.status(), kMatplotlib);
  if (result->exit_code == 0) return absl::OkStatus();
  if (result->exit_code == kNoMatplotlib) {
    return WithCure(
        absl::NotFoundError("matplotlib: not installed, --plot needs it"),
        absl::StrCat("install ", kMatplotlib,
                     ", or: python3 -m pip install matplotlib"));
  }
  return absl::InternalError(
      absl::StrCat("cannot plot: ", PythonCause(result->errors)));
}

}  // namespace

absl::Status CheckPlot() {
  return RunScript({}, -1, [](std::string_view) { return absl::OkStatus(); });
}

absl::Status WritePlot(std::string_view scores, const std::string& base,
                       const std::string& other, AtomicFile& output) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(),
                                                             std::fclose);
  constexpr std::string_view kName = "a temporary file";
  if (file == nullptr) return SystemError(kName, errno);
  const int fd = fileno(file.get());
  GEMMA_RETURN_IF_ERROR(WriteTo(fd, scores, kName));
  if (lseek(fd, 0, SEEK_SET) != 0) return SystemError(kName, errno);
  return RunScript({base, other}, fd,
                   [&](std::string_view bytes) { return output.Write(bytes); });
}

}  // namespace gemma::tools

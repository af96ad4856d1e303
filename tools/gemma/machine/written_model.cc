#include "tools/gemma/machine/written_model.h"

#include <filesystem>
#include <string_view>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/output_check.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/output_file.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kGgufEnding = ".gguf";

// Files of other formats for weights.
constexpr std::string_view kOtherEndings[] = {".safetensors", ".bin", ".sbs",
                                              ".pt",          ".pth", ".npz"};

// Whether a path is a device or a pipe, or a link of the system to what a
// descriptor is: /dev/stdout, which --force must not replace.
bool IsSpecial(const std::string& path) {
  std::error_code error;
  return (absl::StartsWith(path, "/dev/") &&
          !absl::StartsWith(path, "/dev/shm/")) ||
         absl::StartsWith(path, "/proc/") ||
         fs::is_other(fs::status(path, error));
}

absl::Status CheckEnding(const std::string& target) {
  for (const std::string_view ending : kOtherEndings) {
    if (!absl::EndsWithIgnoreCase(target, ending)) continue;
    const std::string stem = target.substr(0, target.size() - ending.size());
    return WithCure(
        UsageError(absl::StrCat("DST: '", target, "' ends in ", ending,
                                ", and quantize writes a GGUF file")),
        absl::StrCat("name it ", stem, kGgufEnding));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckWrittenModel(const std::string& target,
                               const std::vector<std::string>& models,
                               const std::string& importance, bool force) {
  GEMMA_RETURN_IF_ERROR(CheckOutput(target, models, {importance}));
  if (IsSpecial(target)) {
    return absl::InvalidArgumentError(
        absl::StrCat(target, ": is a special file, wanted a regular file"));
  }
  GEMMA_RETURN_IF_ERROR(CheckReplaces(target, force));
  GEMMA_RETURN_IF_ERROR(CheckEnding(target));
  NoteGgufName(target);
  return absl::OkStatus();
}

void NoteGgufName(const std::string& path) {
  if (absl::EndsWith(path, kGgufEnding)) return;
  Note(absl::StrCat(path,
                    ": is a GGUF file, which other programs know by the "
                    "ending .gguf"));
}

}  // namespace gemma::tools

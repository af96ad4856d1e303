#include "src/formats/hub_cache.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/listing.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/formats/checkpoint_files.h"
#include "src/formats/directory.h"
#include "src/os/mapped_file.h"
#include "src/os/path.h"

namespace gemma::internal {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSnapshots = "snapshots";
constexpr std::string_view kMain = "refs/main";

bool IsDirectory(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// Returns the name in refs/main, without the end of its line.
absl::StatusOr<std::string> MainOf(const std::string& directory) {
  GEMMA_ASSIGN_OR_RETURN(const MappedFile file,
                         MappedFile::Open(InDirectory(directory, kMain)));
  return std::string(absl::StripAsciiWhitespace(file.text()));
}

std::string Listed(const std::vector<std::string>& names) {
  constexpr size_t kMost = 5;
  return Listing(
      names, [](const std::string& name) { return Printable(name); }, kMost);
}

}  // namespace

absl::StatusOr<std::string> SnapshotOf(std::string directory) {
  const std::string snapshots = InDirectory(directory, kSnapshots);
  if (!IsDirectory(snapshots) || HasSafetensors(directory)) return directory;
  GEMMA_ASSIGN_OR_RETURN(std::vector<std::string> names, NamesIn(snapshots));
  std::erase_if(names, [&](const std::string& name) {
    return !IsDirectory(InDirectory(snapshots, name));
  });
  if (names.empty()) {
    return absl::NotFoundError(
        absl::StrCat(snapshots, ": is empty, wanted a snapshot of the model"));
  }
  if (Exists(directory, kMain)) {
    GEMMA_ASSIGN_OR_RETURN(const std::string main, MainOf(directory));
    if (std::count(names.begin(), names.end(), main) != 0) {
      return InDirectory(snapshots, main);
    }
    return absl::NotFoundError(
        absl::StrCat(InDirectory(directory, kMain), ": is ", Quoted(main),
                     ", wanted one of the snapshots (", Listed(names), ")"));
  }
  if (names.size() == 1) return InDirectory(snapshots, names[0]);
  return absl::InvalidArgumentError(absl::StrCat(
      directory, ": has ", names.size(), " snapshots (", Listed(names),
      ") and no ", kMain, " that names one: give the path of a snapshot"));
}

}  // namespace gemma::internal

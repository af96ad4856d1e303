#include "src/formats/checkpoint_files.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gemma/model.h"
#include "src/base/no_throw.h"
#include "src/base/part_name.h"
#include "src/base/status_macros.h"
#include "src/formats/adapter_file.h"
#include "src/formats/directory.h"
#include "src/formats/hub_cache.h"
#include "src/formats/sbs.h"
#include "src/os/mapped_file.h"
#include "src/os/path.h"

namespace gemma::internal {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kGguf = ".gguf";

// Adds the files of the directory except GGUF files: they are models of their
// own, perhaps made from this one. Moves the paths of its folders to `folders`.
absl::Status AddFiles(const std::string& directory,
                      std::vector<std::string>& files,
                      std::vector<std::string>& folders) {
  GEMMA_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                         NamesIn(directory));
  for (const std::string& name : names) {
    std::string path = InDirectory(directory, name);
    std::error_code error;
    if (fs::is_directory(path, error)) {
      folders.push_back(std::move(path));
    } else if (!absl::EndsWith(path, kGguf)) {
      files.push_back(std::move(path));
    }
  }
  return absl::OkStatus();
}

// Lists the files of the directory and of its folders. Modules have folders,
// but these have none that belong to the model.
absl::StatusOr<std::vector<std::string>> FilesOfTree(
    const std::string& directory) {
  std::vector<std::string> files;
  std::vector<std::string> folders;
  GEMMA_RETURN_IF_ERROR(AddFiles(directory, files, folders));
  std::vector<std::string> ignored;
  for (const std::string& folder : folders) {
    GEMMA_RETURN_IF_ERROR(AddFiles(folder, files, ignored));
  }
  return files;
}

bool IsSbsFile(const std::string& path) {
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  return file.ok() && IsSbs(file->bytes());
}

}  // namespace

bool HasSafetensors(const std::string& directory) {
  return Exists(directory, "model.safetensors") ||
         Exists(directory, "model.safetensors.index.json");
}

absl::StatusOr<std::vector<std::string>> ModelFileNames(
    const std::string& directory) {
  GEMMA_ASSIGN_OR_RETURN(std::vector<std::string> names, NamesIn(directory));
  std::erase_if(names, [](const std::string& name) {
    return !absl::EndsWith(name, kGguf) && !absl::EndsWith(name, ".sbs");
  });
  return names;
}

absl::StatusOr<std::vector<std::string>> CheckpointFiles(
    const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    if (HasSafetensors(path) || Exists(path, kAdapterConfig)) {
      return FilesOfTree(path);
    }
    // Without one snapshot to choose, nothing is read.
    const absl::StatusOr<std::string> snapshot = SnapshotOf(path);
    if (snapshot.ok() && *snapshot != path) return CheckpointFiles(*snapshot);
    std::vector<std::string> files;
    GEMMA_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           ModelFileNames(path));
    for (const std::string& name : names) {
      GEMMA_ASSIGN_OR_RETURN(const std::vector<std::string> of_model,
                             CheckpointFiles(InDirectory(path, name)));
      files.insert(files.end(), of_model.begin(), of_model.end());
    }
    return files;
  }
  std::vector<std::string> files = {path};
  const std::string directory = DirectoryOf(path);
  const std::optional<PartName> split =
      ParsePartName(fs::path(path).filename().string());
  for (size_t part = 1; split.has_value() && part <= split->count; ++part) {
    files.push_back(InDirectory(directory, split->Part(part)));
  }
  if (IsSbsFile(path)) {
    // The content of the file decides which of the two is read.
    files.push_back(InDirectory(directory, "tokenizer.spm"));
    files.push_back(InDirectory(directory, "tokenizer.model"));
  }
  return files;
}

}  // namespace gemma::internal

namespace gemma {

// gemma/model.h declares this. It is defined here because it needs file names.
absl::Status CheckIsNoModelFile(std::string_view output,
                                std::string_view path) {
  return internal::NoThrow([&]() -> absl::Status {
    GEMMA_ASSIGN_OR_RETURN(const std::vector<std::string> files,
                           internal::CheckpointFiles(std::string(path)));
    return internal::CheckIsNoneOf(std::string(output), files);
  });
}

}  // namespace gemma

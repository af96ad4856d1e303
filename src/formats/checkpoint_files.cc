#include "src/formats/checkpoint_files.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gemma/model.h"
#include "src/base/part_name.h"
#include "src/formats/directory.h"
#include "src/formats/sbs.h"
#include "src/os/mapped_file.h"
#include "src/os/path.h"
#include "src/os/same_file.h"

namespace gemma {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kGguf = ".gguf";

// Lists a directory. Follows a link to one.
std::vector<fs::path> Entries(const fs::path& directory) {
  std::vector<fs::path> entries;
  std::error_code error;
  fs::directory_iterator it(directory, error);
  while (!error && it != fs::directory_iterator()) {
    entries.push_back(it->path());
    it.increment(error);
  }
  return entries;
}

// Lists the files of the directory and of its folders, except GGUF files: they
// are models of their own, perhaps made from this one.
std::vector<std::string> FilesOfTree(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code error;
  const auto add = [&](const fs::path& path) {
    if (!absl::EndsWith(path.string(), kGguf)) files.push_back(path.string());
  };
  for (const fs::path& entry : Entries(directory)) {
    if (!fs::is_directory(entry, error)) {
      add(entry);
      continue;
    }
    // Modules have folders, but the folders have none.
    for (const fs::path& file : Entries(entry)) add(file);
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
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator it(directory, error);
  while (!error && it != fs::directory_iterator()) {
    std::string name = it->path().filename().string();
    if (absl::EndsWith(name, kGguf) || absl::EndsWith(name, ".sbs")) {
      names.push_back(std::move(name));
    }
    it.increment(error);
  }
  if (error) {
    return absl::UnknownError(absl::StrCat(directory, ": ", error.message()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> CheckpointFiles(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    if (HasSafetensors(path)) return FilesOfTree(path);
    std::vector<std::string> files;
    for (const std::string& name :
         ModelFileNames(path).value_or(std::vector<std::string>())) {
      const std::vector<std::string> of_model =
          CheckpointFiles(InDirectory(path, name));
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

// gemma/model.h declares this. It is defined here because it needs file names.
absl::Status CheckIsNoModelFile(std::string_view output,
                                std::string_view path) {
  return CheckIsNoneOf(std::string(output), CheckpointFiles(std::string(path)));
}

}  // namespace gemma

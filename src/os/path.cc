#include "src/os/path.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/os/system_error.h"

namespace gemma::internal {

std::string DirectoryOf(const std::string& path) {
  const std::string directory =
      std::filesystem::path(path).parent_path().string();
  return directory.empty() ? "." : directory;
}

bool IsPlainName(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of("/\\") == std::string_view::npos &&
         IsPrintable(name);
}

absl::Status CheckFileName(std::string_view path) {
  if (path.find('\0') == std::string_view::npos) return absl::OkStatus();
  return absl::InvalidArgumentError("a file name holds a zero byte");
}

absl::Status CheckLink(const std::string& path) {
  std::error_code error;
  const std::filesystem::path target =
      std::filesystem::read_symlink(path, error);
  if (error || std::filesystem::exists(path, error)) return absl::OkStatus();
  const std::filesystem::path file =
      (std::filesystem::path(DirectoryOf(path)) / target).lexically_normal();
  return absl::NotFoundError(
      absl::StrCat(path, ": is a link to ", Printable(file.string(), kUncut),
                   ", which does not exist: download the model again"));
}

absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(directory.c_str()),
                                                 closedir);
  if (open == nullptr) return SystemError(directory, errno);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(open.get());
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  if (errno != 0) return SystemError(directory, errno);
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status CheckIsNoneOf(const std::string& output,
                           const std::vector<std::string>& inputs) {
  struct stat info;
  if (stat(output.c_str(), &info) != 0) return absl::OkStatus();
  for (const std::string& input : inputs) {
    struct stat other;
    if (stat(input.c_str(), &other) == 0 && other.st_dev == info.st_dev &&
        other.st_ino == info.st_ino) {
      return absl::InvalidArgumentError(absl::StrCat(
          output, ": is the input ", input, ", wanted another file"));
    }
  }
  return absl::OkStatus();
}

}  // namespace gemma::internal

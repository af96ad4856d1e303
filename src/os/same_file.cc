#include "src/os/same_file.h"

#include <sys/stat.h>

#include "absl/strings/str_cat.h"

namespace gemma::internal {

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

#include "src/os/path.h"

#include <filesystem>

namespace gemma {

std::string DirectoryOf(const std::string& path) {
  const std::string directory =
      std::filesystem::path(path).parent_path().string();
  return directory.empty() ? "." : directory;
}

}  // namespace gemma

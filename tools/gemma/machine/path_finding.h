// Why a path is not a model, and what to do.

#ifndef GEMMA_TOOLS_GEMMA_MACHINE_PATH_FINDING_H_
#define GEMMA_TOOLS_GEMMA_MACHINE_PATH_FINDING_H_

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace gemma::tools {

// Cures for files that were not fetched as they are.
inline constexpr std::string_view kWebPageCure =
    "a server answered with a text in place of the file: the link to the file "
    "has /resolve/ instead of /blob/ (or use gemma pull hf://OWNER/REPO/FILE)";
inline constexpr std::string_view kCutCure =
    "the file was not downloaded or copied to its end: fetch it again (gemma "
    "pull checks what it fetches)";

struct PathFinding {
  std::string cause;  // "is compressed", after the path
  std::string cure;
};

// Returns why a file or a directory, which exists, is not a model.
PathFinding FindingOf(const std::string& path);

// Returns the names in a folder in ascending order.
std::vector<std::string> NamesIn(const std::filesystem::path& folder);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MACHINE_PATH_FINDING_H_

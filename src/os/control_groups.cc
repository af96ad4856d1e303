#include "src/os/control_groups.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace gemma::internal {
namespace {

// Adds a group, whose name begins with a slash, and the groups that enclose it.
void AddWithParents(const std::string& mount, std::string_view group,
                    int version, std::vector<ControlGroup>& groups) {
  while (group.size() > 1) {
    groups.push_back({absl::StrCat(mount, group), version});
    group = group.substr(0, group.rfind('/'));
  }
  groups.push_back({mount, version});
}

}  // namespace

std::vector<ControlGroup> ControlGroups(std::string_view controller,
                                        const std::string& root) {
  std::vector<ControlGroup> groups;
  const std::string mount = root + "/sys/fs/cgroup";
  // Lines like "0::/user.slice" (version 2) and "4:cpu,cpuacct:/docker/1".
  std::ifstream lines(root + "/proc/self/cgroup");
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string_view> fields =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3 || !fields[2].starts_with('/')) continue;
    if (fields[1].empty()) AddWithParents(mount, fields[2], 2, groups);
    for (const std::string_view name : absl::StrSplit(fields[1], ',')) {
      if (name != controller) continue;
      AddWithParents(absl::StrCat(mount, "/", controller), fields[2], 1,
                     groups);
    }
  }
  return groups;
}

}  // namespace gemma::internal

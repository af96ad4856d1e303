// The control groups of this process, which containers use.

#ifndef GEMMA_SRC_OS_CONTROL_GROUPS_H_
#define GEMMA_SRC_OS_CONTROL_GROUPS_H_

#include <string>
#include <string_view>
#include <vector>

namespace gemma::internal {

// A group's directory, which contains the files of a controller.
struct ControlGroup {
  std::string directory;
  int version = 2;  // of control groups, 1 or 2: decides the names of files
};

// Returns the groups that limit this process by `controller` ("cpu", "memory"):
// its own group and all enclosing ones up to the root. The limits of all hold.
// Reads proc/self/cgroup and names directories in sys/fs/cgroup, both below
// `root`. A directory may be missing or lack the files.
std::vector<ControlGroup> ControlGroups(std::string_view controller,
                                        const std::string& root = "/");

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_CONTROL_GROUPS_H_

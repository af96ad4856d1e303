// The control groups of this process, as containers have them.

#ifndef GEMMA_SRC_OS_CONTROL_GROUPS_H_
#define GEMMA_SRC_OS_CONTROL_GROUPS_H_

#include <string>
#include <string_view>
#include <vector>

namespace gemma::internal {

// A group's directory, which has the files of a controller.
struct ControlGroup {
  std::string directory;
  int version = 2;  // of control groups, which names its files: 1 or 2
};

// The groups that limit this process by `controller` ("cpu", "memory"): its
// own and those that it is in, to the root's. The limits of all hold. Reads
// proc/self/cgroup and names directories in sys/fs/cgroup, both below `root`.
// A directory need not exist or have the files.
std::vector<ControlGroup> ControlGroups(std::string_view controller,
                                        const std::string& root = "/");

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_CONTROL_GROUPS_H_

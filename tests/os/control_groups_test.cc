#include "src/os/control_groups.h"

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ControlGroupsTest : public ::testing::Test {
 protected:
  // Returns "VERSION DIRECTORY" for each group of a process whose cgroup file
  // has these lines. Directories are relative to sys/fs/cgroup.
  std::vector<std::string> Groups(const std::string& lines,
                                  std::string_view controller) {
    std::filesystem::create_directories(root_ + "/proc/self");
    WriteFile(root_ + "/proc/self/cgroup", lines);
    const std::string mount = root_ + "/sys/fs/cgroup";
    std::vector<std::string> found;
    for (const ControlGroup& group : ControlGroups(controller, root_)) {
      EXPECT_EQ(group.directory.substr(0, mount.size()), mount);
      found.push_back(absl::StrCat(group.version, " ",
                                   group.directory.substr(mount.size())));
    }
    return found;
  }

  const std::string root_ = TestDirectory();
};

TEST_F(ControlGroupsTest, WithParents) {
  EXPECT_THAT(Groups("0::/a.slice/b:c\n", "cpu"),
              ElementsAre("2 /a.slice/b:c", "2 /a.slice", "2 "));
  EXPECT_THAT(Groups("0::/\n", "memory"), ElementsAre("2 "));
}

TEST_F(ControlGroupsTest, ControllersOfVersion1) {
  const std::string lines =
      "9:memory:/docker/1\n4:cpuset,cpu,cpuacct:/docker/2\n1:name=x:/y\n";
  EXPECT_THAT(
      Groups(lines, "memory"),
      ElementsAre("1 /memory/docker/1", "1 /memory/docker", "1 /memory"));
  EXPECT_THAT(Groups(lines, "cpu"),
              ElementsAre("1 /cpu/docker/2", "1 /cpu/docker", "1 /cpu"));
  EXPECT_THAT(Groups(lines, "pids"), IsEmpty());
}

TEST_F(ControlGroupsTest, IgnoresOtherLines) {
  EXPECT_THAT(Groups("\n:\n0:\n0::\n0::x\n:memory:\n", "memory"), IsEmpty());
  EXPECT_THAT(ControlGroups("memory", root_ + "/none"), IsEmpty());
}

}  // namespace
}  // namespace gemma::internal

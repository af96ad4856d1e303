#include "src/os/cpus.h"

#ifdef __linux__
#include <sched.h>
#endif

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

namespace fs = std::filesystem;

// Each test has its own root directory in place of the system's.
class CpuQuotaTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }

  // Sets the groups of the process.
  void SetGroups(const std::string& lines) { Write("proc/self/cgroup", lines); }

  size_t Quota() const { return CpuQuota(root_.string()); }

  // Writes a file of a group, then returns the quota.
  size_t QuotaAfter(const std::string& file, const std::string& text) {
    Write("sys/fs/cgroup/" + file, text);
    return Quota();
  }

 private:
  const fs::path root_ = TestDirectory();
};

TEST_F(CpuQuotaTest, NoFiles) { EXPECT_EQ(Quota(), 0u); }

TEST_F(CpuQuotaTest, Version2) {
  SetGroups("0::/a/b\n");
  EXPECT_EQ(QuotaAfter("a/b/cpu.max", "max 100000\n"), 0u);
  EXPECT_EQ(QuotaAfter("a/b/cpu.max", "350000 100000\n"), 3u);
  EXPECT_EQ(QuotaAfter("a/b/cpu.max", "50000 100000\n"), 1u);
}

TEST_F(CpuQuotaTest, LeastOfAllLevels) {
  SetGroups("0::/a/b\n");
  EXPECT_EQ(QuotaAfter("a/b/cpu.max", "800000 100000\n"), 8u);
  EXPECT_EQ(QuotaAfter("a/cpu.max", "200000 100000\n"), 2u);
}

// In a container that sees its own group as the root.
TEST_F(CpuQuotaTest, Root) {
  SetGroups("0::/\n");
  EXPECT_EQ(QuotaAfter("cpu.max", "400000 100000\n"), 4u);
}

TEST_F(CpuQuotaTest, Version1) {
  SetGroups("9:memory:/x\n4:cpu,cpuacct:/docker/1\n");
  EXPECT_EQ(QuotaAfter("cpu/docker/1/cpu.cfs_period_us", "100000\n"), 0u);
  EXPECT_EQ(QuotaAfter("cpu/docker/1/cpu.cfs_quota_us", "-1\n"), 0u);
  EXPECT_EQ(QuotaAfter("cpu/docker/1/cpu.cfs_quota_us", "250000\n"), 2u);
}

TEST_F(CpuQuotaTest, Nonsense) {
  SetGroups("\n0\n0:\n0::\n0::x\n:::/\n0::/a\n");
  EXPECT_EQ(QuotaAfter("a/cpu.max", "-5 0\n"), 0u);
  EXPECT_EQ(QuotaAfter("a/cpu.max", "1e300 1\n"), 0u);
}

#ifdef __linux__
TEST(UsableCpusTest, FollowsTheAffinity) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  EXPECT_EQ(AllowedCpus(), static_cast<size_t>(CPU_COUNT(&before)));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(AllowedCpus(), 1u);
  EXPECT_EQ(UsableCpus(), 1u);
  ASSERT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
}
#endif

TEST(UsableCpusTest, AtLeastOne) { EXPECT_GE(UsableCpus(), 1u); }

}  // namespace
}  // namespace gemma::internal

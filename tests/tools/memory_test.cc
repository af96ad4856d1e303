// How much memory there is, and what fits in it.

#include "tools/gemma/memory.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/toy_models.h"
#include "tools/gemma/errors.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;
using ::testing::Optional;

constexpr uint64_t kMiB = uint64_t{1} << 20;

class MemoryTest : public ::testing::Test {
 protected:
  MemoryTest()
      : root_(
            fs::path(::testing::TempDir()) /
            (std::string("memory_") +
             ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(root_);
  }
  ~MemoryTest() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  void WriteMachine() {
    Write("proc/meminfo",
          "MemTotal:       16384 kB\nMemFree:   100 kB\n"
          "MemAvailable:   8192 kB\n");
  }

  Memory Read() const { return ReadMemory(root_.string()); }

 private:
  fs::path root_;
};

TEST_F(MemoryTest, NoFiles) {
  const Memory memory = Read();
  EXPECT_EQ(memory.total, std::nullopt);
  EXPECT_EQ(memory.available, std::nullopt);
  EXPECT_EQ(memory.group_limit, std::nullopt);
  EXPECT_FALSE(memory.LeastRoom().has_value());
}

TEST_F(MemoryTest, Machine) {
  WriteMachine();
  const Memory memory = Read();
  EXPECT_THAT(memory.total, Optional(16 * kMiB));
  EXPECT_THAT(memory.available, Optional(8 * kMiB));
  ASSERT_TRUE(memory.LeastRoom().has_value());
  EXPECT_EQ(memory.LeastRoom()->bytes, 8 * kMiB);
  EXPECT_EQ(memory.LeastRoom()->of, "the machine");
}

TEST_F(MemoryTest, GroupsOfVersion2) {
  WriteMachine();
  Write("proc/self/cgroup", "0::/a/b\n");
  Write("sys/fs/cgroup/a/memory.max", "4194304\n");
  Write("sys/fs/cgroup/a/memory.current", "3145728\n");
  // Caches can be had back.
  Write("sys/fs/cgroup/a/memory.stat",
        "anon 1\nfile 1572864\ninactive_file 1048576\nactive_file 524288\n");
  Write("sys/fs/cgroup/a/b/memory.max", "max\n");
  Write("sys/fs/cgroup/a/b/memory.current", "3145728\n");
  const Memory memory = Read();
  EXPECT_THAT(memory.group_limit, Optional(4 * kMiB));
  EXPECT_THAT(memory.group_available, Optional(4 * kMiB - 3 * kMiB / 2));
  EXPECT_EQ(memory.LeastRoom()->of, "the control group");
}

TEST_F(MemoryTest, GroupsOfVersion1) {
  WriteMachine();
  Write("proc/self/cgroup", "9:cpu:/x\n4:memory:/docker/1\n0::/\n");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  Write("sys/fs/cgroup/memory/memory.usage_in_bytes", "1\n");
  EXPECT_EQ(Read().group_limit, std::nullopt);
  const std::string group = "sys/fs/cgroup/memory/docker/1/";
  Write(group + "memory.limit_in_bytes", "2097152\n");
  Write(group + "memory.usage_in_bytes", "2097152\n");
  Write(group + "memory.stat", "inactive_file 7\ntotal_inactive_file 4096\n");
  EXPECT_THAT(Read().group_limit, Optional(2 * kMiB));
  EXPECT_THAT(Read().group_available, Optional(uint64_t{4096}));
}

TEST_F(MemoryTest, AGroupMayHoldMoreThanItsLimit) {
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/memory.max", "1048576\n");
  Write("sys/fs/cgroup/memory.current", "2097152\n");
  EXPECT_THAT(Read().group_available, Optional(uint64_t{0}));
}

TEST_F(MemoryTest, Nonsense) {
  Write("proc/meminfo", "MemTotal: many\n\n:\nMemAvailable:");
  Write("proc/self/cgroup", "\n0\n0:\n0::\n0::x\n:::/\n0::/a\n");
  Write("sys/fs/cgroup/a/memory.max", "-5\n");
  Write("sys/fs/cgroup/a/memory.current", "x\n");
  const Memory memory = Read();
  EXPECT_EQ(memory.total, std::nullopt);
  EXPECT_EQ(memory.available, std::nullopt);
  EXPECT_EQ(memory.group_limit, std::nullopt);
}

TEST(MemoryOfThisMachine, IsKnown) {
  const Memory memory = ReadMemory();
  EXPECT_GT(memory.total.value_or(0), 64 * kMiB);
  EXPECT_LE(memory.available.value_or(0), memory.total.value_or(0));
}

class CheckMemoryTest : public ::testing::Test {
 protected:
  absl::Status Check(uint64_t available, bool loaded = false) const {
    Memory memory;
    memory.available = available;
    return CheckMemory(model_, session_, loaded, "toy", memory);
  }

  const Model model_ = LoadOrDie(ToyPath("gemma2"), {.num_threads = 1});
  const SessionOptions session_ = {.max_tokens = 65536};
  const MemoryUse use_ = model_.MemoryFor(session_);
};

TEST_F(CheckMemoryTest, ToTheByte) {
  EXPECT_TRUE(Check(use_.total()).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Check(use_.total() - 1)));
  // Weights that are there are not needed again.
  EXPECT_TRUE(Check(use_.cache + use_.scratch, /*loaded=*/true).ok());
  EXPECT_FALSE(Check(use_.cache + use_.scratch - 1, /*loaded=*/true).ok());
  EXPECT_FALSE(Check(use_.cache + use_.scratch).ok());
}

TEST_F(CheckMemoryTest, OfSeveralModelsToTheByte) {
  const Model other = LoadOrDie(ToyPath("gemma3"), {.num_threads = 1});
  const uint64_t both = use_.total() + other.MemoryFor(session_).total();
  Memory memory;
  memory.available = both;
  const auto check = [&] {
    return CheckMemory({&model_, &other}, session_, false, "both", memory);
  };
  EXPECT_TRUE(check().ok());
  memory.available = both - 1;
  EXPECT_THAT(std::string(check().message()), HasSubstr("both: needs "));
  EXPECT_THAT(CureOf(check()), HasSubstr("--context 32768 fits"));
}

TEST_F(CheckMemoryTest, NobodyKnows) {
  EXPECT_TRUE(CheckMemory(model_, session_, false, "toy", Memory()).ok());
}

TEST_F(CheckMemoryTest, TellsTheLargestContextThatFits) {
  const uint64_t room = model_.MemoryFor({.max_tokens = 16384}).total();
  const absl::Status status = Check(room);
  EXPECT_THAT(std::string(status.message()),
              ::testing::AllOf(HasSubstr("toy: needs "), HasSubstr("65536"),
                               HasSubstr("the machine has ")));
  EXPECT_THAT(CureOf(status), HasSubstr("--context 16384 fits"));
  EXPECT_THAT(CureOf(Check(room - 1)), HasSubstr("--context 8192 fits"));
  EXPECT_THAT(CureOf(status), HasSubstr("--ignore-memory"));
}

TEST_F(CheckMemoryTest, TellsThatNoContextFits) {
  EXPECT_THAT(CureOf(Check(use_.weights)), HasSubstr("a smaller model"));
}

TEST_F(CheckMemoryTest, TheLeastRoomCounts) {
  Memory memory;
  memory.available = use_.total();
  memory.group_available = use_.total() - 1;
  const absl::Status status =
      CheckMemory(model_, session_, false, "toy", memory);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("the control group has"));
}

}  // namespace
}  // namespace gemma::tools

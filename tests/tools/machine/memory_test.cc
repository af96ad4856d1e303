// The memory of the machine, and what fits in it.

#include "tools/gemma/machine/memory.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/machine/doctor_findings.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Optional;
using ::testing::StartsWith;

constexpr uint64_t kMiB = uint64_t{1} << 20;

class MemoryTest : public ::testing::Test {
 protected:
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
  const fs::path root_ = TestDirectory();
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
  // Memory in caches is available.
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

TEST_F(MemoryTest, GroupAboveLimit) {
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
  MemoryPlan Plan() const {
    MemoryPlan plan;
    plan.name = "toy";
    plan.amounts.context = 65536;
    plan.use = UseOfSessions({&model_}, {});
    return plan;
  }
  static absl::Status Check(const MemoryPlan& plan, uint64_t available) {
    Memory memory;
    memory.available = available;
    return CheckMemory(plan, memory);
  }
  // Returns the cure if one byte is missing of the memory for these amounts.
  static std::string CureWithout(const MemoryPlan& plan,
                                 const Amounts& amounts) {
    return CureOf(Check(plan, plan.use(amounts).total() - 1));
  }
  static std::string CureWith(const MemoryPlan& plan, const Amounts& amounts) {
    return CureOf(Check(plan, plan.use(amounts).total()));
  }

  const Model model_ = LoadOrDie(ToyPath("gemma2"), {.num_threads = 1});
  const MemoryUse use_ = model_.MemoryFor({.max_tokens = 65536});
};

TEST_F(CheckMemoryTest, ToTheByte) {
  MemoryPlan plan = Plan();
  EXPECT_TRUE(Check(plan, use_.total()).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Check(plan, use_.total() - 1)));
  EXPECT_FALSE(Check(plan, use_.cache + use_.scratch).ok());
  // Loaded weights need no more memory.
  plan.loaded = true;
  EXPECT_TRUE(Check(plan, use_.cache + use_.scratch).ok());
  EXPECT_FALSE(Check(plan, use_.cache + use_.scratch - 1).ok());
}

TEST_F(CheckMemoryTest, OfSeveralModels) {
  const Model other = LoadOrDie(ToyPath("gemma3"), {.num_threads = 1});
  const uint64_t both =
      use_.total() + other.MemoryFor({.max_tokens = 65536}).total();
  MemoryPlan plan = Plan();
  plan.name = "both";
  plan.use = UseOfSessions({&model_, &other}, {});
  EXPECT_TRUE(Check(plan, both).ok());
  const absl::Status status = Check(plan, both - 1);
  EXPECT_THAT(std::string(status.message()), HasSubstr("both: needs "));
  EXPECT_THAT(CureOf(status), HasSubstr("--context 32768 fits"));
}

TEST_F(CheckMemoryTest, SessionsAndLogitsCount) {
  MemoryPlan plan = Plan();
  plan.amounts.sequences = 64;
  plan.amounts.chunk = 1000;
  plan.use = UseOfSessions({&model_}, {}, /*logits=*/2);
  const uint64_t all = model_.MemoryFor({.max_tokens = 65536}, 64).total() +
                       2 * 1000 * model_.config().vocab_size * sizeof(float);
  EXPECT_TRUE(Check(plan, all).ok());
  const absl::Status status = Check(plan, all - 1);
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr(" for 64 contexts of 65536, scratch "));
}

TEST_F(CheckMemoryTest, NobodyKnows) {
  EXPECT_TRUE(CheckMemory(Plan(), Memory()).ok());
  EXPECT_EQ(BytesLeft(Plan(), Memory()), UINT64_MAX);
}

TEST_F(CheckMemoryTest, WhatIsLeft) {
  Memory memory;
  memory.available = use_.total() + 5;
  EXPECT_EQ(BytesLeft(Plan(), memory), 5u);
  memory.available = use_.total() - 5;
  EXPECT_EQ(BytesLeft(Plan(), memory), 0u);
}

TEST_F(CheckMemoryTest, TellsLargestFittingContext) {
  const MemoryPlan plan = Plan();
  const absl::Status status = Check(plan, plan.use({.context = 16384}).total());
  EXPECT_THAT(std::string(status.message()),
              ::testing::AllOf(HasSubstr("toy: needs "),
                               HasSubstr(" for a context of 65536, "),
                               HasSubstr("the machine has ")));
  EXPECT_THAT(CureOf(status), HasSubstr("--context 16384 fits"));
  EXPECT_THAT(CureWithout(plan, {.context = 16384}),
              HasSubstr("--context 8192 fits"));
  EXPECT_THAT(CureOf(status), HasSubstr("--ignore-memory"));
}

TEST_F(CheckMemoryTest, LowersSequencesBeforeContext) {
  MemoryPlan plan = Plan();
  plan.amounts.sequences = 24;
  EXPECT_THAT(CureWith(plan, {.context = 65536, .sequences = 16}),
              StartsWith("--batch-size 16 fits"));
  EXPECT_THAT(CureWithout(plan, {.context = 65536, .sequences = 16}),
              StartsWith("--batch-size 8 fits"));
  // If no number of sequences fits, a lower context may.
  EXPECT_THAT(CureWithout(plan, {.context = 65536, .sequences = 1}),
              StartsWith("--context 2048 fits"));
  plan.may_lower_context = false;
  EXPECT_THAT(CureWithout(plan, {.context = 65536, .sequences = 1}),
              StartsWith("use a smaller model"));
}

TEST_F(CheckMemoryTest, ChatGoesOnWithout) {
  MemoryPlan plan = Plan();
  plan.in_chat = true;
  EXPECT_EQ(CureWith(plan, {.context = 16384}),
            "/set context 16384 makes it fit");
  EXPECT_THAT(CureWith(plan, {.context = 1}),
              AllOf(HasSubstr("the chat keeps its model"),
                    Not(HasSubstr("--ignore-memory"))));
  plan.loaded = true;  // only another context is wanted
  EXPECT_EQ(CureOf(Check(plan, 0)), "the chat keeps its context");
}

TEST_F(CheckMemoryTest, LowersTheChunkFirst) {
  MemoryPlan plan = Plan();
  plan.amounts.chunk = 8192;
  plan.use = UseOfSessions({&model_}, {}, /*logits=*/1);
  EXPECT_THAT(CureWith(plan, {.context = 65536, .chunk = 64}),
              StartsWith("--chunk 64 fits"));
  // If the memory does not depend on the chunk, the chunk is not a cure.
  plan.use = UseOfSessions({&model_}, {});
  EXPECT_THAT(CureWithout(plan, {.context = 65536}),
              StartsWith("--context 32768 fits"));
}

TEST_F(CheckMemoryTest, LowersSeveralIfNeeded) {
  MemoryPlan plan = Plan();
  plan.amounts.sequences = 2;
  plan.amounts.chunk = 8192;
  plan.use = UseOfSessions({&model_}, {}, /*logits=*/64);
  const Amounts least = {.context = 32768, .sequences = 1, .chunk = 1};
  EXPECT_THAT(CureWith(plan, least),
              StartsWith("--chunk 1 --batch-size 1 --context 32768 fits"));
}

TEST_F(CheckMemoryTest, TellsNoContextFits) {
  EXPECT_THAT(CureOf(Check(Plan(), use_.weights)),
              HasSubstr("a smaller model"));
}

TEST_F(CheckMemoryTest, TheLeastRoomCounts) {
  Memory memory;
  memory.available = use_.total();
  memory.group_available = use_.total() - 1;
  EXPECT_THAT(std::string(CheckMemory(Plan(), memory).message()),
              HasSubstr("the control group has"));
}

// A packed file, whose weights stay in the file.
class MappedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Quantize(ToyPath("gemma2"), options_.path,
                         {.type = WeightType::kQ8, .num_threads = 1})
                    .ok());
    absl::StatusOr<Model> model =
        Model::Load(options_.path, {.num_threads = 1, .skip_weights = true});
    ASSERT_TRUE(model.ok()) << model.status();
    model_.emplace(*std::move(model));
    plan_ = PlanOf(*model_, options_, /*default_context=*/64);
    plan_.loaded = false;
    use_ = plan_.use(plan_.amounts);
    rest_ = use_.total() - use_.mapped;
  }
  static Memory Available(uint64_t bytes) {
    Memory memory;
    memory.available = bytes;
    return memory;
  }

  ModelOptions options_ = {
      .path = (fs::path(TestDirectory()) / "packed.gguf").string()};
  std::optional<Model> model_;
  MemoryPlan plan_;
  MemoryUse use_;
  uint64_t rest_ = 0;
};

TEST_F(MappedTest, OnlyRestMustFit) {
  EXPECT_GT(use_.mapped, 0u);
  EXPECT_GT(use_.weights, use_.mapped);  // norms are in memory
  EXPECT_TRUE(CheckMemory(plan_, Available(rest_)).ok());
  const absl::Status status = CheckMemory(plan_, Available(rest_ - 1));
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  // Weights that are packed at loading must fit.
  const Model toy = LoadOrDie(ToyPath("gemma2"), {.num_threads = 1});
  EXPECT_EQ(toy.MemoryFor({}).mapped, 0u);
}

TEST_F(MappedTest, NoteSaysReadBytes) {
  EXPECT_EQ(MappedNote(plan_, Available(use_.total())), "");
  EXPECT_EQ(MappedNote(plan_, Memory()), "");
  Memory memory = Available(use_.total());
  memory.group_available = use_.total() - 2048;
  EXPECT_THAT(MappedNote(plan_, memory),
              ::testing::AllOf(StartsWith(options_.path),
                               HasSubstr("the control group has"),
                               HasSubstr("the system reads 2.05 kB from")));
  // The address space is no memory, and contains the mapped file already.
  memory = Available(use_.total());
  memory.address_available = rest_;
  EXPECT_TRUE(CheckMemory(plan_, memory).ok());
  EXPECT_EQ(MappedNote(plan_, memory), "");
}

TEST_F(MappedTest, NoteSaysWhatFits) {
  MemoryPlan plan;
  plan.bits_per_weight = 8.5;
  plan.use = [](const Amounts&) {
    return MemoryUse{.weights = 1000, .mapped = 1000};
  };
  EXPECT_THAT(MappedNote(plan, Available(999)), HasSubstr("--type q6 "));
  plan.bits_per_weight = 8.6;  // Q8 with some vectors
  EXPECT_THAT(MappedNote(plan, Available(999)), HasSubstr("--type q6 "));
  plan.bits_per_weight = 8.5;
  EXPECT_THAT(MappedNote(plan, Available(600)), HasSubstr("--type q4 "));
  EXPECT_THAT(MappedNote(plan, Available(510)), HasSubstr("--type q4s "));
  EXPECT_THAT(MappedNote(plan, Available(490)),
              HasSubstr("only a smaller model"));
}

TEST_F(MappedTest, ReuseLeavesMappedWeights) {
  plan_.loaded = true;
  EXPECT_EQ(BytesLeft(plan_, Available(use_.total() + 5)),
            5 + use_.weights - use_.mapped);
  EXPECT_EQ(BytesLeft(plan_, Available(use_.mapped)), 0u);
}

TEST_F(MappedTest, DoctorPredicts) {
  options_.context = 64;
  options_.threads = 1;
  Finding found = FindModel(options_, Available(use_.total() - 1)).front();
  EXPECT_EQ(found.level, Level::kWarning);
  EXPECT_THAT(found.cure, HasSubstr(" of weights stay in the mapped file"));
  EXPECT_EQ(found.facts["mapped"], use_.mapped);
  EXPECT_EQ(found.facts["fits"], true);
  EXPECT_EQ(found.facts["mapped_fits"], false);
  found = FindModel(options_, Available(rest_ - 1)).front();
  EXPECT_EQ(found.level, Level::kProblem);
  // The file is mapped into the address space.
  Memory memory = Available(use_.total());
  memory.address_available = use_.total() - 1;
  EXPECT_EQ(FindModel(options_, memory).front().level, Level::kProblem);
  memory.address_available = use_.total();
  EXPECT_EQ(FindModel(options_, memory).front().facts["mapped_fits"], true);
}

// The plans of commands.
TEST(PlanOf, TokensSessionsAndLogits) {
  const Model model = LoadOrDie(ToyPath("gemma2"), {.num_threads = 1});
  ModelOptions options;
  options.chunk = 100;
  options.logits = 1;
  MemoryPlan plan = PlanOf(model, options, /*default_context=*/64, 3);
  EXPECT_TRUE(plan.loaded);
  EXPECT_EQ(plan.amounts.context, 64u);
  EXPECT_EQ(plan.amounts.sequences, 3u);
  EXPECT_EQ(plan.amounts.chunk, 64u);  // a pass never computes more
  EXPECT_EQ(plan.use(plan.amounts).total(),
            model.MemoryFor({.max_tokens = 64}, 3).total() +
                64 * model.config().vocab_size * sizeof(float));
  options.context = 128;
  plan = PlanOf(model, options, /*default_context=*/64);
  EXPECT_EQ(plan.amounts.context, 128u);
  EXPECT_EQ(plan.amounts.chunk, 100u);
}

TEST(PlanOf, TextsToEmbed) {
  const Model model = LoadOrDie(ToyPath("embedding_gemma"), {.num_threads = 1});
  ModelOptions options;
  options.context = 16;
  const MemoryPlan plan = PlanOf(model, options, /*default_context=*/1);
  EXPECT_EQ(plan.amounts.context, 16u);
  EXPECT_EQ(plan.use(plan.amounts).total(),
            Embedder::MemoryFor(model, {.max_tokens = 16}).total());
}

TEST(IgnoreMemory, SkipsCheck) {
  MemoryPlan plan;
  plan.use = [](const Amounts&) {
    return MemoryUse{.weights = uint64_t{1} << 62};
  };
  ModelOptions options;
  EXPECT_TRUE(absl::IsResourceExhausted(CheckMemory(options, plan)));
  options.ignore_memory = true;
  EXPECT_TRUE(CheckMemory(options, plan).ok());
}

}  // namespace
}  // namespace gemma::tools

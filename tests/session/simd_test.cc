// The public cap on SIMD.

#include "gemma/simd.h"

#include <string>
#include <vector>

#include "gemma/c_api.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/targets.h"
#include "src/base/internal.h"
#include "tests/support/toy_models.h"

namespace gemma {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class CapSimdTest : public ::testing::Test {
 protected:
  CapSimdTest() {
    UncapSimdForTest();
    caps_ = GetSimdUse().caps;
  }
  ~CapSimdTest() override { UncapSimdForTest(); }

  std::vector<std::string> caps_;
};

TEST_F(CapSimdTest, ReportsItsCap) {
  const SimdUse before = GetSimdUse();
  EXPECT_EQ(before.cap, "");
  EXPECT_EQ(before.note, "");
  EXPECT_THAT(before.compiled, Contains(before.chosen));
  EXPECT_EQ(before.products.size(), 3u);
  if (caps_.empty()) GTEST_SKIP() << "this build has no caps";
  for (const std::string& cap : caps_) {
    UncapSimdForTest();
    ASSERT_TRUE(CapSimd(cap).ok()) << cap;
    const SimdUse use = GetSimdUse();
    EXPECT_EQ(use.cap, cap);
    EXPECT_EQ(use.cpu, before.cpu);
    EXPECT_EQ(use.caps, caps_);
    if (cap == "avx512") {
      EXPECT_THAT(use.note, HasSubstr("no kernels for the cap '" + cap));
    }
    if (cap.starts_with("avx2") && use.compiled.size() > 1) {
      EXPECT_EQ(use.note, "");
    }
  }
}

TEST_F(CapSimdTest, NamesOfThisArchitecture) {
  const std::vector<std::string> names = SimdNames();
  for (const std::string& cap : caps_) EXPECT_THAT(names, Contains(cap));
  const bool has_x86 = ::testing::Value(names, Contains("amx"));
  const bool has_arm = ::testing::Value(names, Contains("neon-i8mm"));
  EXPECT_FALSE(has_x86 && has_arm);
}

TEST_F(CapSimdTest, ErrorsNamePossibleCaps) {
  const absl::Status unknown = CapSimd("avx3");
  EXPECT_TRUE(absl::IsInvalidArgument(unknown));
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("'avx3' is unknown"));
  for (const std::string name : {"amx", "avx2", "neon", "neon-i8mm"}) {
    if (::testing::Value(caps_, Contains(name))) continue;
    const absl::Status lacks = CapSimd(name);
    EXPECT_TRUE(absl::IsInvalidArgument(lacks)) << name;
    EXPECT_THAT(std::string(lacks.message()), HasSubstr("lacks '" + name));
    for (const std::string& cap : caps_) {
      EXPECT_THAT(std::string(lacks.message()), HasSubstr("'" + cap + "'"));
    }
  }
}

TEST_F(CapSimdTest, ComesBeforeFirstModel) {
  if (caps_.size() < 2) GTEST_SKIP() << "this build has one cap";
  // Neither a model without weights nor one that is missing is a first model.
  ASSERT_TRUE(Model::Load(ToyPath("gemma2"), {.skip_weights = true}).ok());
  EXPECT_FALSE(Model::Load("/missing").ok());
  ASSERT_TRUE(CapSimd(caps_[0]).ok());
  LoadOrDie(ToyPath("gemma2"), {.num_threads = 1});
  EXPECT_TRUE(CapSimd(caps_[0]).ok());
  const absl::Status late = CapSimd(caps_[1]);
  EXPECT_TRUE(absl::IsFailedPrecondition(late));
  EXPECT_THAT(std::string(late.message()),
              HasSubstr("after the first model, which uses '" + caps_[0]));
  EXPECT_EQ(gemma_cap_simd(caps_[0].c_str()), GEMMA_OK);
  EXPECT_EQ(gemma_cap_simd(caps_[1].c_str()), GEMMA_FAILED_PRECONDITION);
  EXPECT_EQ(gemma_cap_simd(nullptr), GEMMA_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace gemma

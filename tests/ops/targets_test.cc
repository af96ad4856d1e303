// The reported targets are those that dispatch uses.

#include "ops/targets.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"
#include "tests/support/for_each_target.h"

namespace gemma::internal {
namespace {

TEST(Targets, RunnableWereCompiled) {
  const std::vector<std::string> compiled = CompiledTargets();
  ForEachTarget(
      [&] { EXPECT_THAT(compiled, ::testing::Contains(ChosenTarget())); });
}

TEST(Targets, ChoosesBestSupported) {
  std::vector<std::string> supported;
  for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
    supported.emplace_back(hwy::TargetName(target));
  }
  EXPECT_EQ(ChosenTarget(), supported.front());
  // A CPU with fewer instructions gets a different target.
  for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    EXPECT_EQ(ChosenTarget(), hwy::TargetName(target));
  }
  hwy::SetSupportedTargetsForTest(0);
}

TEST(Targets, HighwayHasAVersion) {
  EXPECT_THAT(HighwayVersion(),
              ::testing::MatchesRegex("[0-9]+[.][0-9]+[.][0-9]+"));
}

}  // namespace
}  // namespace gemma::internal

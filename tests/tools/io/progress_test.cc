// The time left, as the progress line shows it.

#include "tools/gemma/io/progress.h"

#include <cstdint>
#include <limits>
#include <optional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"

namespace gemma::tools {
namespace {

using ::testing::Optional;

constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();

TEST(SecondsLeft, AtRateSoFar) {
  EXPECT_THAT(SecondsLeft(0, 1, 4, 2.0), Optional(6.0));
  EXPECT_THAT(SecondsLeft(2, 3, 4, 2.0), Optional(2.0));
  EXPECT_THAT(SecondsLeft(0, 4, 4, 2.0), Optional(0.0));
}

TEST(SecondsLeft, NothingDone) {
  EXPECT_EQ(SecondsLeft(0, 0, 4, 2.0), std::nullopt);
  EXPECT_EQ(SecondsLeft(3, 3, 4, 2.0), std::nullopt);
  EXPECT_EQ(SecondsLeft(3, 2, 4, 2.0), std::nullopt);
}

TEST(SecondsLeft, MoreDoneThanAll) {
  EXPECT_EQ(SecondsLeft(0, 5, 4, 2.0), std::nullopt);
  EXPECT_EQ(SecondsLeft(0, 5, 0, 2.0), std::nullopt);
  EXPECT_EQ(SecondsLeft(0, kMost, 1, 2.0), std::nullopt);
}

TEST(DurationText, Units) {
  EXPECT_EQ(DurationText(0), "0 s");
  EXPECT_EQ(DurationText(4.2), "5 s");
  EXPECT_EQ(DurationText(65), "1 min 05 s");
  EXPECT_EQ(DurationText(7199.5), "2 h 00 min");
}

TEST(DurationText, NoIntegerHoldsIt) {
  const std::string most = DurationText(1e9);
  EXPECT_EQ(DurationText(1e300), most);
  EXPECT_EQ(DurationText(std::numeric_limits<double>::infinity()), most);
  EXPECT_EQ(DurationText(*SecondsLeft(0, 1, kMost, 1e9)), most);
}

}  // namespace
}  // namespace gemma::tools

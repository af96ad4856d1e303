// Times and sizes for people, such as the time left in the progress line.

#include "tools/gemma/io/progress.h"

#include <cstdint>
#include <ctime>
#include <limits>
#include <optional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tools/gemma/io/text.h"

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

TEST(Bytes, ThreeDecimalDigits) {
  EXPECT_EQ(Bytes(0), "0 B");
  EXPECT_EQ(Bytes(999), "999 B");
  EXPECT_EQ(Bytes(1000), "1.00 kB");
  EXPECT_EQ(Bytes(2048), "2.05 kB");
  EXPECT_EQ(Bytes(9'994), "9.99 kB");
  EXPECT_EQ(Bytes(9'996), "10.0 kB");
  EXPECT_EQ(Bytes(99'960), "100 kB");
  EXPECT_EQ(Bytes(999'499), "999 kB");
  EXPECT_EQ(Bytes(999'500), "1.00 MB");
  EXPECT_EQ(Bytes(253'114'976), "253 MB");
  EXPECT_EQ(Bytes(1'419'841'356), "1.42 GB");
  EXPECT_EQ(Bytes(uint64_t{1} << 62), "4611686 TB");
}

TEST(Age, LargestUnitThatFits) {
  // 2026-01-31T12:00:00Z
  constexpr std::time_t kNow = 1769860800;
  EXPECT_EQ(Age("2026-01-31T12:00:00Z", kNow), "just now");
  EXPECT_EQ(Age("2026-01-31T12:00:01Z", kNow), "just now");
  EXPECT_EQ(Age("2026-01-31T11:59:01Z", kNow), "just now");
  EXPECT_EQ(Age("2026-01-31T11:59:00Z", kNow), "1 minute ago");
  EXPECT_EQ(Age("2026-01-31T09:00:00Z", kNow), "3 hours ago");
  EXPECT_EQ(Age("2026-01-30T12:00:00Z", kNow), "1 day ago");
  EXPECT_EQ(Age("2026-01-24T12:00:00Z", kNow), "1 week ago");
  EXPECT_EQ(Age("2025-12-01T12:00:00Z", kNow), "2 months ago");
  EXPECT_EQ(Age("2024-01-01T00:00:00Z", kNow), "2 years ago");
  EXPECT_EQ(Age("yesterday", kNow), "yesterday");
  EXPECT_EQ(Age("2026-01-31T12:00:00Z+", kNow), "2026-01-31T12:00:00Z+");
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

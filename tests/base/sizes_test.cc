#include "src/base/sizes.h"

#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();

TEST(Saturating, SmallNumbersAreExact) {
  EXPECT_EQ(Product({}), 1u);
  EXPECT_EQ(Product({3, 0, 5}), 0u);
  EXPECT_EQ(Product({3, 4, 5}), 60u);
  EXPECT_EQ(Product({uint64_t{1} << 31, uint64_t{1} << 30}), uint64_t{1} << 61);
  EXPECT_EQ(Sum({}), 0u);
  EXPECT_EQ(Sum({3, 4, 5}), 12u);
}

TEST(Saturating, LargeNumbersStayLarge) {
  EXPECT_EQ(Product({uint64_t{1} << 32, uint64_t{1} << 32}), kTooMuch);
  EXPECT_EQ(Product({kMost, kMost, kMost}), kTooMuch);
  EXPECT_EQ(Product({kMost, 2}), kTooMuch);
  EXPECT_EQ(Product({kMost, 0}), 0u);
  EXPECT_EQ(Sum({kMost, 1}), kTooMuch);
  EXPECT_EQ(Sum({kTooMuch, kTooMuch, kTooMuch, kTooMuch, kTooMuch}), kTooMuch);
}

}  // namespace
}  // namespace gemma::internal

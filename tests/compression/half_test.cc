#include "compression/half.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

bool IsHalfNaN(uint32_t half) { return (half & 0x7FFF) > 0x7C00; }

// Returns the value of a finite half from its definition.
double HalfValue(uint32_t half) {
  const int exponent = static_cast<int>(half >> 10) & 31;
  const int mantissa = static_cast<int>(half) & 1023;
  const double magnitude = exponent == 0
                               ? std::ldexp(mantissa, -24)
                               : std::ldexp(1024 + mantissa, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(Half, WidensFiniteExactly) {
  for (uint32_t half = 0; half <= 0xFFFF; ++half) {
    if ((half & 0x7C00) == 0x7C00) continue;
    const float value = HalfToFloat(static_cast<uint16_t>(half));
    ASSERT_EQ(value, HalfValue(half)) << half;
    ASSERT_EQ(std::signbit(value), (half & 0x8000) != 0) << half;
  }
}

TEST(Half, WidensInfinityAndNans) {
  EXPECT_EQ(HalfToFloat(0x7C00), kInf);
  EXPECT_EQ(HalfToFloat(0xFC00), -kInf);
  for (uint32_t half = 0; half <= 0xFFFF; ++half) {
    if (!IsHalfNaN(half)) continue;
    const float value = HalfToFloat(static_cast<uint16_t>(half));
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    ASSERT_TRUE(std::isnan(value)) << half;
    ASSERT_EQ(bits >> 31, half >> 15) << half;
    ASSERT_EQ(bits & 0x7FFFFF, (half & 0x3FF) << 13) << half;
  }
}

TEST(Half, NarrowingUndoesWidening) {
  for (uint32_t half = 0; half <= 0xFFFF; ++half) {
    const uint16_t again =
        FloatToHalf(HalfToFloat(static_cast<uint16_t>(half)));
    // NaNs become quiet.
    ASSERT_EQ(again, IsHalfNaN(half) ? half | 0x200 : half) << half;
  }
}

// Between two neighbours, the middle rounds to the even one, and any other
// value to the nearer one. The neighbour of the largest half is 2^16, infinity.
TEST(Half, RoundsToNearestEven) {
  for (uint32_t half = 0; half < 0x7C00; ++half) {
    const uint32_t next = half + 1;
    const double above = next == 0x7C00 ? 65536.0 : HalfValue(next);
    const float middle = static_cast<float>((HalfValue(half) + above) / 2);
    ASSERT_EQ(middle, (HalfValue(half) + above) / 2) << half;
    for (const uint32_t sign : {0u, 0x8000u}) {
      const auto narrow = [sign](float x) {
        return FloatToHalf(sign == 0 ? x : -x);
      };
      ASSERT_EQ(narrow(middle), sign | (half % 2 == 0 ? half : next)) << half;
      ASSERT_EQ(narrow(std::nextafter(middle, 0.0f)), sign | half) << half;
      ASSERT_EQ(narrow(std::nextafter(middle, kInf)), sign | next) << half;
    }
  }
}

TEST(Half, NarrowsTheExtremes) {
  EXPECT_EQ(FloatToHalf(kInf), 0x7C00);
  EXPECT_EQ(FloatToHalf(-kInf), 0xFC00);
  EXPECT_EQ(FloatToHalf(std::numeric_limits<float>::max()), 0x7C00);
  EXPECT_EQ(FloatToHalf(65504.0f), 0x7BFF);
  EXPECT_EQ(FloatToHalf(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_EQ(FloatToHalf(-std::numeric_limits<float>::denorm_min()), 0x8000);
  EXPECT_TRUE(IsHalfNaN(FloatToHalf(kNaN)));
  // The payload's upper bits are all zero.
  EXPECT_TRUE(IsHalfNaN(FloatToHalf(std::bit_cast<float>(0x7F800001u))));
}

TEST(BF16, WidensToUpperHalf) {
  for (uint32_t bf16 = 0; bf16 <= 0xFFFF; ++bf16) {
    const float value = BF16ToFloat(static_cast<uint16_t>(bf16));
    ASSERT_EQ(std::bit_cast<uint32_t>(value), bf16 << 16) << bf16;
  }
}

TEST(BF16, NarrowingUndoesWidening) {
  for (uint32_t bf16 = 0; bf16 <= 0xFFFF; ++bf16) {
    const bool is_nan = (bf16 & 0x7FFF) > 0x7F80;
    const uint16_t again =
        FloatToBF16(BF16ToFloat(static_cast<uint16_t>(bf16)));
    ASSERT_EQ(again, is_nan ? bf16 | 0x40 : bf16) << bf16;
  }
}

TEST(BF16, RoundsToNearestEven) {
  for (uint32_t bf16 = 0; bf16 <= 0xFFFF; ++bf16) {
    if ((bf16 & 0x7F80) == 0x7F80) continue;  // infinite or NaN
    const auto narrow = [bf16](uint32_t low_bits) {
      return FloatToBF16(std::bit_cast<float>((bf16 << 16) | low_bits));
    };
    // The neighbour away from zero; infinity follows the largest number.
    const uint32_t next = bf16 + 1;
    ASSERT_EQ(narrow(0x0001), bf16) << bf16;
    ASSERT_EQ(narrow(0x7FFF), bf16) << bf16;
    ASSERT_EQ(narrow(0x8000), bf16 % 2 == 0 ? bf16 : next) << bf16;
    ASSERT_EQ(narrow(0x8001), next) << bf16;
    ASSERT_EQ(narrow(0xFFFF), next) << bf16;
  }
}

TEST(BF16, NarrowsTheExtremes) {
  EXPECT_EQ(FloatToBF16(kInf), 0x7F80);
  EXPECT_EQ(FloatToBF16(-kInf), 0xFF80);
  EXPECT_EQ(FloatToBF16(std::numeric_limits<float>::max()), 0x7F80);
  EXPECT_EQ(FloatToBF16(-0.0f), 0x8000);
  // NaNs whose upper half would be infinity, or would round to zero by carry.
  for (const uint32_t bits :
       {0x7F800001u, 0x7FFFFFFFu, 0xFF800001u, 0xFFFFFFFFu}) {
    const uint16_t bf16 = FloatToBF16(std::bit_cast<float>(bits));
    EXPECT_TRUE(std::isnan(BF16ToFloat(bf16))) << bits;
    EXPECT_EQ(bf16 >> 15, bits >> 31) << bits;
  }
}

}  // namespace
}  // namespace gemma::internal

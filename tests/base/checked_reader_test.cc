#include "src/base/checked_reader.h"

#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

TEST(CheckedArithmetic, Add) {
  EXPECT_EQ(CheckedAdd(2, 3), 5);
  EXPECT_EQ(CheckedAdd(kMax, 0), kMax);
  EXPECT_EQ(CheckedAdd(kMax, 1), std::nullopt);
  EXPECT_EQ(CheckedAdd(kMax, kMax), std::nullopt);
}

TEST(CheckedArithmetic, Mul) {
  EXPECT_EQ(CheckedMul(6, 7), 42);
  EXPECT_EQ(CheckedMul(0, kMax), 0);
  EXPECT_EQ(CheckedMul(kMax, 0), 0);
  EXPECT_EQ(CheckedMul(kMax, 1), kMax);
  EXPECT_EQ(CheckedMul(uint64_t{1} << 32, uint64_t{1} << 32), std::nullopt);
  EXPECT_EQ(CheckedMul(uint64_t{1} << 63, 2), std::nullopt);
  EXPECT_EQ(CheckedMul(3, kMax / 3), kMax);
  EXPECT_EQ(CheckedMul(3, kMax / 3 + 1), std::nullopt);
}

TEST(CheckedArithmetic, AlignUp) {
  EXPECT_EQ(CheckedAlignUp(0, 32), 0);
  EXPECT_EQ(CheckedAlignUp(1, 32), 32);
  EXPECT_EQ(CheckedAlignUp(32, 32), 32);
  EXPECT_EQ(CheckedAlignUp(5, 1), 5);
  EXPECT_EQ(CheckedAlignUp(kMax - 31, 32), kMax - 31);
  EXPECT_EQ(CheckedAlignUp(kMax - 3, 32), std::nullopt);
}

TEST(CheckedReader, ReadsLittleEndianValues) {
  const Bytes bytes = ByteWriter()
                          .Number(uint8_t{0xFE})
                          .Number(int16_t{-2})
                          .Number(uint32_t{0x12345678})
                          .Number(1.5f)
                          .Number(-2.25)
                          .Number(std::numeric_limits<int64_t>::min())
                          .String("abc")
                          .bytes();
  CheckedReader reader(bytes);
  uint8_t a = 0;
  int16_t b = 0;
  uint32_t c = 0;
  float d = 0;
  double e = 0;
  int64_t f = 0;
  std::string_view g;
  EXPECT_TRUE(reader.Read(a) && reader.Read(b) && reader.Read(c) &&
              reader.Read(d) && reader.Read(e) && reader.Read(f) &&
              reader.ReadString(3, g));
  EXPECT_EQ(a, 0xFE);
  EXPECT_EQ(b, -2);
  EXPECT_EQ(c, 0x12345678u);
  EXPECT_EQ(d, 1.5f);
  EXPECT_EQ(e, -2.25);
  EXPECT_EQ(f, std::numeric_limits<int64_t>::min());
  EXPECT_EQ(g, "abc");
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_EQ(reader.position(), bytes.size());
}

TEST(CheckedReader, RefusesReadsPastEnd) {
  const Bytes bytes = {1, 2, 3};
  CheckedReader reader(bytes);
  uint32_t value = 77;
  absl::Span<const uint8_t> span;
  std::string_view text = "unchanged";
  EXPECT_FALSE(reader.Read(value));
  EXPECT_FALSE(reader.ReadBytes(4, span));
  EXPECT_FALSE(reader.ReadBytes(kMax, span));
  EXPECT_FALSE(reader.ReadString(100, text));
  EXPECT_EQ(value, 77u);
  EXPECT_EQ(text, "unchanged");
  EXPECT_EQ(reader.position(), 0u);
  EXPECT_TRUE(reader.ReadBytes(3, span));
  EXPECT_TRUE(reader.ReadBytes(0, span));
  EXPECT_FALSE(reader.ReadBytes(1, span));
}

TEST(CheckedReader, RefusesLongStrings) {
  for (uint64_t size :
       {uint64_t{4}, uint64_t{1} << 31, uint64_t{1} << 63, kMax - 7, kMax}) {
    const Bytes bytes = ByteWriter().Number(size).Raw("abc").bytes();
    CheckedReader reader(bytes);
    std::string_view text;
    EXPECT_FALSE(reader.ReadString(kMax, text)) << size;
    EXPECT_EQ(reader.position(), 0u) << size;
  }
  const Bytes bytes = ByteWriter().String("abc").bytes();
  CheckedReader reader(bytes);
  std::string_view text;
  EXPECT_FALSE(reader.ReadString(2, text));
  EXPECT_TRUE(reader.ReadString(3, text));
}

}  // namespace
}  // namespace gemma::internal

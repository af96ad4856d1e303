#include "compression/codec.h"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "compression/codecs.h"
#include "gtest/gtest.h"
#include "tests/compression/golden.h"

namespace gemma::internal {
namespace {

uint32_t Bits(float value) { return std::bit_cast<uint32_t>(value); }

// The conformance test. Compares bits, including the signs of zeros.
TEST(Codec, DecodesAsGguf) {
  for (const Format format : kAllFormats) {
    SCOPED_TRACE(FormatName(format));
    const Golden golden(format);
    ASSERT_TRUE(golden.IsComplete());
    for (size_t row = 0; row < Golden::kRows; ++row) {
      std::vector<float> out(Golden::kCols);
      DecodeRow(golden.View(), row, out.data());
      for (size_t col = 0; col < Golden::kCols; ++col) {
        const float expected = golden.values[row * Golden::kCols + col];
        ASSERT_EQ(Bits(out[col]), Bits(expected))
            << "row " << row << " col " << col << ": " << out[col] << ", not "
            << expected;
      }
    }
  }
}

TEST(Codec, RowsOfOneBlock) {
  for (const Format format : kAllFormats) {
    SCOPED_TRACE(FormatName(format));
    const Golden golden(format);
    ASSERT_TRUE(golden.IsComplete());
    const size_t cols = BlockValues(format);
    for (size_t row = 0; row < Golden::kRows; ++row) {
      for (size_t first = 0; first < Golden::kCols; first += cols) {
        const std::vector<uint8_t> bytes = golden.RowOfBlock(row, first / cols);
        std::vector<float> out(cols);
        DecodeRow(
            {.format = format, .rows = 1, .cols = cols, .data = bytes.data()},
            0, out.data());
        for (size_t i = 0; i < cols; ++i) {
          ASSERT_EQ(Bits(out[i]),
                    Bits(golden.values[row * Golden::kCols + first + i]))
              << "row " << row << " col " << first + i;
        }
      }
    }
  }
}

TEST(Codec, KeepsSignOfZero) {
  uint8_t block[18] = {0x00, 0xBC};                            // a scale of -1
  for (size_t i = 2; i < sizeof(block); ++i) block[i] = 0x88;  // 0 after -8
  float out[32];
  DecodeRow({.format = Format::kQ4_0, .rows = 1, .cols = 32, .data = block}, 0,
            out);
  for (const float value : out) EXPECT_EQ(Bits(value), Bits(-0.0f));
}

// Decodes one block whose scales begin at its first byte.
std::vector<float> DecodeOne(Format format, std::vector<uint8_t> block) {
  block.resize(BlockBytes(format), 0x71);  // codes 1 and 7
  std::vector<float> out(BlockValues(format));
  DecodeRow(
      {.format = format, .rows = 1, .cols = out.size(), .data = block.data()},
      0, out.data());
  return out;
}

// No byte is NaN, but large products overflow, as in `gguf`.
TEST(Codec, LargestScalesOfMxfp4) {
  for (const uint8_t e : {254, 255}) {
    const std::vector<float> out = DecodeOne(Format::kMXFP4, {e});
    EXPECT_EQ(out.front(), e == 254 ? 0x1p126f : 0x1p127f);
    EXPECT_EQ(out.back(), INFINITY);
  }
  EXPECT_EQ(DecodeOne(Format::kMXFP4, {0}).front(), 0x1p-128f);
  EXPECT_EQ(DecodeOne(Format::kMXFP4, {1}).back(), 12 * 0x1p-127f);
}

TEST(Codec, InfiniteScalesHaveSigns) {
  for (const Format format : {Format::kIQ2_XXS, Format::kIQ2_XS, Format::kIQ2_S,
                              Format::kIQ3_XXS, Format::kIQ3_S}) {
    const std::vector<float> one = DecodeOne(format, {0x00, 0x3C});
    const std::vector<float> infinite = DecodeOne(format, {0x00, 0xFC});
    const std::vector<float> nan = DecodeOne(format, {0x01, 0x7C});
    for (size_t i = 0; i < one.size(); ++i) {
      EXPECT_EQ(infinite[i], one[i] > 0 ? -INFINITY : INFINITY);
      EXPECT_TRUE(std::isnan(nan[i]));
    }
  }
}

// As in PyTorch's float8_e4m3fn and float8_e5m2.
TEST(Codec, NonFiniteBytes) {
  const auto value = [](Format format, uint8_t code) {
    float out = 0;
    DecodeRow({.format = format, .rows = 1, .cols = 1, .data = &code}, 0, &out);
    return out;
  };
  EXPECT_EQ(value(Format::kF8_E4M3, 0x7E), 448.0f);
  EXPECT_EQ(value(Format::kF8_E4M3, 0x78), 256.0f);  // no infinity
  EXPECT_TRUE(std::isnan(value(Format::kF8_E4M3, 0x7F)));
  EXPECT_TRUE(std::isnan(value(Format::kF8_E4M3, 0xFF)));
  EXPECT_EQ(value(Format::kF8_E5M2, 0x7B), 57344.0f);
  EXPECT_EQ(value(Format::kF8_E5M2, 0x7C), INFINITY);
  EXPECT_EQ(value(Format::kF8_E5M2, 0xFC), -INFINITY);
  for (const uint8_t code : {0x7D, 0x7E, 0x7F, 0xFD}) {
    EXPECT_TRUE(std::isnan(value(Format::kF8_E5M2, code)));
  }
}

TEST(Codec, LargeDoublesBecomeInfinite) {
  const auto value = [](double number) {
    uint8_t bytes[sizeof(number)];
    std::memcpy(bytes, &number, sizeof(number));
    float out = 0;
    DecodeRow({.format = Format::kF64, .rows = 1, .cols = 1, .data = bytes}, 0,
              &out);
    return out;
  };
  EXPECT_EQ(value(1e39), INFINITY);
  EXPECT_EQ(value(-1e39), -INFINITY);
  EXPECT_EQ(value(0.1), 0.1f);
  EXPECT_TRUE(std::isnan(value(std::nan(""))));
}

// Checks the contract of Unpack in codec.h for any bytes: no block is invalid.
template <BlockCodec Codec>
void CheckUnpack(const std::vector<uint8_t>& block) {
  constexpr size_t kScales = Codec::kBlockValues / Codec::kScaleValues;
  std::vector<int8_t> codes(Codec::kBlockValues);
  std::vector<float> scales(kScales);
  std::vector<float> offsets(kScales);
  Codec::Unpack(block.data(), codes.data(), scales.data(), offsets.data());
  for (size_t i = 0; i < codes.size(); ++i) {
    const float scale = scales[i / Codec::kScaleValues];
    const float code = codes[i];
    if (std::isfinite(scale * code)) {  // MXFP4 may overflow
      ASSERT_EQ(scale * code, double{scale} * code) << scale << " * " << code;
    }
  }
  for (const float offset : offsets) {
    ASSERT_TRUE(Codec::kHasOffset || offset == 0.0f) << offset;
  }
}

template <class Codec>
void CheckUnpackOfAnyBytes() {
  if constexpr (BlockCodec<Codec>) {
    std::mt19937 random(1);
    for (int repeat = 0; repeat < 2000; ++repeat) {
      // Starts with blocks of equal bytes, whose codes are extreme.
      std::vector<uint8_t> block(Codec::kBlockBytes,
                                 static_cast<uint8_t>(repeat));
      if (repeat >= 256) {
        for (uint8_t& byte : block) byte = static_cast<uint8_t>(random());
      }
      CheckUnpack<Codec>(block);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Codec, AnyBytesMultiplyExactly) {
#define GEMMA_CHECK_FORMAT(name, codec, text, ...) \
  {                                                \
    SCOPED_TRACE(text);                            \
    CheckUnpackOfAnyBytes<codec>();                \
  }
  GEMMA_FORMATS(GEMMA_CHECK_FORMAT)
#undef GEMMA_CHECK_FORMAT
}

}  // namespace
}  // namespace gemma::internal

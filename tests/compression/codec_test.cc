#include "compression/codec.h"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
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
    if (std::isfinite(scale)) {
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

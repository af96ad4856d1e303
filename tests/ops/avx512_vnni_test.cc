// The kernel of AVX-512 VNNI for many rows gives the bits of Int8Panels. Other
// tests compare those with double precision and with plain loops.

#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "ops/products/unpacked_panels.h"
#include "ops/targets.h"
#include "tests/support/int8_products.h"
#include "tests/support/near.h"
#include "tests/support/test_matrix.h"

namespace gemma::internal {
namespace {

class Avx512Vnni : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!ChoseAvx512Vnni()) GTEST_SKIP() << "no AVX-512 VNNI";
  }
};

std::vector<Format> QuantizedFormats() {
  std::vector<Format> formats;
  for (const Format format : kAllFormats) {
    if (TraitsOf(LayoutOf(format)).code_bits != 0) formats.push_back(format);
  }
  return formats;
}

// More columns than are unpacked at a time, panels that are multiplied
// together, with one that is not full, and one that is left.
TEST_F(Avx512Vnni, SameBitsEveryFormat) {
  constexpr size_t kRows = 7;
  constexpr size_t kCols = 768;
  Int8Products products(WithOutliers(RandomVector(kRows * kCols, 1), kCols),
                        kCols);
  for (const size_t w_rows : {4 * kPanelRows - 5, 5 * kPanelRows - 3}) {
    const std::vector<float> bias = RandomVector(w_rows, 2);
    for (const Format format : QuantizedFormats()) {
      const TestMatrix w(format, w_rows, kCols, 3);
      EXPECT_TRUE(products.Same(Avx512VnniPanels, w.packed, bias, kRows))
          << FormatName(format) << ", " << w_rows << " rows";
    }
  }
}

// Blocks of three, two and one rows, and two and three groups of rows that
// share the columns of their outliers.
TEST_F(Avx512Vnni, SameBitsAnyRows) {
  Int8Products products(WithOutliers(RandomVector(260 * 288, 1), 288), 288);
  for (const Format format : {Format::kQ4_0, Format::kQ5_1, Format::kN6_16}) {
    const TestMatrix w(format, 4 * kPanelRows, 288, 3);
    const std::vector<float> all = products.Of(Int8Panels, w.packed, {}, 260);
    for (const size_t rows : {1, 2, 3, 4, 5, 6, 64, 127, 128, 129, 130, 131,
                              255, 256, 257, 258, 259, 260}) {
      EXPECT_TRUE(SameBits(products.Of(Avx512VnniPanels, w.packed, {}, rows),
                           {all.begin(), all.begin() + rows * w.packed.rows}))
          << FormatName(format) << ", " << rows << " rows";
    }
  }
}

// The kernel itself takes any number of rows, too: more than wait for the next
// columns.
TEST_F(Avx512Vnni, SameBitsManyRows) {
  Int8Products products(RandomVector(259 * 288, 1), 288);
  const TestMatrix w(Format::kQ4_0, 4 * kPanelRows, 288, 3);
  for (const size_t rows : {129, 256, 257, 259}) {
    EXPECT_TRUE(SameBits(products.OfCodes(Avx512VnniPanels, w.packed, rows),
                         products.OfCodes(Int8Panels, w.packed, rows)))
        << rows << " rows";
  }
}

// The head's layout, whose lower bits lie apart.
TEST_F(Avx512Vnni, SplitCodesToo) {
  constexpr size_t kRows = 4 * kPanelRows;
  Int8Products products(WithOutliers(RandomVector(5 * 288, 1), 288), 288);
  const TestMatrix q8(Format::kQ8_0, kRows, 288, 3);
  const AlignedBuffer memory =
      AlignedBuffer::Allocate(PackedBytes(Format::kQ8_0, kRows, 288));
  PackPanels({Format::kQ8_0, kRows, 288, q8.bytes.data()}, Layout::kU8Split, 0,
             q8.packed.NumPanels(), memory.data());
  const PackedView split = {Layout::kU8Split, kRows, 288, memory.data()};
  EXPECT_TRUE(products.Same(Avx512VnniPanels, split, {}, 5));
}

// Experts choose rows, in any order.
TEST_F(Avx512Vnni, RowsOfAnIndex) {
  std::vector<uint32_t> index;
  for (uint32_t i = 0; i < 20; ++i) index.push_back(i * 5 % 7);
  Int8Products products(WithOutliers(RandomVector(7 * 512, 1), 512), 512);
  const TestMatrix w(Format::kQ4_K, 4 * kPanelRows, 512, 2);
  EXPECT_TRUE(
      products.Same(Avx512VnniPanels, w.packed, {}, index.size(), index));
}

TEST_F(Avx512Vnni, ExtremeCodesAreExact) {
  for (const Format format : QuantizedFormats()) {
    for (const int byte : {0x00, 0x7F, 0x80, 0xFF}) {
      const TestMatrix w(format, 4 * kPanelRows, 256, 1, byte);
      for (const float value : {-1.0f, 1.0f}) {
        Int8Products products(std::vector<float>(3 * 256, value), 256);
        EXPECT_TRUE(products.Same(Avx512VnniPanels, w.packed, {}, 3))
            << FormatName(format) << " of bytes " << byte;
      }
    }
  }
}

// A NaN anywhere in a block must reach the result.
TEST_F(Avx512Vnni, RowsStayApart) {
  constexpr size_t kRows = 4 * kPanelRows;
  std::vector<float> x = RandomVector(8 * 64, 2);
  x[5 * 64 + 40] = INFINITY;
  Int8Products products(x, 64);
  const TestMatrix w(Format::kQ4_0, kRows, 64, 1);
  const std::vector<float> out = products.Of(Avx512VnniPanels, w.packed, {}, 8);
  for (size_t i = 0; i < out.size(); ++i) {
    EXPECT_EQ(std::isnan(out[i]), i / kRows == 5) << i;
  }
}

}  // namespace
}  // namespace gemma::internal

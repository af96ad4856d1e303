// Kernels that unpack panels, and all of ARM's, give the bits of Int8Panels and
// of a plain loop. Other tests compare those with double precision.

#include "ops/products/unpacked_panels.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "hwy/targets.h"
#include "ops/cpu.h"
#include "tests/support/int8_products.h"
#include "tests/support/near.h"
#include "tests/support/test_matrix.h"

namespace gemma::internal {
namespace {

class UnpackedPanels : public ::testing::Test {
 protected:
  void SetUp() override {
    if ((HWY_TARGETS & HWY_AVX2) && MayUse(kAvx2)) {
      hwy::SetSupportedTargetsForTest(HWY_AVX2);
    } else if (!(HWY_TARGETS & HWY_ALL_NEON)) {
      GTEST_SKIP() << "neither AVX2 nor NEON";
    }
  }
  ~UnpackedPanels() override { hwy::SetSupportedTargetsForTest(0); }
};

// The kernels that run on this CPU. All x86's run on AVX2, too, because they
// share the rounded x.
std::vector<Int8Kernel*> Kernels() {
  std::vector<Int8Kernel*> kernels;
  const auto add = [&](CpuFeatures features, Int8Kernel* kernel) {
    if (MayUse(features)) kernels.push_back(kernel);
  };
  add(kAvx2, Avx2Panels);
  add(kAvxVnni, AvxVnniPanels);
  add(kNeonDotProd, NeonFewRowsPanels);
  add(kNeonDotProd, NeonDotProdPanels);
  add(kNeonDotProd | kNeonI8mm, NeonI8mmPanels);
  return kernels;
}

// Returns the products of `rows` rows of x, by a loop over what Unpack gives.
// Then those of outliers are added.
std::vector<float> ByPlainLoop(const std::vector<float>& x, const PackedView& w,
                               size_t rows) {
  const CodeForm form =
      (HWY_TARGETS & HWY_ALL_NEON) ? CodeForm::kLevels : CodeForm::kCodes;
  const LayoutTraits traits = TraitsOf(w.layout);
  std::vector<float> out(rows * w.rows);
  const auto panel = std::make_unique<UnpackedPanel>();
  std::vector<Int8Block> blocks(w.cols / kTileCols);
  std::vector<Outlier> outliers;
  // Return column c, and the place of its scale, of row i of the block.
  const auto level_of = [&](size_t c, size_t i) {
    const uint8_t code =
        panel->codes[c % traits.block_cols / 4 * kCodeVectorBytes + 4 * i +
                     c % 4];
    return form == CodeForm::kLevels ? static_cast<int8_t>(code)
                                     : int{code} - traits.zero;
  };
  const auto scale_at = [&](size_t c, size_t i) {
    return c % traits.block_cols / traits.scale_cols * kPanelRows + i;
  };
  const auto unpack = [&](size_t row, size_t c) {
    const size_t begin = c / traits.block_cols * traits.block_cols;
    Unpack(w, row / kPanelRows, begin, begin + traits.block_cols, form, nullptr,
           *panel);
  };
  for (size_t r = 0; r < rows; ++r) {
    outliers.resize(MaxOutliers(w.cols));
    outliers.resize(QuantizeRow({x.data() + r * w.cols, w.cols}, blocks.data(),
                                outliers.data()));
    for (size_t row = 0; row < w.rows; ++row) {
      const size_t i = row % kPanelRows;
      float sum = 0.0f;
      for (size_t col = 0; col < w.cols; col += traits.scale_cols) {
        if (col % traits.block_cols == 0) unpack(row, col);
        const Int8Block& block = blocks[col / kTileCols];
        int products = 0;
        int codes = 0;
        for (size_t c = col; c < col + traits.scale_cols; ++c) {
          products += level_of(c, i) * block.codes[c % kTileCols];
          codes += block.codes[c % kTileCols];
        }
        const size_t at = scale_at(col, i);
        sum = std::fma(panel->scales[at] * block.scale,
                       static_cast<float>(products), sum);
        if (traits.has_offset) {
          sum = std::fma(panel->offsets[at],
                         block.scale * static_cast<float>(codes), sum);
        }
      }
      const float unit = traits.has_row_units ? panel->units[i] : 1.0f;
      sum *= unit;
      for (const Outlier& outlier : outliers) {
        unpack(row, outlier.at);
        const size_t at = scale_at(outlier.at, i);
        const float scale = panel->scales[at] * unit;
        const auto level = static_cast<float>(level_of(outlier.at, i));
        const float value = traits.has_offset
                                ? std::fma(scale, level, panel->offsets[at])
                                : scale * level;
        sum = std::fma(outlier.value, value, sum);
      }
      out[r * w.rows + row] = sum;
    }
  }
  return out;
}

bool HasCodes(Format format) {
  return TraitsOf(LayoutOf(format)).code_bits != 0;
}

// More columns than are unpacked at a time, more rows than are summed at a
// time, and a panel that is not full.
TEST_F(UnpackedPanels, SameBitsAnyRows) {
  constexpr size_t kRows = 70;
  constexpr size_t kCols = kUnpackedCols + 256;
  constexpr size_t kWeightRows = 37;
  Int8Products products(WithOutliers(RandomVector(kRows * kCols, 1), kCols),
                        kCols);
  const std::vector<float> bias = RandomVector(kWeightRows, 2);
  for (const Format format : kAllFormats) {
    if (!HasCodes(format)) continue;
    const TestMatrix w(format, kWeightRows, kCols, 3);
    const std::vector<float> all =
        products.Of(Int8Panels, w.packed, bias, kRows);
    for (Int8Kernel* kernel : Kernels()) {
      for (const size_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 64, 65, 70}) {
        const std::vector<float> some(all.begin(),
                                      all.begin() + rows * kWeightRows);
        EXPECT_TRUE(SameBits(products.Of(kernel, w.packed, bias, rows), some))
            << FormatName(format) << ", " << rows << " rows";
      }
    }
  }
}

// The head's layout, whose lower bits lie apart.
TEST_F(UnpackedPanels, SplitCodesToo) {
  Int8Products products(WithOutliers(RandomVector(9 * 288, 1), 288), 288);
  const TestMatrix q8(Format::kQ8_0, 70, 288, 3);
  const AlignedBuffer memory =
      AlignedBuffer::Allocate(PackedBytes(Format::kQ8_0, 70, 288));
  PackPanels({Format::kQ8_0, 70, 288, q8.bytes.data()}, Layout::kU8Split, 0,
             q8.packed.NumPanels(), memory.data());
  const PackedView split = {Layout::kU8Split, 70, 288, memory.data()};
  const std::vector<float> want = products.Of(Int8Panels, q8.packed, {}, 9);
  for (Int8Kernel* kernel : Kernels()) {
    EXPECT_TRUE(SameBits(products.Of(kernel, split, {}, 9), want));
  }
}

TEST_F(UnpackedPanels, EqualsPlainLoop) {
  constexpr size_t kRows = 5;
  constexpr size_t kCols = 512;
  const std::vector<float> x =
      WithOutliers(RandomVector(kRows * kCols, 1), kCols);
  Int8Products products(x, kCols);
  std::vector<Int8Kernel*> kernels = Kernels();
  kernels.push_back(Int8Panels);
  for (const Format format : kAllFormats) {
    if (!HasCodes(format)) continue;
    const TestMatrix w(format, 20, kCols, 3);
    const std::vector<float> want = ByPlainLoop(x, w.packed, kRows);
    for (Int8Kernel* kernel : kernels) {
      EXPECT_TRUE(SameBits(products.Of(kernel, w.packed, {}, kRows), want))
          << FormatName(format);
    }
  }
}

// Experts choose rows, in any order.
TEST_F(UnpackedPanels, RowsOfAnIndex) {
  const std::vector<uint32_t> index = {4, 0, 0, 6, 2, 5, 6, 1, 3};
  Int8Products products(WithOutliers(RandomVector(7 * 512, 1), 512), 512);
  const TestMatrix w(Format::kQ4_K, 20, 512, 2);
  const std::vector<float> want =
      products.Of(Int8Panels, w.packed, {}, index.size(), index);
  for (Int8Kernel* kernel : Kernels()) {
    EXPECT_TRUE(
        SameBits(products.Of(kernel, w.packed, {}, index.size(), index), want));
  }
}

// Sums in 16 bits hold the largest products of every format.
TEST_F(UnpackedPanels, ExtremeCodesNeverSaturate) {
  for (const Format format : kAllFormats) {
    if (!HasCodes(format)) continue;
    for (const int byte : {0x00, 0x7F, 0x80, 0xFF}) {
      const TestMatrix w(format, 16, 256, 1, byte);
      for (const float value : {-1.0f, 1.0f}) {
        Int8Products products(std::vector<float>(4 * 256, value), 256);
        const std::vector<float> want =
            products.Of(Int8Panels, w.packed, {}, 4);
        for (Int8Kernel* kernel : Kernels()) {
          EXPECT_TRUE(SameBits(products.Of(kernel, w.packed, {}, 4), want))
              << FormatName(format) << " of bytes " << byte;
        }
      }
    }
  }
}

// A NaN anywhere in a block must reach the result.
TEST_F(UnpackedPanels, RowsStayApart) {
  std::vector<float> x = RandomVector(8 * 64, 2);
  x[5 * 64 + 40] = INFINITY;
  Int8Products products(x, 64);
  const TestMatrix w(Format::kQ4_0, 16, 64, 1);
  for (Int8Kernel* kernel : Kernels()) {
    const std::vector<float> out = products.Of(kernel, w.packed, {}, 8);
    for (size_t i = 0; i < out.size(); ++i) {
      EXPECT_EQ(std::isnan(out[i]), i / 16 == 5) << i;
    }
  }
}

}  // namespace
}  // namespace gemma::internal

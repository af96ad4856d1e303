// Tiles of bytes (AMX) give the bits of Int8Panels. On CPUs without AMX, its
// instructions run on a model.

#include "ops/products/int8_tiles.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "ops/cpu.h"
#include "ops/products/kernel_table.h"
#include "ops/targets.h"
#include "tests/support/int8_products.h"
#include "tests/support/near.h"
#include "tests/support/test_matrix.h"
#include "tests/support/tile_trap.h"

namespace gemma::internal {
namespace {

#if GEMMA_HAS_TILE_TRAP

// Runs the kernel that was compiled for AMX.
class Int8Tiles : public ::testing::Test {
 protected:
  void SetUp() override {
    has_tiles_ = (FeaturesOfCpu() & kAmxInt8) != 0;  // asks the system for them
    if (!ChoseAvx512Vnni()) GTEST_SKIP() << "no AVX-512 VNNI";
  }
  ~Int8Tiles() override { SetCpuForTest(std::nullopt); }

  // Says that the CPU has what the trap gives it.
  static void SayCpuHasTiles() { SetCpuForTest(FeaturesOfCpu() | kAmxInt8); }

  bool has_tiles_ = false;  // the CPU itself runs the instructions
};

bool IsQuantized(Format format) {
  return TraitsOf(LayoutOf(format)).code_bits != 0;
}

// More columns than are packed at a time, a panel that is not full, and tiles
// of rows that are not.
TEST_F(Int8Tiles, SameBitsEveryFormat) {
  const TileTrap trap;
  constexpr size_t kRows = 35;
  constexpr size_t kCols = 768;
  Int8Products products(WithOutliers(RandomVector(kRows * kCols, 1), kCols),
                        kCols);
  const std::vector<float> bias = RandomVector(21, 2);
  for (const Format format : kAllFormats) {
    if (!IsQuantized(format)) continue;
    const TestMatrix w(format, 21, kCols, 3);
    EXPECT_TRUE(products.Same(AmxInt8Panels, w.packed, bias, kRows))
        << FormatName(format);
  }
  EXPECT_EQ(trap.num_refused(), 0u);
}

// More panels and more rows than are multiplied at a time.
TEST_F(Int8Tiles, SameBitsAnyRows) {
  const TileTrap trap;
  Int8Products products(WithOutliers(RandomVector(145 * 96, 1), 96), 96);
  for (const Format format : {Format::kQ4_0, Format::kQ5_1, Format::kN6_16}) {
    const TestMatrix w(format, 5 * kPanelRows, 96, 3);
    for (const size_t rows : {1, 15, 16, 17, 32, 128, 129, 145}) {
      EXPECT_TRUE(products.Same(AmxInt8Panels, w.packed, {}, rows))
          << FormatName(format) << ", " << rows << " rows";
    }
  }
  EXPECT_EQ(trap.num_refused(), 0u);
}

// The head's layout, whose lower bits lie apart.
TEST_F(Int8Tiles, SplitCodesToo) {
  const TileTrap trap;
  Int8Products products(WithOutliers(RandomVector(17 * 288, 1), 288), 288);
  const TestMatrix q8(Format::kQ8_0, 20, 288, 3);
  const AlignedBuffer memory =
      AlignedBuffer::Allocate(PackedBytes(Format::kQ8_0, 20, 288));
  PackPanels({Format::kQ8_0, 20, 288, q8.bytes.data()}, Layout::kU8Split, 0,
             q8.packed.NumPanels(), memory.data());
  const PackedView split = {Layout::kU8Split, 20, 288, memory.data()};
  EXPECT_TRUE(products.Same(AmxInt8Panels, split, {}, 17));
}

// Experts choose rows, in any order.
TEST_F(Int8Tiles, RowsOfAnIndex) {
  const TileTrap trap;
  std::vector<uint32_t> index;
  for (uint32_t i = 0; i < 20; ++i) index.push_back(i * 5 % 7);
  Int8Products products(WithOutliers(RandomVector(7 * 256, 1), 256), 256);
  const TestMatrix w(Format::kQ4_K, 20, 256, 2);
  EXPECT_TRUE(products.Same(AmxInt8Panels, w.packed, {}, index.size(), index));
}

// Levels of 8 bits reach from -128 to 127.
TEST_F(Int8Tiles, ExtremeCodesAreExact) {
  const TileTrap trap;
  for (const Format format : kAllFormats) {
    if (!IsQuantized(format)) continue;
    for (const int byte : {0x00, 0x7F, 0x80, 0xFF}) {
      const TestMatrix w(format, 16, 256, 1, byte);
      for (const float value : {-1.0f, 1.0f}) {
        Int8Products products(std::vector<float>(16 * 256, value), 256);
        EXPECT_TRUE(products.Same(AmxInt8Panels, w.packed, {}, 16))
            << FormatName(format) << " of bytes " << byte;
      }
    }
  }
}

// A NaN anywhere in a row reaches that row's results only.
TEST_F(Int8Tiles, RowsStayApart) {
  const TileTrap trap;
  std::vector<float> x = RandomVector(18 * 64, 2);
  x[5 * 64 + 40] = INFINITY;
  Int8Products products(x, 64);
  const TestMatrix w(Format::kQ4_0, 16, 64, 1);
  const std::vector<float> out = products.Of(AmxInt8Panels, w.packed, {}, 18);
  for (size_t i = 0; i < out.size(); ++i) {
    EXPECT_EQ(std::isnan(out[i]), i / 16 == 5) << i;
  }
}

// Without the right configuration, the tests above fail.
TEST_F(Int8Tiles, WrongConfigurationsAreSeen) {
  if (has_tiles_) GTEST_SKIP() << "only the model lets configurations change";
  Int8Products products(RandomVector(16 * 64, 1), 64);
  const TestMatrix w(Format::kQ4_0, 16, 64, 2);
  const auto refused = [&](TileTrap::Change change) {
    const TileTrap trap(change);
    const bool same = products.Same(AmxInt8Panels, w.packed, {}, 16);
    EXPECT_NE(same, trap.num_refused() != 0);
    EXPECT_GT(trap.num_run() + trap.num_refused(), 0u);
    return trap.num_refused();
  };
  // Loading and releasing, and five instructions for each of two blocks.
  EXPECT_EQ(refused([](uint8_t*) {}), 0u);
  EXPECT_EQ(refused([](uint8_t* config) { config[0] = 0; }), 10u);
  EXPECT_EQ(refused([](uint8_t* config) { config[0] = 2; }), 11u);
  EXPECT_EQ(refused([](uint8_t* config) { config[48 + 0] = 15; }), 1u);
  EXPECT_EQ(refused([](uint8_t* config) { config[16 + 2 * 2] = 16; }), 1u);
  EXPECT_EQ(refused([](uint8_t* config) { config[48 + 4] = 16; }), 1u);
  EXPECT_EQ(refused([](uint8_t* config) { config[48 + 5] = 4; }), 1u);
}

// The table takes them for the rows of a product, whatever the pass, and these
// rows have the bits of single rows.
TEST_F(Int8Tiles, TableTakesThem) {
  const TileTrap trap;
  SayCpuHasTiles();
  const PackedView w = {LayoutOf(Format::kQ4_0), 16, 64, nullptr};
  for (const Arithmetic arithmetic :
       {Arithmetic::kInt8, Arithmetic::kFastest}) {
    EXPECT_EQ(ChooseKernel(w, 15, 512, arithmetic), Kernel::kInt8);
    EXPECT_EQ(ChooseKernel(w, 16, 1, arithmetic), Kernel::kAmxInt8);
    EXPECT_FALSE(RowsMatter(w, arithmetic));
  }
  EXPECT_EQ(ChooseKernel(w, 64, 64, Arithmetic::kFloat32), Kernel::kFloat);
  EXPECT_EQ(KernelsInUse()[0].decode, "AVX-512 VNNI");
  EXPECT_EQ(KernelsInUse()[0].prefill, "AMX-INT8");
  Workers workers(2);
  const TestMatrix gate(Format::kQ4_0, 90, 192, 1);
  const TestMatrix up(Format::kQ8_0, 90, 192, 2);
  const std::vector<float> x = WithOutliers(RandomVector(70 * 192, 3), 192);
  const auto gated = [&](size_t first, size_t rows) {
    std::vector<float> scratch(rows * 90), out(rows * 90);
    MatMulContext context(Arithmetic::kFastest, rows, 192, workers);
    GatedMatMul({{x.data() + first * 192, rows, 192},
                 gate.packed,
                 up.packed,
                 {},
                 {},
                 {scratch.data(), rows, 90},
                 {out.data(), rows, 90}},
                context);
    return out;
  };
  const std::vector<float> all = gated(0, 70);
  EXPECT_NE(trap.num_run() != 0, has_tiles_);
  std::vector<float> pieces;
  for (const auto& [first, rows] : {std::pair(0, 17), std::pair(17, 1),
                                    std::pair(18, 32), std::pair(50, 20)}) {
    const std::vector<float> piece = gated(first, rows);
    pieces.insert(pieces.end(), piece.begin(), piece.end());
  }
  EXPECT_EQ(pieces, all);
  SetCpuForTest(FeaturesOfCpu() & ~kAmxInt8);
  EXPECT_EQ(gated(0, 70), all);
}

#endif  // GEMMA_HAS_TILE_TRAP

}  // namespace
}  // namespace gemma::internal

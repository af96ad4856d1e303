// The model of AMX's tiles does and refuses what Intel's manual says.

#include "tests/support/tile_model.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

using Dot = TileModel::Dot;

// A configuration whose tiles 0, 1 and 2 can be multiplied.
std::vector<uint8_t> ConfigOf(size_t m, size_t k_bytes, size_t n_bytes) {
  std::vector<uint8_t> config(64);
  config[0] = 1;
  const size_t bytes[] = {n_bytes, k_bytes, n_bytes};
  const size_t rows[] = {m, m, k_bytes / 4};
  for (size_t t = 0; t < 3; ++t) {
    config[16 + 2 * t] = static_cast<uint8_t>(bytes[t]);
    config[48 + t] = static_cast<uint8_t>(rows[t]);
  }
  return config;
}

// The exceptions of the manual.
TEST(TileModel, RefusesWrongConfigurations) {
  const std::vector<uint8_t> good = ConfigOf(16, 32, 64);
  const auto takes = [&](size_t at, int value) {
    std::vector<uint8_t> config = good;
    config[at] = static_cast<uint8_t>(value);
    return TileModel().Configure(config.data());
  };
  EXPECT_TRUE(takes(0, 1));
  EXPECT_TRUE(takes(0, 0));
  EXPECT_FALSE(takes(0, 2));
  EXPECT_FALSE(takes(2, 1)) << "reserved";
  EXPECT_FALSE(takes(15, 1)) << "reserved";
  EXPECT_FALSE(takes(32, 1)) << "tile 8";
  EXPECT_FALSE(takes(56, 1)) << "tile 8";
  EXPECT_FALSE(takes(16, 65)) << "bytes of a row";
  EXPECT_FALSE(takes(17, 1)) << "bytes of a row";
  EXPECT_FALSE(takes(48, 17)) << "rows";
  EXPECT_FALSE(takes(48, 0)) << "rows without bytes";
  EXPECT_FALSE(takes(22, 64)) << "bytes without rows";
}

TEST(TileModel, RefusesTilesThatDiffer) {
  const auto multiplies = [](size_t at, int value) {
    std::vector<uint8_t> config = ConfigOf(16, 32, 64);
    config[at] = static_cast<uint8_t>(value);
    TileModel model;
    EXPECT_TRUE(model.Configure(config.data()));
    return model.Multiply(Dot::kSignedSigned, 0, 1, 2);
  };
  EXPECT_TRUE(multiplies(0, 1));
  EXPECT_FALSE(multiplies(0, 0)) << "released";
  for (const size_t tile : {0, 1, 2}) {
    EXPECT_FALSE(multiplies(48 + tile, 4)) << "rows of tile " << tile;
    EXPECT_FALSE(multiplies(16 + 2 * tile, 16)) << "bytes of tile " << tile;
    EXPECT_FALSE(multiplies(16 + 2 * tile, 30)) << "bytes of tile " << tile;
  }
  TileModel model;
  ASSERT_TRUE(model.Configure(ConfigOf(4, 16, 16).data()));
  EXPECT_FALSE(model.Multiply(Dot::kSignedSigned, 0, 1, 1));
  EXPECT_FALSE(model.Multiply(Dot::kSignedSigned, 0, 0, 2));
  EXPECT_FALSE(model.Multiply(Dot::kSignedSigned, 0, 1, 3)) << "not configured";
  EXPECT_FALSE(model.Zero(8));
}

TEST(TileModel, BytesHaveSigns) {
  const uint8_t left[4] = {0xFF, 0x80, 1, 2};      // -1, -128 or 255, 128
  const uint8_t right[4] = {0xFF, 0x80, 0x7F, 3};  // -1, -128 or 255, 128
  for (const auto& [dot, want] :
       {std::pair(Dot::kSignedSigned, 1 + 16384 + 127 + 6),
        std::pair(Dot::kSignedUnsigned, -255 - 16384 + 127 + 6),
        std::pair(Dot::kUnsignedSigned, -255 - 16384 + 127 + 6),
        std::pair(Dot::kUnsigned, 65025 + 16384 + 127 + 6)}) {
    TileModel model;
    ASSERT_TRUE(model.Configure(ConfigOf(1, 4, 4).data()));
    ASSERT_TRUE(model.Load(1, left, 4) && model.Load(2, right, 4));
    ASSERT_TRUE(model.Multiply(dot, 0, 1, 2));
    int32_t sum = 0;
    ASSERT_TRUE(model.Store(0, &sum, 4));
    EXPECT_EQ(sum, want);
    ASSERT_TRUE(model.Multiply(dot, 0, 1, 2) && model.Store(0, &sum, 4));
    EXPECT_EQ(sum, 2 * want) << "sums add up";
  }
}

// Row k of the right operand has four rows of each column.
TEST(TileModel, RightHoldsQuads) {
  const uint8_t left[2][8] = {{1, 2, 3, 4, 5, 6, 7, 8}, {8, 7, 6, 5, 4, 3, 2}};
  const uint8_t right[2][8] = {{1, 0, 0, 0, 0, 1, 0, 0},
                               {0, 0, 2, 0, 0, 0, 0, 3}};
  TileModel model;
  ASSERT_TRUE(model.Configure(ConfigOf(2, 8, 8).data()));
  ASSERT_TRUE(model.Load(1, left, 8) && model.Load(2, right, 8));
  ASSERT_TRUE(model.Multiply(Dot::kSignedSigned, 0, 1, 2));
  int32_t sums[3][4] = {};
  ASSERT_TRUE(model.Store(0, sums, sizeof(sums[0])));
  EXPECT_EQ(sums[0][0], 1 + 2 * 7);
  EXPECT_EQ(sums[0][1], 2 + 3 * 8);
  EXPECT_EQ(sums[1][0], 8 + 2 * 2);
  EXPECT_EQ(sums[1][1], 7);
  EXPECT_EQ(sums[0][2] + sums[1][2] + sums[2][0], 0) << "only two by two";
}

}  // namespace
}  // namespace gemma::internal

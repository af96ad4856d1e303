// The configuration of x86's AMX tiles.

#ifndef GEMMA_OPS_PRODUCTS_TILE_CONFIG_H_
#define GEMMA_OPS_PRODUCTS_TILE_CONFIG_H_

#include <cstddef>
#include <cstdint>

namespace gemma::internal {

// The operand of LDTILECFG, in the only palette there is: Intel's Software
// Developer's Manual, volume 1, "Programming with Intel AMX". By default, all
// tiles have 16 rows of 64 bytes. Constant objects only: g++ 12's intrinsic
// says that it reads the first 8 bytes.
struct alignas(64) TileConfig {
  constexpr void SetTile(size_t tile, size_t num_rows, size_t bytes) {
    rows[tile] = static_cast<uint8_t>(num_rows);
    row_bytes[tile] = static_cast<uint16_t>(bytes);
  }

  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

}  // namespace gemma::internal

#endif  // GEMMA_OPS_PRODUCTS_TILE_CONFIG_H_

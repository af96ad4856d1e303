// A model of x86's AMX: the tiles, and what their instructions do to them, as
// the operations in Intel's Software Developer's Manual, volume 2, say.

#ifndef GEMMA_TESTS_SUPPORT_TILE_MODEL_H_
#define GEMMA_TESTS_SUPPORT_TILE_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace gemma::internal {

// The tiles of one thread. Each function returns whether the CPU executes the
// instruction. If not, it raises an exception (#GP for LDTILECFG, else #UD),
// and nothing changes.
class TileModel {
 public:
  static constexpr size_t kTiles = 8;      // of palette 1, the only one
  static constexpr size_t kMaxRows = 16;   // of a tile
  static constexpr size_t kMaxBytes = 64;  // of a row

  // The types of the bytes of the left and the right operand.
  enum class Dot { kSignedSigned, kSignedUnsigned, kUnsignedSigned, kUnsigned };

  // LDTILECFG. Zeroes all tiles.
  bool Configure(const void* operand) {
    uint8_t config[64];
    std::memcpy(config, operand, sizeof(config));
    if (config[0] == 0) {
      Release();
      return true;
    }
    if (config[0] != 1) return false;
    Tile tiles[kTiles];
    for (size_t i = 2; i < sizeof(config); ++i) {
      const bool is_bytes = i >= 16 && i < 16 + 2 * kTiles;
      const bool is_rows = i >= 48 && i < 48 + kTiles;
      if (!is_bytes && !is_rows && config[i] != 0) return false;
    }
    for (size_t t = 0; t < kTiles; ++t) {
      tiles[t].bytes = config[16 + 2 * t] + 256 * config[17 + 2 * t];
      tiles[t].rows = config[48 + t];
      if (tiles[t].rows > kMaxRows || tiles[t].bytes > kMaxBytes) return false;
      if ((tiles[t].rows == 0) != (tiles[t].bytes == 0)) return false;
    }
    std::memcpy(tiles_, tiles, sizeof(tiles));
    configured_ = true;
    start_row_ = config[1];
    return true;
  }

  // TILERELEASE. All tiles are zeros and invalid.
  void Release() { *this = TileModel(); }

  // TILEZERO.
  bool Zero(size_t tile) {
    if (!IsValid(tile)) return false;
    Clear(tile);
    return true;
  }

  // TILELOADD. The rest of the tile becomes zeros.
  bool Load(size_t tile, const void* from, size_t stride) {
    if (!IsInMemory(tile)) return false;
    Clear(tile);
    for (size_t r = 0; r < tiles_[tile].rows; ++r) {
      std::memcpy(tiles_[tile].data[r],
                  static_cast<const uint8_t*>(from) + r * stride,
                  tiles_[tile].bytes);
    }
    return true;
  }

  // TILESTORED.
  bool Store(size_t tile, void* to, size_t stride) const {
    if (!IsInMemory(tile)) return false;
    for (size_t r = 0; r < tiles_[tile].rows; ++r) {
      std::memcpy(static_cast<uint8_t*>(to) + r * stride, tiles_[tile].data[r],
                  tiles_[tile].bytes);
    }
    return true;
  }

  // TDPBSSD, TDPBSUD, TDPBUSD, TDPBUUD: sums += left * right. Row k of `right`
  // has bytes 4 * k to 4 * k + 3 of each of its columns.
  bool Multiply(Dot dot, size_t sums, size_t left, size_t right) {
    if (!CanMultiply(sums, left, right)) return false;
    const bool a_signed =
        dot == Dot::kSignedSigned || dot == Dot::kSignedUnsigned;
    const bool b_signed =
        dot == Dot::kSignedSigned || dot == Dot::kUnsignedSigned;
    ForEachSum<uint32_t>(  // wraps around
        sums, left, right,
        [&](const uint8_t* a, const uint8_t* b, uint32_t sum) {
          for (size_t i = 0; i < 4; ++i) {
            sum += static_cast<uint32_t>(Value(a[i], a_signed) *
                                         Value(b[i], b_signed));
          }
          return sum;
        });
    return true;
  }

  // TDPBF16PS, where products and sums are exact: the order of the sums and
  // denormals are not modelled. Row k of `right` has rows 2 * k and 2 * k + 1.
  bool MultiplyBf16(size_t sums, size_t left, size_t right) {
    if (!CanMultiply(sums, left, right)) return false;
    ForEachSum<float>(sums, left, right,
                      [&](const uint8_t* a, const uint8_t* b, float sum) {
                        for (size_t i = 0; i < 4; i += 2) {
                          sum += Bf16(a + i) * Bf16(b + i);
                        }
                        return sum;
                      });
    return true;
  }

 private:
  struct Tile {
    size_t rows = 0;
    size_t bytes = 0;  // of a row
    uint8_t data[kMaxRows][kMaxBytes] = {};
  };

  static int Value(uint8_t byte, bool is_signed) {
    return is_signed ? static_cast<int8_t>(byte) : byte;
  }
  static float Bf16(const uint8_t* bytes) {
    const uint32_t bits = uint32_t{bytes[0]} << 16 | uint32_t{bytes[1]} << 24;
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }

  bool CanMultiply(size_t sums, size_t left, size_t right) const {
    if (!IsValid(sums) || !IsValid(left) || !IsValid(right)) return false;
    if (sums == left || sums == right || left == right) return false;
    const Tile& c = tiles_[sums];
    const Tile& a = tiles_[left];
    const Tile& b = tiles_[right];
    return a.bytes % 4 == 0 && b.bytes % 4 == 0 && c.bytes % 4 == 0 &&
           c.rows == a.rows && c.bytes == b.bytes && a.bytes / 4 == b.rows;
  }

  // For each sum, adds the products of each four bytes.
  template <class Sum, class Add>
  void ForEachSum(size_t sums, size_t left, size_t right, Add add) {
    Tile& c = tiles_[sums];
    for (size_t m = 0; m < c.rows; ++m) {
      for (size_t n = 0; n < c.bytes; n += 4) {
        Sum sum;
        std::memcpy(&sum, c.data[m] + n, sizeof(sum));
        for (size_t k = 0; k < tiles_[right].rows; ++k) {
          sum =
              add(tiles_[left].data[m] + 4 * k, tiles_[right].data[k] + n, sum);
        }
        std::memcpy(c.data[m] + n, &sum, sizeof(sum));
      }
    }
  }

  bool IsValid(size_t tile) const {
    return configured_ && tile < kTiles && tiles_[tile].rows != 0;
  }
  bool IsInMemory(size_t tile) const {
    return IsValid(tile) && tiles_[tile].bytes % 4 == 0 && start_row_ == 0;
  }
  void Clear(size_t tile) {
    std::memset(tiles_[tile].data, 0, sizeof(tiles_[tile].data));
  }

  bool configured_ = false;
  size_t start_row_ = 0;  // of a load that was interrupted; not modelled
  Tile tiles_[kTiles];
};

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_TILE_MODEL_H_

// Our own formats. The scales of a row are whole numbers of the row's unit,
// which takes half the bits of independent scales: groups of 16 values cost as
// much as groups of 32 in GGUF's formats, and lose less. A row consists of its
// blocks and then its unit, a bfloat16. Rows hold a multiple of 32 values.
//
// N4_32. A block is 17 bytes and holds 32 values (4.25 bits each):
//   byte 0         s, int8
//   bytes 1..16    q: byte i holds q[i] in its low half, q[16 + i] in its high
//   value[i] = unit * s * kN4Levels[q[i]]
//
// N4_16. A block is 18 bytes and holds 32 values (4.5 bits each):
//   bytes 0..1     s[0..1], int8
//   bytes 2..17    q, as above
//   value[i] = unit * s[i / 16] * kN4Levels[q[i]]
//
// N5_16. A block is 22 bytes and holds 32 values (5.5 bits each):
//   bytes 0..1     s[0..1], int8
//   bytes 2..17    low four bits of q, as above
//   bytes 18..21   bit i of these, the lowest first, is the fifth bit of q[i]
//   value[i] = unit * s[i / 16] * (q[i] - 16)
//
// N6_16. A block is 26 bytes and holds 32 values (6.5 bits each):
//   bytes 0..1     s[0..1], int8
//   bytes 2..17    low four bits of q, as above
//   bytes 18..25   high two bits of q: byte i holds those of q[8 * j + i] at
//                  bit 2 * j, for j = 0..3
//   value[i] = unit * s[i / 16] * (q[i] - 32)

#ifndef GEMMA_COMPRESSION_CODEC_N_H_
#define GEMMA_COMPRESSION_CODEC_N_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compression/codec_bytes.h"
#include "compression/fit_groups.h"
#include "compression/format.h"

namespace gemma::internal {

// Writes the steps s at the start of a block as scales, for a unit of 1.
template <size_t kSteps>
inline void UnpackSteps(const uint8_t* __restrict block,
                        float* __restrict scales, float* __restrict offsets) {
  for (size_t i = 0; i < kSteps; ++i) {
    scales[i] = static_cast<int8_t>(block[i]);
    offsets[i] = 0.0f;
  }
}

template <Format format>
struct N4 {
  static constexpr size_t kBlockValues = BlockValues(format);  // 32
  static constexpr size_t kBlockBytes = BlockBytes(format);    // 17 or 18
  static constexpr size_t kScaleValues =
      TraitsOf(LayoutOf(format)).scale_cols;  // 32 or 16
  static constexpr bool kHasOffset = false;
  static constexpr size_t kSteps = kBlockValues / kScaleValues;
  static constexpr bool kUnitIsHalf = false;

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    UnpackSteps<kSteps>(block, scales, offsets);
    UnpackNibbles<16>(block + kSteps, codes);
    for (size_t i = 0; i < kBlockValues; ++i) codes[i] = kN4Levels[codes[i]];
  }

  static Levels MakeLevels() { return Levels(kN4Levels); }

  static void Pack(const uint8_t* __restrict q, const int8_t* __restrict steps,
                   uint16_t /*unit*/, uint8_t* __restrict block) {
    std::memcpy(block, steps, kSteps);
    PackNibbles<16>(q, block + kSteps);
  }
};
using N4_32 = N4<Format::kN4_32>;
using N4_16 = N4<Format::kN4_16>;

struct N5_16 {
  static constexpr size_t kBlockValues = BlockValues(Format::kN5_16);  // 32
  static constexpr size_t kBlockBytes = BlockBytes(Format::kN5_16);    // 22
  static constexpr size_t kScaleValues = 16;
  static constexpr bool kHasOffset = false;
  static constexpr size_t kSteps = 2;
  static constexpr bool kUnitIsHalf = false;

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    UnpackSteps<kSteps>(block, scales, offsets);
    UnpackNibbles<16>(block + 2, codes);
    const uint32_t fifth = ReadU32(block + 18);
    for (size_t i = 0; i < kBlockValues; ++i) {
      const int high = (fifth >> i) & 1;
      codes[i] = static_cast<int8_t>((codes[i] | (high << 4)) - 16);
    }
  }

  static Levels MakeLevels() {
    Levels levels(-16, 15, /*zero=*/16);
    levels.trials = {0.85f, 1.5f, 20};
    return levels;
  }

  static void Pack(const uint8_t* __restrict q, const int8_t* __restrict steps,
                   uint16_t /*unit*/, uint8_t* __restrict block) {
    std::memcpy(block, steps, kSteps);
    PackNibbles<16>(q, block + 2);
    uint32_t fifth = 0;
    for (size_t i = 0; i < kBlockValues; ++i) {
      fifth |= uint32_t{q[i]} >> 4 << i;
    }
    std::memcpy(block + 18, &fifth, sizeof(fifth));
  }
};

struct N6_16 {
  static constexpr size_t kBlockValues = BlockValues(Format::kN6_16);  // 32
  static constexpr size_t kBlockBytes = BlockBytes(Format::kN6_16);    // 26
  static constexpr size_t kScaleValues = 16;
  static constexpr bool kHasOffset = false;
  static constexpr size_t kSteps = 2;
  static constexpr bool kUnitIsHalf = false;

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    UnpackSteps<kSteps>(block, scales, offsets);
    UnpackNibbles<16>(block + 2, codes);
    for (size_t i = 0; i < kBlockValues; ++i) {
      const int high = (block[18 + i % 8] >> (2 * (i / 8))) & 3;
      codes[i] = static_cast<int8_t>((codes[i] | (high << 4)) - 32);
    }
  }

  static Levels MakeLevels() { return SixBitLevels(); }

  static void Pack(const uint8_t* __restrict q, const int8_t* __restrict steps,
                   uint16_t /*unit*/, uint8_t* __restrict block) {
    std::memcpy(block, steps, kSteps);
    PackNibbles<16>(q, block + 2);
    for (size_t i = 0; i < 8; ++i) {
      block[18 + i] =
          static_cast<uint8_t>((q[i] >> 4) | (q[8 + i] >> 4) << 2 |
                               (q[16 + i] >> 4) << 4 | (q[24 + i] >> 4) << 6);
    }
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_N_H_

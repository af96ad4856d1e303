// GGUF's formats of two bits. An index chooses the magnitudes of eight values
// from a grid (iq_grids.h). Signs of eight values are a byte whose bit i, if
// set, makes value i negative, or the lower seven bits of a byte whose number
// of set bits is even.
//
// IQ2_XXS. A block is 66 bytes and holds 256 values (2.0625 bits each):
//   bytes 0..1     scale, half
//   bytes 2..65    8 bytes for each 32 values: four indices, then a uint32 with
//                  four times seven bits of signs, the lowest first, and s
//   value[i] = scale * (2 * s[i / 32] + 1) / 8 * level[i]
//
// IQ2_XS. A block is 74 bytes and holds 256 values (2.3125 bits each):
//   bytes 0..1     scale, half
//   bytes 2..65    uint16 for each eight values: nine bits of the index, then
//                  seven bits of signs
//   bytes 66..73   s: byte i holds s[2 * i] in its low half, s[2 * i + 1] in
//                  its high
//   value[i] = scale * (2 * s[i / 16] + 1) / 8 * level[i]
//
// IQ2_S. A block is 82 bytes and holds 256 values (2.5625 bits each):
//   bytes 0..1     scale, half
//   bytes 2..33    low eight bits of the indices
//   bytes 34..65   signs
//   bytes 66..73   high two bits of the indices: byte i holds those of index
//                  4 * i + j at bit 2 * j, for j = 0..3
//   bytes 74..81   s, as in IQ2_XS
//   value[i] as in IQ2_XS

#ifndef GEMMA_COMPRESSION_CODEC_IQ2_H_
#define GEMMA_COMPRESSION_CODEC_IQ2_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "compression/codec_bytes.h"
#include "compression/format.h"
#include "compression/iq_grids.h"

namespace gemma::internal {

// Returns the byte of signs whose lower seven bits are those of `bits`.
inline uint8_t WholeSigns(uint32_t bits) {
  const auto seven = static_cast<uint8_t>(bits & 0x7F);
  return static_cast<uint8_t>(seven | (std::popcount(seven) & 1) << 7);
}

// Writes values with these magnitudes and signs. Only the lowest bits of
// `signs` count.
template <size_t size>
inline void WriteSigned(const std::array<int8_t, size>& magnitudes,
                        unsigned signs, int8_t* __restrict codes) {
  for (size_t i = 0; i < size; ++i) {
    const bool is_negative = (signs >> i & 1) != 0;
    codes[i] =
        static_cast<int8_t>(is_negative ? -magnitudes[i] : magnitudes[i]);
  }
}

// Reads four bits each as 2 * s + 1.
inline SuperScales OddScales(uint16_t unit, const uint8_t* halves,
                             size_t size) {
  SuperScales scales;
  scales.unit = unit;
  for (size_t i = 0; i < size; ++i) {
    const int s = (halves[i / 2] >> (4 * (i % 2))) & 0xF;
    scales.s[i] = static_cast<int8_t>(2 * s + 1);
  }
  return scales;
}

// Reads the high halves of eight bytes, which are `step` apart, as 2 * s + 1.
inline SuperScales OddHighScales(uint16_t unit, const uint8_t* bytes,
                                 size_t step) {
  SuperScales scales;
  scales.unit = unit;
  for (size_t k = 0; k < 8; ++k) {
    scales.s[k] = static_cast<int8_t>(2 * (bytes[step * k] >> 4) + 1);
  }
  return scales;
}

// MultiplyOut, with the factor of the format's layout.
template <Format format>
inline void MultiplyAllOut(const SuperScales& from, float* __restrict scales,
                           float* __restrict offsets) {
  constexpr LayoutTraits kTraits = TraitsOf(LayoutOf(format));
  constexpr size_t kSize = kTraits.block_cols / kTraits.scale_cols;
  MultiplyOut(from, kSize, scales, offsets);
  for (size_t i = 0; i < kSize; ++i) {
    scales[i] *= kTraits.factor;
    offsets[i] = 0.0f;
  }
}

struct IQ2_XXS {
  static constexpr size_t kBlockValues = BlockValues(Format::kIQ2_XXS);  // 256
  static constexpr size_t kBlockBytes = BlockBytes(Format::kIQ2_XXS);    // 66
  static constexpr size_t kScaleValues = 32;
  static constexpr bool kHasOffset = false;

  static SuperScales Scales(const uint8_t* block) {
    return OddHighScales(ReadU16(block), block + 9, 8);
  }

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    MultiplyAllOut<Format::kIQ2_XXS>(Scales(block), scales, offsets);
    for (size_t k = 0; k < 8; ++k) {
      const uint8_t* indices = block + 2 + 8 * k;
      const uint32_t signs = ReadU32(indices + 4);
      for (size_t j = 0; j < 4; ++j) {
        WriteSigned(kIQ2XXSGrid[indices[j]], WholeSigns(signs >> 7 * j),
                    codes + 32 * k + 8 * j);
      }
    }
  }
};

struct IQ2_XS {
  static constexpr size_t kBlockValues = BlockValues(Format::kIQ2_XS);  // 256
  static constexpr size_t kBlockBytes = BlockBytes(Format::kIQ2_XS);    // 74
  static constexpr size_t kScaleValues = 16;
  static constexpr bool kHasOffset = false;

  static SuperScales Scales(const uint8_t* block) {
    return OddScales(ReadU16(block), block + 66, 16);
  }

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    MultiplyAllOut<Format::kIQ2_XS>(Scales(block), scales, offsets);
    for (size_t k = 0; k < 32; ++k) {
      const uint16_t q = ReadU16(block + 2 + 2 * k);
      WriteSigned(kIQ2XSGrid[q & 511], WholeSigns(q >> 9), codes + 8 * k);
    }
  }
};

struct IQ2_S {
  static constexpr size_t kBlockValues = BlockValues(Format::kIQ2_S);  // 256
  static constexpr size_t kBlockBytes = BlockBytes(Format::kIQ2_S);    // 82
  static constexpr size_t kScaleValues = 16;
  static constexpr bool kHasOffset = false;

  static SuperScales Scales(const uint8_t* block) {
    return OddScales(ReadU16(block), block + 74, 16);
  }

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    MultiplyAllOut<Format::kIQ2_S>(Scales(block), scales, offsets);
    for (size_t k = 0; k < 32; ++k) {
      const unsigned high = (block[66 + k / 4] >> (2 * (k % 4))) & 3u;
      WriteSigned(kIQ2SGrid[block[2 + k] | high << 8], block[34 + k],
                  codes + 8 * k);
    }
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_IQ2_H_

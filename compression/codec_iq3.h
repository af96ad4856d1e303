// GGUF's formats of three bits. An index chooses the magnitudes of four values
// from a grid (iq_grids.h). Signs are those of codec_iq2.h.
//
// IQ3_XXS. A block is 98 bytes and holds 256 values (3.0625 bits each):
//   bytes 0..1     scale, half
//   bytes 2..65    indices
//   bytes 66..97   uint32 for each 32 values: four times seven bits of signs,
//                  the lowest first, and s
//   value[i] = scale * (2 * s[i / 32] + 1) / 4 * level[i]
//
// IQ3_S. A block is 110 bytes and holds 256 values (3.4375 bits each):
//   bytes 0..1     scale, half
//   bytes 2..65    low eight bits of the indices
//   bytes 66..73   ninth bits: bit j of byte i is that of index 8 * i + j
//   bytes 74..105  signs
//   bytes 106..109 s: byte i holds s[2 * i] in its low half, s[2 * i + 1] in
//                  its high
//   value[i] = scale * (2 * s[i / 32] + 1) * level[i]

#ifndef GEMMA_COMPRESSION_CODEC_IQ3_H_
#define GEMMA_COMPRESSION_CODEC_IQ3_H_

#include <cstddef>
#include <cstdint>

#include "compression/codec_bytes.h"
#include "compression/codec_iq2.h"
#include "compression/format.h"
#include "compression/iq_grids.h"

namespace gemma::internal {

struct IQ3_XXS {
  static constexpr size_t kBlockValues = BlockValues(Format::kIQ3_XXS);  // 256
  static constexpr size_t kBlockBytes = BlockBytes(Format::kIQ3_XXS);    // 98
  static constexpr size_t kScaleValues = 32;
  static constexpr bool kHasOffset = false;

  static SuperScales Scales(const uint8_t* block) {
    return OddHighScales(ReadU16(block), block + 69, 4);
  }

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    MultiplyAllOut<Format::kIQ3_XXS>(Scales(block), scales, offsets);
    for (size_t k = 0; k < 8; ++k) {
      const uint8_t* indices = block + 2 + 8 * k;
      const uint32_t signs = ReadU32(block + 66 + 4 * k);
      for (size_t j = 0; j < 4; ++j) {
        const unsigned eight = WholeSigns(signs >> 7 * j);
        int8_t* to = codes + 32 * k + 8 * j;
        WriteSigned(kIQ3XXSGrid[indices[2 * j]], eight, to);
        WriteSigned(kIQ3XXSGrid[indices[2 * j + 1]], eight >> 4, to + 4);
      }
    }
  }
};

struct IQ3_S {
  static constexpr size_t kBlockValues = BlockValues(Format::kIQ3_S);  // 256
  static constexpr size_t kBlockBytes = BlockBytes(Format::kIQ3_S);    // 110
  static constexpr size_t kScaleValues = 32;
  static constexpr bool kHasOffset = false;

  static SuperScales Scales(const uint8_t* block) {
    return OddScales(ReadU16(block), block + 106, 8);
  }

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    MultiplyAllOut<Format::kIQ3_S>(Scales(block), scales, offsets);
    for (size_t k = 0; k < 64; ++k) {
      const unsigned ninth = (block[66 + k / 8] >> (k % 8)) & 1u;
      const unsigned signs = block[74 + k / 2] >> (4 * (k % 2));
      WriteSigned(kIQ3SGrid[block[2 + k] | ninth << 8], signs, codes + 4 * k);
    }
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_IQ3_H_

// GGUF Q2_K. A block is 84 bytes and holds 256 values (2.625 bits each):
//   bytes 0..15   s[0..15]: the low half scales, the high half lowers
//   bytes 16..79  q: 2 bits each. Byte 32 * n + i of these holds
//                 q[128 * n + 32 * j + i] at bit 2 * j, for j = 0..3
//   bytes 80..81  scale, half
//   bytes 82..83  offset_scale, half
//   value[i] = scale * (s[i / 16] & 15) * q[i]
//              - offset_scale * (s[i / 16] >> 4)

#ifndef GEMMA_COMPRESSION_CODEC_Q2_K_H_
#define GEMMA_COMPRESSION_CODEC_Q2_K_H_

#include <cstddef>
#include <cstdint>

#include "compression/codec_bytes.h"
#include "compression/format.h"

namespace gemma::internal {

struct Q2_K {
  static constexpr size_t kBlockValues = BlockValues(Format::kQ2_K);  // 256
  static constexpr size_t kBlockBytes = BlockBytes(Format::kQ2_K);    // 84
  static constexpr size_t kScaleValues = 16;
  static constexpr bool kHasOffset = true;

  static SuperScales Scales(const uint8_t* block) {
    SuperScales scales;
    scales.unit = ReadU16(block + 80);
    scales.offset_unit = ReadU16(block + 82);
    for (size_t i = 0; i < 16; ++i) {
      scales.s[i] = block[i] & 0xF;
      scales.m[i] = block[i] >> 4;
    }
    return scales;
  }

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    MultiplyOut(Scales(block), 16, scales, offsets);
    for (size_t k = 0; k < 8; ++k) {
      const uint8_t* q = block + 16 + 32 * (k / 4);
      for (size_t i = 0; i < 32; i += 8) {
        const uint64_t word = ReadU64(q + i) >> (2 * (k % 4));
        WriteCodes(word & EachByte(3), /*amount=*/0, codes + 32 * k + i);
      }
    }
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_Q2_K_H_

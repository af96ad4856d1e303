// GGUF Q3_K. A block is 110 bytes and holds 256 values (3.4375 bits each):
//   bytes 0..31     h: bit k of byte i is the third bit of q[32 * k + i]
//   bytes 32..95    low two bits of q. Byte 32 * n + i of these holds those of
//                   q[128 * n + 32 * j + i] at bit 2 * j, for j = 0..3
//   bytes 96..103   low four bits of s: byte i of these holds those of s[i] in
//                   its low half, those of s[8 + i] in its high half
//   bytes 104..107  high two bits of s: byte i of these holds those of
//                   s[4 * j + i] at bit 2 * j, for j = 0..3
//   bytes 108..109  scale, half
//   value[i] = scale * (s[i / 16] - 32) * (q[i] - 4)

#ifndef GEMMA_COMPRESSION_CODEC_Q3_K_H_
#define GEMMA_COMPRESSION_CODEC_Q3_K_H_

#include <cstddef>
#include <cstdint>

#include "compression/codec_bytes.h"
#include "compression/format.h"

namespace gemma::internal {

struct Q3_K {
  static constexpr size_t kBlockValues = BlockValues(Format::kQ3_K);  // 256
  static constexpr size_t kBlockBytes = BlockBytes(Format::kQ3_K);    // 110
  static constexpr size_t kScaleValues = 16;
  static constexpr bool kHasOffset = false;

  static SuperScales Scales(const uint8_t* block) {
    SuperScales scales;
    scales.unit = ReadU16(block + 108);
    for (size_t i = 0; i < 16; ++i) {
      const int low = (block[96 + i % 8] >> (4 * (i / 8))) & 0xF;
      const int high = (block[104 + i % 4] >> (2 * (i / 4))) & 3;
      scales.s[i] = static_cast<int8_t>((low | (high << 4)) - 32);
    }
    return scales;
  }

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    MultiplyOut(Scales(block), 16, scales, offsets);
    for (size_t k = 0; k < 8; ++k) {
      const uint8_t* q = block + 32 + 32 * (k / 4);
      for (size_t i = 0; i < 32; i += 8) {
        const uint64_t low = (ReadU64(q + i) >> (2 * (k % 4))) & EachByte(3);
        const uint64_t high = (ReadU64(block + i) >> k) & EachByte(1);
        WriteCodes(low | (high << 2), /*amount=*/4, codes + 32 * k + i);
      }
    }
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_Q3_K_H_

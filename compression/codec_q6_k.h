// GGUF Q6_K. A block is 210 bytes and holds 256 values (6.5625 bits each):
//   bytes 0..127    low four bits of q. Byte 64 * n + i of these holds those of
//                   q[128 * n + i] in its low half, those of q[128 * n + 64 +
//                   i] in its high half
//   bytes 128..191  high two bits of q. Byte 32 * n + i of these holds those of
//                   q[128 * n + 32 * j + i] at bit 2 * j, for j = 0..3
//   bytes 192..207  s[0..15], int8
//   bytes 208..209  scale, half
//   value[i] = scale * s[i / 16] * (q[i] - 32)

#ifndef GEMMA_COMPRESSION_CODEC_Q6_K_H_
#define GEMMA_COMPRESSION_CODEC_Q6_K_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compression/codec_bytes.h"
#include "compression/fit_groups.h"
#include "compression/format.h"

namespace gemma::internal {

struct Q6_K {
  static constexpr size_t kBlockValues = BlockValues(Format::kQ6_K);  // 256
  static constexpr size_t kBlockBytes = BlockBytes(Format::kQ6_K);    // 210
  static constexpr size_t kScaleValues = 16;
  static constexpr bool kHasOffset = false;

  static SuperScales Scales(const uint8_t* block) {
    SuperScales scales;
    scales.unit = ReadU16(block + 208);
    std::memcpy(scales.s, block + 192, 16);
    return scales;
  }

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    MultiplyOut(Scales(block), 16, scales, offsets);
    for (size_t k = 0; k < 8; ++k) {
      const size_t n = k / 4;
      const size_t j = k % 4;
      const uint8_t* q = block + 64 * n + 32 * (j % 2);
      const uint8_t* h = block + 128 + 32 * n;
      for (size_t i = 0; i < 32; i += 8) {
        const uint64_t low = (ReadU64(q + i) >> (4 * (j / 2))) & EachByte(0xF);
        const uint64_t high = (ReadU64(h + i) >> (2 * j)) & EachByte(3);
        WriteCodes(low | (high << 4), /*amount=*/32, codes + 32 * k + i);
      }
    }
  }

  static constexpr bool kUnitIsHalf = true;
  static Levels MakeLevels() { return SixBitLevels(); }

  static void Pack(const uint8_t* __restrict codes,
                   const int8_t* __restrict steps, uint16_t unit,
                   uint8_t* __restrict block) {
    for (size_t n = 0; n < 2; ++n) {
      const uint8_t* q = codes + 128 * n;
      PackNibbles<64>(q, block + 64 * n);
      for (size_t i = 0; i < 32; ++i) {
        block[128 + 32 * n + i] =
            static_cast<uint8_t>((q[i] >> 4) | (q[32 + i] >> 4) << 2 |
                                 (q[64 + i] >> 4) << 4 | (q[96 + i] >> 4) << 6);
      }
    }
    std::memcpy(block + 192, steps, 16);
    WriteU16(unit, block + 208);
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_Q6_K_H_

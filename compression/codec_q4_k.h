// GGUF Q4_K. A block is 144 bytes and holds 256 values (4.5 bits each):
//   bytes 0..1     scale, half
//   bytes 2..3     offset_scale, half
//   bytes 4..15    s[0..7] and m[0..7], 6 bits each. Of these bytes, for i < 4,
//                  byte i:     s[i],           above it bits 4..5 of s[4 + i]
//                  byte 4 + i: m[i],           above it bits 4..5 of m[4 + i]
//                  byte 8 + i: bits 0..3 of s[4 + i], above them those of
//                              m[4 + i]
//   bytes 16..143  q: byte 32 * n + i of these holds q[64 * n + i] in its low
//                  half, q[64 * n + 32 + i] in its high half
//   value[i] = scale * s[i / 32] * q[i] - offset_scale * m[i / 32]
//
// GGUF Q5_K. A block is 176 bytes and holds 256 values (5.5 bits each):
//   bytes 0..15    as above
//   bytes 16..47   h: bit k of byte i is the fifth bit of q[32 * k + i]
//   bytes 48..175  low four bits of q, as q above
//   value[i]: as above

#ifndef GEMMA_COMPRESSION_CODEC_Q4_K_H_
#define GEMMA_COMPRESSION_CODEC_Q4_K_H_

#include <cstddef>
#include <cstdint>

#include "compression/codec_bytes.h"
#include "compression/format.h"

namespace gemma::internal {

// Returns the eight scales and offsets in bytes 0..15 of a block.
inline SuperScales UnpackSixBitScales(const uint8_t* __restrict block) {
  SuperScales scales;
  scales.unit = ReadU16(block);
  scales.offset_unit = ReadU16(block + 2);
  const uint8_t* packed = block + 4;
  for (size_t i = 0; i < 4; ++i) {
    scales.s[i] = packed[i] & 0x3F;
    scales.m[i] = packed[4 + i] & 0x3F;
    scales.s[4 + i] = (packed[8 + i] & 0xF) | ((packed[i] >> 6) << 4);
    scales.m[4 + i] = (packed[8 + i] >> 4) | ((packed[4 + i] >> 6) << 4);
  }
  return scales;
}

struct Q4_K {
  static constexpr size_t kBlockValues = BlockValues(Format::kQ4_K);  // 256
  static constexpr size_t kBlockBytes = BlockBytes(Format::kQ4_K);    // 144
  static constexpr size_t kScaleValues = 32;
  static constexpr bool kHasOffset = true;

  static SuperScales Scales(const uint8_t* block) {
    return UnpackSixBitScales(block);
  }

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    MultiplyOut(Scales(block), 8, scales, offsets);
    for (size_t n = 0; n < 4; ++n) {
      UnpackNibbles<32>(block + 16 + 32 * n, codes + 64 * n);
    }
  }
};

struct Q5_K {
  static constexpr size_t kBlockValues = BlockValues(Format::kQ5_K);  // 256
  static constexpr size_t kBlockBytes = BlockBytes(Format::kQ5_K);    // 176
  static constexpr size_t kScaleValues = 32;
  static constexpr bool kHasOffset = true;

  static SuperScales Scales(const uint8_t* block) {
    return UnpackSixBitScales(block);
  }

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    MultiplyOut(Scales(block), 8, scales, offsets);
    for (size_t k = 0; k < 8; ++k) {
      const uint8_t* q = block + 48 + 32 * (k / 2);
      for (size_t i = 0; i < 32; i += 8) {
        const uint64_t low = (ReadU64(q + i) >> (4 * (k % 2))) & EachByte(0xF);
        const uint64_t high = (ReadU64(block + 16 + i) >> k) & EachByte(1);
        WriteCodes(low | (high << 4), /*amount=*/0, codes + 32 * k + i);
      }
    }
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_Q4_K_H_

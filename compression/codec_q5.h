// GGUF Q5_0. A block is 22 bytes and holds 32 values (5.5 bits each):
//   bytes 0..1    scale, half
//   bytes 2..5    h, uint32: bit i is the fifth bit of q[i]
//   bytes 6..21   byte i holds the low four bits of q[i] in its low half, those
//                 of q[16 + i] in its high half
//   value[i] = scale * (q[i] - 16)
//
// GGUF Q5_1. A block is 24 bytes and holds 32 values (6 bits each):
//   bytes 0..1    scale, half
//   bytes 2..3    offset, half
//   bytes 4..7    h, as above
//   bytes 8..23   low bits, as above
//   value[i] = scale * q[i] + offset

#ifndef GEMMA_COMPRESSION_CODEC_Q5_H_
#define GEMMA_COMPRESSION_CODEC_Q5_H_

#include <cstddef>
#include <cstdint>

#include "compression/codec_bytes.h"
#include "compression/format.h"

namespace gemma::internal {

// Writes q[i] - subtract. `bytes` points at h, which the low bits follow.
inline void UnpackFiveBits(const uint8_t* __restrict bytes, uint8_t subtract,
                           int8_t* __restrict codes) {
  for (size_t i = 0; i < 32; i += 8) {
    const uint64_t low = ReadU64(bytes + 4 + i % 16) >> (i < 16 ? 0 : 4);
    const uint64_t high = SpreadBits(bytes[i / 8]);
    WriteCodes((low & EachByte(0xF)) | (high << 4), subtract, codes + i);
  }
}

struct Q5_0 {
  static constexpr size_t kBlockValues = BlockValues(Format::kQ5_0);  // 32
  static constexpr size_t kBlockBytes = BlockBytes(Format::kQ5_0);    // 22
  static constexpr size_t kScaleValues = 32;
  static constexpr bool kHasOffset = false;

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    scales[0] = ReadHalf(block);
    offsets[0] = 0.0f;
    UnpackFiveBits(block + 2, /*subtract=*/16, codes);
  }
};

struct Q5_1 {
  static constexpr size_t kBlockValues = BlockValues(Format::kQ5_1);  // 32
  static constexpr size_t kBlockBytes = BlockBytes(Format::kQ5_1);    // 24
  static constexpr size_t kScaleValues = 32;
  static constexpr bool kHasOffset = true;

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    scales[0] = ReadHalf(block);
    offsets[0] = ReadHalf(block + 2);
    UnpackFiveBits(block + 4, /*subtract=*/0, codes);
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_Q5_H_

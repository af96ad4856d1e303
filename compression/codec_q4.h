// GGUF Q4_0. A block is 18 bytes and holds 32 values (4.5 bits each):
//   bytes 0..1    scale, half
//   bytes 2..17   q: byte i holds q[i] in its low half, q[16 + i] in its high
//   value[i] = scale * (q[i] - 8)
//
// GGUF Q4_1. A block is 20 bytes and holds 32 values (5 bits each):
//   bytes 0..1    scale, half
//   bytes 2..3    offset, half
//   bytes 4..19   q, as above
//   value[i] = scale * q[i] + offset

#ifndef GEMMA_COMPRESSION_CODEC_Q4_H_
#define GEMMA_COMPRESSION_CODEC_Q4_H_

#include <cstddef>
#include <cstdint>

#include "compression/codec_bytes.h"
#include "compression/fit_groups.h"
#include "compression/format.h"

namespace gemma::internal {

struct Q4_0 {
  static constexpr size_t kBlockValues = BlockValues(Format::kQ4_0);  // 32
  static constexpr size_t kBlockBytes = BlockBytes(Format::kQ4_0);    // 18
  static constexpr size_t kScaleValues = 32;
  static constexpr bool kHasOffset = false;
  // Offset in a block of the 16 bytes that hold the codes: of the first 16
  // values in the low halves, of the others in the high halves.
  static constexpr size_t kNibbles = 2;

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    scales[0] = ReadHalf(block);
    offsets[0] = 0.0f;
    UnpackNibbles<16>(block + kNibbles, codes);
    for (size_t i = 0; i < kBlockValues; ++i) {
      codes[i] = static_cast<int8_t>(codes[i] - 8);
    }
  }

  // These trials find the original scale again if the largest code is 2 or
  // more, so weights that were trained for this format keep their codes.
  static Levels MakeLevels() {
    Levels levels(-8, 7, /*zero=*/8);
    levels.trials = {0.25f, 1.75f, 25};
    return levels;
  }

  static void Pack(const uint8_t* __restrict codes, uint16_t scale,
                   uint8_t* __restrict block) {
    WriteU16(scale, block);
    PackNibbles<16>(codes, block + kNibbles);
  }
};

struct Q4_1 {
  static constexpr size_t kBlockValues = BlockValues(Format::kQ4_1);  // 32
  static constexpr size_t kBlockBytes = BlockBytes(Format::kQ4_1);    // 20
  static constexpr size_t kScaleValues = 32;
  static constexpr bool kHasOffset = true;
  static constexpr size_t kNibbles = 4;  // as in Q4_0

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    scales[0] = ReadHalf(block);
    offsets[0] = ReadHalf(block + 2);
    UnpackNibbles<16>(block + kNibbles, codes);
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_Q4_H_

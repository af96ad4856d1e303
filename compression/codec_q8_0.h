// GGUF Q8_0. A block is 34 bytes and holds 32 values (8.5 bits each):
//   bytes 0..1    scale, half
//   bytes 2..33   q[0..31], int8
//   value[i] = scale * q[i]

#ifndef GEMMA_COMPRESSION_CODEC_Q8_0_H_
#define GEMMA_COMPRESSION_CODEC_Q8_0_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compression/codec_bytes.h"
#include "compression/fit_groups.h"
#include "compression/format.h"

namespace gemma::internal {

struct Q8_0 {
  static constexpr size_t kBlockValues = BlockValues(Format::kQ8_0);  // 32
  static constexpr size_t kBlockBytes = BlockBytes(Format::kQ8_0);    // 34
  static constexpr size_t kScaleValues = 32;
  static constexpr bool kHasOffset = false;

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    scales[0] = ReadHalf(block);
    offsets[0] = 0.0f;
    std::memcpy(codes, block + 2, kBlockValues);
  }

  // Leaves out -128: a larger scale with -127 serves as well.
  static Levels MakeLevels() {
    Levels levels(-127, 127, /*zero=*/128);
    levels.trials = {0.95f, 1.1f, 20};
    return levels;
  }

  static void Pack(const uint8_t* __restrict codes, uint16_t scale,
                   uint8_t* __restrict block) {
    WriteU16(scale, block);
    for (size_t i = 0; i < kBlockValues; ++i) {
      block[2 + i] = static_cast<uint8_t>(codes[i] - 128);
    }
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_Q8_0_H_

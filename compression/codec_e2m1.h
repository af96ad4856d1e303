// GGUF MXFP4. A block is 17 bytes and holds 32 values (4.25 bits each):
//   byte 0         e: the scale is 2^(e - 128), even if e is 255
//   bytes 1..16    q: byte i holds q[i] in its low half, q[16 + i] in its high
//   value[i] = scale * kE2M1Levels[q[i]]
//
// GGUF NVFP4. A block is 36 bytes and holds 64 values (4.5 bits each):
//   bytes 0..3     s[0..3], see below
//   bytes 4..35    8 bytes for each s: byte i of these holds q[i] in its low
//                  half, q[8 + i] in its high
//   value[i] = s[i / 16] * kE2M1Levels[q[i]]
// s is half the value of an F8_E4M3 (codec_f8.h) without sign and NaN. Byte 127
// means 0. The sign bit is ignored, except that byte 255 means 240.
//
// A file may multiply all values of an NVFP4 matrix by a number: see
// src/model/config/tensor_scales.h.

#ifndef GEMMA_COMPRESSION_CODEC_E2M1_H_
#define GEMMA_COMPRESSION_CODEC_E2M1_H_

#include <cstddef>
#include <cstdint>

#include "compression/codec_bytes.h"
#include "compression/format.h"
#include "compression/half.h"

namespace gemma::internal {

// Replaces codes by their levels.
template <size_t size>
inline void LookUpE2M1(int8_t* codes) {
  for (size_t i = 0; i < size; ++i) codes[i] = kE2M1Levels[codes[i]];
}

struct MXFP4 {
  static constexpr size_t kBlockValues = BlockValues(Format::kMXFP4);  // 32
  static constexpr size_t kBlockBytes = BlockBytes(Format::kMXFP4);    // 17
  static constexpr size_t kScaleValues = 32;
  static constexpr bool kHasOffset = false;

  static uint16_t ScaleBF16(uint8_t e) {
    // The two smallest are denormal: 2^-128 and 2^-127.
    return static_cast<uint16_t>(e < 2 ? 0x20u << e : (e - 1u) << 7);
  }

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    scales[0] = BF16ToFloat(ScaleBF16(block[0]));
    offsets[0] = 0.0f;
    UnpackNibbles<16>(block + 1, codes);
    LookUpE2M1<kBlockValues>(codes);
  }
};

struct NVFP4 {
  static constexpr size_t kBlockValues = BlockValues(Format::kNVFP4);  // 64
  static constexpr size_t kBlockBytes = BlockBytes(Format::kNVFP4);    // 36
  static constexpr size_t kScaleValues = 16;
  static constexpr bool kHasOffset = false;

  static uint16_t ScaleBF16(uint8_t byte) {
    if (byte == 0x7F) return 0;
    const unsigned magnitude = byte & 0x7Fu;
    if (magnitude < 8) {  // a multiple of 2^-10
      return FloatToBF16(static_cast<float>(magnitude) * 0x1p-10f);
    }
    return static_cast<uint16_t>((magnitude << 4) + ((127 - 8) << 7));
  }

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    for (size_t i = 0; i < 4; ++i) {
      scales[i] = BF16ToFloat(ScaleBF16(block[i]));
      offsets[i] = 0.0f;
      UnpackNibbles<8>(block + 4 + 8 * i, codes + 16 * i);
    }
    LookUpE2M1<kBlockValues>(codes);
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_E2M1_H_

// SFP, gemma.cpp's "switching floating point". A value is one byte, which
// always equals a bfloat16 exactly:
//   bit 7        sign
//   bits 0..6    c, by size:
//     0          0
//     1..63      2^(floor(c / 4) - 23) * (1 + (c mod 4) / 4)
//     64..127    2^(floor(c / 8) - 15) * (1 + (c mod 8) / 8), up to 1.875
// gemma.cpp writes no negative zero; byte 128 decodes to it here.

#ifndef GEMMA_COMPRESSION_CODEC_SFP_H_
#define GEMMA_COMPRESSION_CODEC_SFP_H_

#include <cstddef>
#include <cstdint>

#include "compression/format.h"
#include "compression/half.h"

namespace gemma::internal {

struct SFP {
  static constexpr size_t kBlockValues = BlockValues(Format::kSFP);  // 1
  static constexpr size_t kBlockBytes = BlockBytes(Format::kSFP);    // 1

  // Returns the bits of the bfloat16. c covers the low bits of the exponent and
  // the high bits of the mantissa, so a shift and an offset are enough.
  static uint16_t ToBF16(uint8_t code) {
    const unsigned sign = (code & 0x80u) << 8;
    const unsigned c = code & 0x7Fu;
    unsigned magnitude = 0;
    if (c >= 64) {
      magnitude = 0x3800 + (c << 4);
    } else if (c != 0) {
      magnitude = 0x3400 + (c << 5);
    }
    return static_cast<uint16_t>(sign | magnitude);
  }

  static float ToFloat(uint8_t code) { return BF16ToFloat(ToBF16(code)); }

  static void UnpackBF16(const uint8_t* block, uint16_t* values) {
    values[0] = ToBF16(block[0]);
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_SFP_H_

// The floats of one byte of the OCP's 8-bit Floating Point Specification
// (revision 1.0), as safetensors files and PyTorch have them. bfloat16 holds
// all values.
//   F8_E4M3   sign, 4 bits of exponent e (bias 7), 3 bits of mantissa m. No
//             infinities; the bits of magnitude 127 are NaN (PyTorch's
//             float8_e4m3fn)
//   F8_E5M2   sign, 5 bits of exponent, 2 bits of mantissa: the upper byte of a
//             half, with its infinities and NaNs

#ifndef GEMMA_COMPRESSION_CODEC_F8_H_
#define GEMMA_COMPRESSION_CODEC_F8_H_

#include <cstddef>
#include <cstdint>

#include "compression/format.h"
#include "compression/half.h"

namespace gemma::internal {

struct F8_E4M3 {
  static constexpr size_t kBlockValues = BlockValues(Format::kF8_E4M3);  // 1
  static constexpr size_t kBlockBytes = BlockBytes(Format::kF8_E4M3);    // 1

  static uint16_t ToBF16(uint8_t code) {
    const unsigned sign = (code & 0x80u) << 8;
    const unsigned magnitude = code & 0x7Fu;
    if (magnitude == 0x7F) return static_cast<uint16_t>(sign | 0x7FC0u);  // NaN
    if (magnitude < 8) {  // denormal: a multiple of 2^-9
      const float value = static_cast<float>(magnitude) * 0x1p-9f;
      return static_cast<uint16_t>(sign | FloatToBF16(value));
    }
    // The exponent and the mantissa keep their order; the bias becomes 127.
    return static_cast<uint16_t>(sign | ((magnitude << 4) + ((127 - 7) << 7)));
  }

  static void UnpackBF16(const uint8_t* block, uint16_t* values) {
    values[0] = ToBF16(block[0]);
  }
};

struct F8_E5M2 {
  static constexpr size_t kBlockValues = BlockValues(Format::kF8_E5M2);  // 1
  static constexpr size_t kBlockBytes = BlockBytes(Format::kF8_E5M2);    // 1

  static uint16_t ToBF16(uint8_t code) {
    return FloatToBF16(HalfToFloat(static_cast<uint16_t>(code << 8)));
  }

  static void UnpackBF16(const uint8_t* block, uint16_t* values) {
    values[0] = ToBF16(block[0]);
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_F8_H_

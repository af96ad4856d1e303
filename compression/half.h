// Converts the two 16-bit float formats to and from float.
//
//   half  1 sign, 5 exponent and 10 mantissa bits (IEEE binary16)
//   BF16  1 sign, 8 exponent and 7 mantissa bits: the upper half of a float
//
// Widening is exact and keeps the payload of a NaN. Narrowing rounds to
// nearest, ties to even; a value that is too large becomes infinite, a NaN
// becomes a quiet NaN of the same sign. Halves convert exactly even on a CPU
// that flushes denormal floats to zero.

#ifndef GEMMA_COMPRESSION_HALF_H_
#define GEMMA_COMPRESSION_HALF_H_

#include <bit>
#include <cstdint>

namespace gemma::internal {

inline float BF16ToFloat(uint16_t bf16) {
  return std::bit_cast<float>(uint32_t{bf16} << 16);
}

inline uint16_t FloatToBF16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const bool is_nan = (bits & 0x7FFFFFFF) > 0x7F800000;
  // Adds just under half a unit, or half a unit if the kept part is odd.
  const uint32_t rounded = bits + 0x7FFF + ((bits >> 16) & 1);
  return static_cast<uint16_t>((is_nan ? bits | 0x400000 : rounded) >> 16);
}

inline float HalfToFloat(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t exponent = (half >> 10) & 0x1F;
  const uint32_t mantissa = half & 0x3FF;
  // The exponent's bias is 15 in a half and 127 in a float. Infinite and NaN
  // have all exponent bits set in both.
  const uint32_t bias = exponent == 0x1F ? 255 - 31 : 127 - 15;
  const uint32_t normal = ((exponent + bias) << 23) | (mantissa << 13);
  // Denormal halves are multiples of 2^-24, and normal as floats.
  const uint32_t denormal =
      std::bit_cast<uint32_t>(static_cast<float>(mantissa) * 0x1p-24f);
  // A mask, because compilers vectorise it, but not a branch.
  const uint32_t is_denormal = 0u - uint32_t{exponent == 0};
  return std::bit_cast<float>(sign | (denormal & is_denormal) |
                              (normal & ~is_denormal));
}

inline uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  uint32_t half;
  if (magnitude > 0x7F800000) {  // NaN
    half = 0x7E00 | ((magnitude >> 13) & 0x3FF);
  } else if (magnitude >= 0x47800000) {  // at least 2^16
    half = 0x7C00;
  } else if (magnitude >= 0x38800000) {  // at least 2^-14: normal
    // Rounds as in FloatToBF16. From 65520 on, the carry makes it infinite.
    const uint32_t rounded = magnitude + 0xFFF + ((magnitude >> 13) & 1);
    half = (rounded >> 13) - ((127 - 15) << 10);
  } else {
    // Floats from 0.5 to 1 are 2^-24 apart, like denormal halves, so the sum is
    // rounded correctly and its mantissa is the half.
    const float sum = std::bit_cast<float>(magnitude) + 0.5f;
    half = std::bit_cast<uint32_t>(sum) - std::bit_cast<uint32_t>(0.5f);
  }
  return static_cast<uint16_t>(sign | half);
}

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_HALF_H_

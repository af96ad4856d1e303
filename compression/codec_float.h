// Formats without blocks: each value stands alone, little-endian.
//   F64     bytes 0..7    IEEE double, rounded to the nearest single (ties to
//                         even; infinite if it is too large)
//   F32     bytes 0..3    IEEE single
//   F16     bytes 0..1    IEEE half
//   BF16    bytes 0..1    upper half of an IEEE single
// Values need no alignment.

#ifndef GEMMA_COMPRESSION_CODEC_FLOAT_H_
#define GEMMA_COMPRESSION_CODEC_FLOAT_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compression/codec_bytes.h"
#include "compression/format.h"
#include "compression/half.h"

namespace gemma::internal {

struct F64 {
  static constexpr size_t kBlockValues = BlockValues(Format::kF64);  // 1
  static constexpr size_t kBlockBytes = BlockBytes(Format::kF64);    // 8

  static float Decode(const uint8_t* value) {
    return static_cast<float>(std::bit_cast<double>(ReadU64(value)));
  }
};

struct F32 {
  static constexpr size_t kBlockValues = BlockValues(Format::kF32);  // 1
  static constexpr size_t kBlockBytes = BlockBytes(Format::kF32);    // 4

  static float Decode(const uint8_t* value) {
    return std::bit_cast<float>(ReadU32(value));
  }
  static void Encode(float value, uint8_t* to) {
    std::memcpy(to, &value, sizeof(value));
  }
};

struct F16 {
  static constexpr size_t kBlockValues = BlockValues(Format::kF16);  // 1
  static constexpr size_t kBlockBytes = BlockBytes(Format::kF16);    // 2

  static float Decode(const uint8_t* value) { return ReadHalf(value); }
  static void Encode(float value, uint8_t* to) {
    WriteU16(FloatToHalf(std::clamp(value, -kLargest, kLargest)), to);
  }
  static constexpr float kLargest = 65504.0f;
};

struct BF16 {
  static constexpr size_t kBlockValues = BlockValues(Format::kBF16);  // 1
  static constexpr size_t kBlockBytes = BlockBytes(Format::kBF16);    // 2

  static float Decode(const uint8_t* value) {
    return BF16ToFloat(ReadU16(value));
  }
  static void Encode(float value, uint8_t* to) {
    WriteU16(FloatToBF16(std::clamp(value, -kLargest, kLargest)), to);
  }
  static constexpr float kLargest = 0x1.FEp127f;
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_FLOAT_H_

// GGUF IQ4_NL. A block is 18 bytes and holds 32 values (4.5 bits each):
//   bytes 0..1     scale, half
//   bytes 2..17    q: byte i holds q[i] in its low half, q[16 + i] in its high
//   value[i] = scale * kIQ4Levels[q[i]]
//
// GGUF IQ4_XS. A block is 136 bytes and holds 256 values (4.25 bits each):
//   bytes 0..1     scale, half
//   bytes 2..3     uint16: its bits 2 * k and 2 * k + 1 are bits 4..5 of s[k]
//   bytes 4..7     low four bits of s: byte k of these holds those of s[2 * k]
//                  in its low half, those of s[2 * k + 1] in its high half
//   bytes 8..135   16 bytes for each s, as q above
//   value[i] = scale * (s[i / 32] - 32) * kIQ4Levels[q[i]]

#ifndef GEMMA_COMPRESSION_CODEC_IQ4_H_
#define GEMMA_COMPRESSION_CODEC_IQ4_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "compression/codec_bytes.h"
#include "compression/fit_groups.h"
#include "compression/format.h"

namespace gemma::internal {

// Maps each byte of q to the code of its low half and, above it, the code of
// its high half: looking up both at once is twice as fast.
inline constexpr std::array<uint16_t, 256> kIQ4Pairs = [] {
  std::array<uint16_t, 256> pairs{};
  for (size_t byte = 0; byte < pairs.size(); ++byte) {
    const uint8_t low = static_cast<uint8_t>(kIQ4Levels[byte & 0xF]);
    const uint8_t high = static_cast<uint8_t>(kIQ4Levels[byte >> 4]);
    pairs[byte] = static_cast<uint16_t>(low | (high << 8));
  }
  return pairs;
}();

// Writes the 32 codes that 16 bytes of q hold.
inline void UnpackIQ4Codes(const uint8_t* __restrict q,
                           int8_t* __restrict codes) {
  uint16_t pairs[16];
  for (size_t i = 0; i < 16; ++i) pairs[i] = kIQ4Pairs[q[i]];
  for (size_t i = 0; i < 16; ++i) {
    codes[i] = static_cast<int8_t>(pairs[i] & 0xFF);
    codes[16 + i] = static_cast<int8_t>(pairs[i] >> 8);
  }
}

struct IQ4_NL {
  static constexpr size_t kBlockValues = BlockValues(Format::kIQ4_NL);  // 32
  static constexpr size_t kBlockBytes = BlockBytes(Format::kIQ4_NL);    // 18
  static constexpr size_t kScaleValues = 32;
  static constexpr bool kHasOffset = false;
  static constexpr size_t kNibbles = 2;  // as in Q4_0; indices of kIQ4Levels

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    scales[0] = ReadHalf(block);
    offsets[0] = 0.0f;
    UnpackIQ4Codes(block + 2, codes);
  }

  static Levels MakeLevels() { return Levels(kIQ4Levels); }

  static void Pack(const uint8_t* __restrict codes, uint16_t scale,
                   uint8_t* __restrict block) {
    WriteU16(scale, block);
    PackNibbles<16>(codes, block + kNibbles);
  }
};

struct IQ4_XS {
  static constexpr size_t kBlockValues = BlockValues(Format::kIQ4_XS);  // 256
  static constexpr size_t kBlockBytes = BlockBytes(Format::kIQ4_XS);    // 136
  static constexpr size_t kScaleValues = 32;
  static constexpr bool kHasOffset = false;

  static SuperScales Scales(const uint8_t* block) {
    SuperScales scales;
    scales.unit = ReadU16(block);
    const int high_bits = ReadU16(block + 2);
    for (size_t k = 0; k < 8; ++k) {
      const int low = (block[4 + k / 2] >> (4 * (k % 2))) & 0xF;
      const int high = (high_bits >> (2 * k)) & 3;
      scales.s[k] = static_cast<int8_t>((low | (high << 4)) - 32);
    }
    return scales;
  }

  static void Unpack(const uint8_t* __restrict block, int8_t* __restrict codes,
                     float* __restrict scales, float* __restrict offsets) {
    MultiplyOut(Scales(block), 8, scales, offsets);
    for (size_t k = 0; k < 8; ++k) {
      UnpackIQ4Codes(block + 8 + 16 * k, codes + 32 * k);
    }
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_IQ4_H_

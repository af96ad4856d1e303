// The code that codecs share: little-endian numbers that need no alignment,
// bytes split into halves, and arithmetic on the eight bytes of a word at once.

#ifndef GEMMA_COMPRESSION_CODEC_BYTES_H_
#define GEMMA_COMPRESSION_CODEC_BYTES_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compression/half.h"

namespace gemma::internal {

static_assert(std::endian::native == std::endian::little,
              "The file formats are little-endian, and read as they are.");

inline uint16_t ReadU16(const uint8_t* from) {
  uint16_t value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

inline uint32_t ReadU32(const uint8_t* from) {
  uint32_t value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

inline uint64_t ReadU64(const uint8_t* from) {
  uint64_t value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

inline float ReadHalf(const uint8_t* from) {
  return HalfToFloat(ReadU16(from));
}

inline void WriteU16(uint16_t value, uint8_t* to) {
  std::memcpy(to, &value, sizeof(value));
}

// The scales of a block of 256 values, as whole numbers of a unit:
//   scale[i] = unit * s[i], offset[i] = -(offset_unit * m[i])
// Both products are exact in float.
struct SuperScales {
  uint16_t unit = 0;         // half
  uint16_t offset_unit = 0;  // half
  int8_t s[16] = {};
  int8_t m[16] = {};
};

// Multiplies the first `size` scales and offsets by their units.
inline void MultiplyOut(const SuperScales& from, size_t size,
                        float* __restrict scales, float* __restrict offsets) {
  const float unit = HalfToFloat(from.unit);
  const float offset_unit = HalfToFloat(from.offset_unit);
  for (size_t i = 0; i < size; ++i) {
    scales[i] = unit * static_cast<float>(from.s[i]);
    offsets[i] = -(offset_unit * static_cast<float>(from.m[i]));
  }
}

// Splits `size` bytes into codes: the low halves of all, then the high halves.
template <size_t size>
inline void UnpackNibbles(const uint8_t* __restrict bytes,
                          int8_t* __restrict codes) {
  for (size_t i = 0; i < size; ++i) {
    codes[i] = static_cast<int8_t>(bytes[i] & 0xF);
    codes[size + i] = static_cast<int8_t>(bytes[i] >> 4);
  }
}

// The inverse of UnpackNibbles. Only the low four bits of codes count.
template <size_t size>
inline void PackNibbles(const uint8_t* __restrict codes,
                        uint8_t* __restrict bytes) {
  for (size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<uint8_t>((codes[i] & 0xF) | (codes[size + i] << 4));
  }
}

// Returns the word whose bytes are all `byte`.
constexpr uint64_t EachByte(uint8_t byte) {
  return byte * uint64_t{0x0101010101010101};
}

// Returns the word whose byte i is 1 if bit i of `bits` is set, else 0.
constexpr uint64_t SpreadBits(uint8_t bits) {
  // Byte i keeps only bit i. Adding 127 then carries it to the top of the byte.
  const uint64_t kept = EachByte(bits) & 0x8040201008040201;
  return ((kept + EachByte(0x7F)) >> 7) & EachByte(1);
}

// Writes the eight bytes of a word minus `amount`. All are below 128.
inline void WriteCodes(uint64_t bytes, uint8_t amount, int8_t* codes) {
  // The top bits stop borrows. Flipped back, they are the signs.
  constexpr uint64_t kTop = EachByte(0x80);
  const uint64_t word = ((bytes | kTop) - EachByte(amount)) ^ kTop;
  std::memcpy(codes, &word, sizeof(word));
}

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_BYTES_H_

// NUQ, gemma.cpp's non-uniform quantization. A block is 144 bytes and holds 256
// values (4.5 bits each):
//   bytes 0..15    table: 16 values in SFP, see codec_sfp.h
//   bytes 16..143  256 codes of 4 bits, the even ones in the low halves
//   value[i] = table[code[i]]
// Files divide a tensor into blocks regardless of its rows, and the last block
// may be partial; src/formats/tensor_values.h handles such tensors.

#ifndef GEMMA_COMPRESSION_CODEC_NUQ_H_
#define GEMMA_COMPRESSION_CODEC_NUQ_H_

#include <cstddef>
#include <cstdint>

#include "compression/codec_sfp.h"
#include "compression/format.h"

namespace gemma::internal {

struct NUQ {
  static constexpr size_t kBlockValues = BlockValues(Format::kNUQ);  // 256
  static constexpr size_t kBlockBytes = BlockBytes(Format::kNUQ);    // 144
  static constexpr size_t kTableBytes = 16;

  // Returns the table's entry for value `i`, whose code lies in codes[i / 2].
  static uint8_t ToSfp(const uint8_t* table, const uint8_t* codes, size_t i) {
    return table[(codes[i / 2] >> (i % 2 * 4)) & 0xF];
  }

  static void UnpackBF16(const uint8_t* block, uint16_t* values) {
    uint16_t table[kTableBytes];
    for (size_t i = 0; i < kTableBytes; ++i) table[i] = SFP::ToBF16(block[i]);
    const uint8_t* codes = block + kTableBytes;
    for (size_t i = 0; i < kBlockValues; i += 2) {
      values[i] = table[codes[i / 2] & 0xF];
      values[i + 1] = table[codes[i / 2] >> 4];
    }
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_CODEC_NUQ_H_

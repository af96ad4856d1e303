// Random packed matrices.

#ifndef GEMMA_TESTS_SUPPORT_TEST_MATRIX_H_
#define GEMMA_TESTS_SUPPORT_TEST_MATRIX_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "compression/codec.h"
#include "compression/pack.h"
#include "compression/weight_view.h"
#include "ops/aligned_buffer.h"
#include "tests/support/near.h"

namespace gemma::internal {

inline constexpr Format kAllFormats[] = {
#define GEMMA_TEST_FORMAT(name, ...) Format::name,
    GEMMA_FORMATS(GEMMA_TEST_FORMAT)
#undef GEMMA_TEST_FORMAT
};

// Returns the offsets of halves in a block of the file.
inline std::vector<size_t> HalvesOf(Format format) {
  switch (format) {
    case Format::kQ4_1:
    case Format::kQ5_1:
    case Format::kQ4_K:
    case Format::kQ5_K:
      return {0, 2};
    case Format::kQ2_K:
      return {80, 82};
    case Format::kQ3_K:
      return {108};
    case Format::kQ6_K:
      return {208};
    case Format::kMXFP4:
    case Format::kNVFP4:
      return {};
    default:
      return {0};
  }
}

// A matrix of random bytes with moderate scales, its packed form, and its
// values.
struct TestMatrix {
  // If `byte` is not negative, all bytes of codes have this value.
  TestMatrix(Format format, size_t rows, size_t cols, uint64_t seed,
             int byte = -1) {
    WeightView view = {format, rows, cols, nullptr};
    std::mt19937_64 random(seed);
    bytes.resize(rows * view.RowBytes());
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(random());
    // Clears a bit of every exponent, in halves and bfloat16s, so that no
    // number is infinite.
    for (uint8_t& b : bytes) b &= 0xBF;
    if (byte >= 0 && BlockValues(format) != 1) FillCodes(view, byte);
    if (format == Format::kF32) {
      const std::vector<float> from = RandomVector(rows * cols, seed);
      std::memcpy(bytes.data(), from.data(), bytes.size());
    }
    view.data = bytes.data();
    const size_t size = PackedBytes(format, rows, cols);
    memory = AlignedBuffer::Allocate(size);
    packed = {LayoutOf(format), rows, cols, memory.data()};
    PackPanels(view, packed.layout, 0, packed.NumPanels(), memory.data());
    values.resize(rows * cols);
    for (size_t row = 0; row < rows; ++row) {
      DecodeRow(view, row, values.data() + row * cols);
    }
  }

  // Sets every byte to `byte`, except that scales that are halves, those of
  // MXFP4, and units are 1.
  void FillCodes(const WeightView& view, int byte) {
    std::fill(bytes.begin(), bytes.end(), static_cast<uint8_t>(byte));
    const size_t unit_bytes = RowUnitBytes(view.format);
    for (size_t row = 0; row < view.rows; ++row) {
      const size_t end = (row + 1) * view.RowBytes() - unit_bytes;
      if (unit_bytes != 0) {
        bytes[end] = 0x80;
        bytes[end + 1] = 0x3F;
        continue;
      }
      for (size_t at = row * view.RowBytes(); at < end;
           at += BlockBytes(view.format)) {
        for (const size_t half : HalvesOf(view.format)) {
          bytes[at + half] = 0x00;
          bytes[at + half + 1] = 0x3C;
        }
        if (view.format == Format::kMXFP4) bytes[at] = 0x80;
      }
    }
  }

  std::vector<uint8_t> bytes;
  AlignedBuffer memory;
  PackedView packed;
  std::vector<float> values;
};

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_TEST_MATRIX_H_

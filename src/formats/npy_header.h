// The header of NumPy's array files:
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
// The file is not trusted.

#ifndef GEMMA_SRC_FORMATS_NPY_HEADER_H_
#define GEMMA_SRC_FORMATS_NPY_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace gemma::internal {

enum class NpyType { kFloat16, kFloat32, kFloat64, kInt32, kInt64 };

size_t NpyTypeBytes(NpyType type);
std::string_view NpyTypeName(NpyType type);
inline bool IsFloat(NpyType type) { return type <= NpyType::kFloat64; }

// An array in C order and little-endian. Other arrays are errors.
struct NpyHeader {
  NpyType type = NpyType::kFloat32;
  std::vector<uint64_t> shape;  // outermost first
  uint64_t num_values = 1;      // product of the shape
  uint64_t data_bytes = 0;      // does not overflow, nor does num_values
};

// Returns the shape as "[1, 37, 256]".
std::string ShapeText(const NpyHeader& header);

// The first bytes of an array file.
inline constexpr std::string_view kNpyMagic = "\x93NUMPY";
// The bytes before the header's text: the magic, the version, and the size of
// the text in 2 bytes (version 1) or the lower 2 of 4 (versions 2 and 3).
inline constexpr size_t kNpyPrefixBytes = 10;
// Returns the bytes that follow `prefix` [kNpyPrefixBytes] up to the data: the
// text, and the upper 2 bytes of the size in versions 2 and 3. Fails above 64
// KiB.
absl::StatusOr<size_t> NpyHeaderBytes(absl::Span<const uint8_t> prefix);

// Parses the text: a Python dictionary with descr, fortran_order and shape.
absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view text);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_NPY_HEADER_H_

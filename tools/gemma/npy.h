// NumPy's array files: https://numpy.org/doc/stable/reference/generated/
// numpy.lib.format.html

#ifndef GEMMA_TOOLS_GEMMA_NPY_H_
#define GEMMA_TOOLS_GEMMA_NPY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tools/gemma/files.h"

namespace gemma::tools {

enum class NpyType { kFloat32, kInt32, kInt64 };

size_t NpyTypeBytes(NpyType type);
std::string_view NpyTypeName(NpyType type);

// An array in C order and little-endian; no other is read.
struct NpyHeader {
  NpyType type = NpyType::kFloat32;
  std::vector<uint64_t> shape;  // outermost first
  uint64_t num_values = 1;      // product of the shape
  uint64_t data_bytes = 0;      // neither of them overflows
};

// "[1, 37, 256]".
std::string ShapeText(const NpyHeader& header);

// What precedes the header's text: "\x93NUMPY", the version, and the size of
// the text in 2 bytes (version 1) or 4 (versions 2 and 3).
inline constexpr size_t kNpyPrefixBytes = 10;
// How many bytes of text follow `prefix` [kNpyPrefixBytes], including those of
// version 2's longer size: at most 64 KiB, or an error.
absl::StatusOr<size_t> NpyHeaderBytes(absl::Span<const uint8_t> prefix);

// Reads the text: a Python dictionary with descr, fortran_order and shape.
absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view text);

// Writes a float32 matrix row by row. The file appears when it is complete.
class NpyWriter {
 public:
  static absl::StatusOr<NpyWriter> Create(const std::string& path, size_t rows,
                                          size_t cols);

  // `values`: whole rows, [n, cols].
  absl::Status Append(absl::Span<const float> values);

  // Fails if rows are missing.
  absl::Status Finish();

 private:
  NpyWriter(OutputFile file, uint64_t values_left)
      : file_(std::move(file)), values_left_(values_left) {}

  OutputFile file_;
  uint64_t values_left_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_NPY_H_

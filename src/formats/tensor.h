// Tensors as files store them.

#ifndef GEMMA_SRC_FORMATS_TENSOR_H_
#define GEMMA_SRC_FORMATS_TENSOR_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "compression/format.h"
#include "compression/weight_view.h"
#include "src/base/hash_table.h"

namespace gemma::internal {

// Limits on what a file may contain.
inline constexpr size_t kMaxTensors = 65536;
inline constexpr size_t kMaxTensorNameBytes = 256;

// Scales that a file stores in a tensor of their own. They form a grid; scale
// (i, j) multiplies the values in rows [i * block_rows, (i + 1) * block_rows)
// and in columns likewise. The code that makes it has checked that the grid
// covers the matrix and lies in the mapped file. A product is rounded to
// float32, then to the format of the scales if `rounds_products`, then to the
// tensor's format, which is F32, F16 or BF16.
struct ScaleGrid {
  Format format = Format::kF32;  // F32, F16 or BF16
  const uint8_t* data = nullptr;
  size_t cols = 1;
  size_t block_rows = 1;
  size_t block_cols = 1;
  bool rounds_products = false;
};

// The place of a tensor's values, if the file does not store them in the order
// of format and shape. Value (i, j, k) of `sizes` is `scale` times the value
// with the index
//   begin + i * steps[0] + j * steps[1] + k * steps[2]
// among the first `stored_values` of `Tensor::data`. The code that makes an
// arrangement has checked that all of them are inside the mapped file.
struct Arrangement {
  Format stored = Format::kF32;
  size_t stored_values = 0;
  size_t begin = 0;
  std::array<size_t, 3> sizes = {1, 1, 1};
  std::array<size_t, 3> steps = {0, 0, 1};
  float scale = 1.0f;
  bool tables_first = false;  // kNUQ: see src/formats/tensor_values.h
  // If set, the values are in order, in rows of whole blocks, and only `stored`
  // and this are used.
  std::optional<ScaleGrid> grid = std::nullopt;
};

// A tensor whose type is not read.
struct UnreadTensor {
  std::string file;
  std::string_view type;
};

// One tensor of a file. Without an arrangement, the reader has checked that
// `data` holds exactly the bytes that format and shape require, inside the
// mapped file.
struct Tensor {
  Format format = Format::kF32;
  // The layout of packed matrices, in our own files; see compression/layout.h.
  std::optional<Layout> packed;
  std::vector<size_t> shape;  // outermost first; no zeros
  const uint8_t* data = nullptr;
  size_t bytes = 0;  // in the file
  std::string file;  // path, for messages
  std::optional<Arrangement> arrangement;

  // Returns the type of the stored values.
  Format StoredFormat() const {
    return arrangement.has_value() ? arrangement->stored : format;
  }
  size_t NumValues() const {
    size_t n = 1;
    for (size_t size : shape) n *= size;  // cannot overflow: the reader checked
    return n;
  }
};

// Returns the tensor as a matrix with rows of the innermost size. The matrix
// has no data if the tensor has an arrangement; see TensorValues.
WeightView RowsOf(const Tensor& tensor);

// Returns the values as float32. Fails if memory runs out.
absl::StatusOr<std::vector<float>> Decode(const Tensor& tensor);

// The tensors of all files of a checkpoint, by the name the files give them.
using TensorTable = HashMap<std::string, Tensor>;

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_TENSOR_H_

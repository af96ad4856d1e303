// Tensors as they lie in files.

#ifndef GEMMA_SRC_FORMATS_TENSOR_H_
#define GEMMA_SRC_FORMATS_TENSOR_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compression/format.h"
#include "compression/weight_view.h"
#include "src/base/hash_table.h"

namespace gemma {

// Where a tensor's values are, if they do not lie in its file as its format and
// shape say: value (i, j, k) of `sizes` is number
//   begin + i * steps[0] + j * steps[1] + k * steps[2]
// of `stored_values` that `Tensor::data` begins with, times `scale`. Whoever
// makes one has checked that all of them are inside the mapped file.
struct Arrangement {
  Format stored = Format::kF32;
  size_t stored_values = 0;
  size_t begin = 0;
  std::array<size_t, 3> sizes = {1, 1, 1};
  std::array<size_t, 3> steps = {0, 0, 1};
  float scale = 1.0f;
  bool tables_first = false;  // kNUQ: see src/formats/tensor_values.h
};

// One tensor of a file. The reader has checked that `data` holds exactly the
// bytes that format and shape say, inside the mapped file, unless there is an
// arrangement.
struct Tensor {
  Format format = Format::kF32;
  // What matrices are packed for, of our own files; see compression/layout.h.
  std::optional<Layout> packed;
  std::vector<size_t> shape;  // outermost first; no size is zero
  const uint8_t* data = nullptr;
  size_t bytes = 0;  // in the file
  std::string file;  // path, for messages
  std::optional<Arrangement> arrangement;

  // The type that the file gives it.
  Format StoredFormat() const {
    return arrangement.has_value() ? arrangement->stored : format;
  }
  size_t NumValues() const {
    size_t n = 1;
    for (size_t size : shape) n *= size;  // checked by the reader
    return n;
  }
};

// The tensor as a matrix, whose rows are the innermost size; without data if it
// has an arrangement, see TensorValues.
WeightView RowsOf(const Tensor& tensor);

// Its values, in float32. Fails if there is no memory for them.
absl::StatusOr<std::vector<float>> Decode(const Tensor& tensor);

// The tensors of all files of a checkpoint, by the name the files give them.
using TensorTable = HashMap<std::string, Tensor>;

}  // namespace gemma

#endif  // GEMMA_SRC_FORMATS_TENSOR_H_

// Tensors as they lie in files.

#ifndef GEMMA_SRC_FORMATS_TENSOR_H_
#define GEMMA_SRC_FORMATS_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "compression/format.h"
#include "compression/weight_view.h"

namespace gemma {

// One tensor of a file. The reader has checked that `data` holds exactly the
// bytes that format and shape say, inside the mapped file.
struct Tensor {
  Format format = Format::kF32;
  // What matrices are packed for, of our own files; see compression/layout.h.
  std::optional<Layout> packed;
  std::vector<size_t> shape;  // outermost first; no size is zero
  const uint8_t* data = nullptr;
  size_t bytes = 0;
  std::string file;  // path, for messages

  size_t NumValues() const {
    size_t n = 1;
    for (size_t size : shape) n *= size;  // checked by the reader
    return n;
  }
};

// The tensor as a matrix, whose rows are the innermost size.
WeightView RowsOf(const Tensor& tensor);

// Its values, in float32.
std::vector<float> Decode(const Tensor& tensor);

// The tensors of all files of a checkpoint, by the name the files give them.
using TensorTable = absl::flat_hash_map<std::string, Tensor>;

}  // namespace gemma

#endif  // GEMMA_SRC_FORMATS_TENSOR_H_

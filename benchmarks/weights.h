// Packed random weights that are larger than caches.

#ifndef GEMMA_BENCHMARKS_WEIGHTS_H_
#define GEMMA_BENCHMARKS_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "compression/weight_view.h"
#include "ops/aligned_buffer.h"

namespace gemma::internal {

inline constexpr Format kAllFormats[] = {
#define GEMMA_BENCHMARKS_FORMAT(name, ...) Format::name,
    GEMMA_FORMATS(GEMMA_BENCHMARKS_FORMAT)
#undef GEMMA_BENCHMARKS_FORMAT
};

// A matrix of a model.
struct MatrixShape {
  const char* name;
  size_t rows;
  size_t cols;
};

// Returns whether rows of this shape are whole blocks of the format.
inline bool Fits(Format format, const MatrixShape& shape) {
  return shape.cols % BlockValues(format) == 0;
}

// One random matrix, packed and copied until the copies together are larger
// than BytesBeyondCaches(). A benchmark that uses them in turn reads each from
// memory, as decoding does with the weights of a model.
class WeightCopies {
 public:
  WeightCopies(Format format, size_t rows, size_t cols);

  // Returns copy `i` modulo the number of copies.
  PackedView operator[](size_t i) const;

  // Returns the matrix as a file holds it.
  const WeightView& file() const { return file_; }

  // Returns the bytes of one copy.
  size_t bytes() const { return copy_bytes_; }

 private:
  std::vector<uint8_t> file_bytes_;
  WeightView file_;
  size_t copy_bytes_ = 0;
  size_t stride_ = 0;
  size_t num_copies_ = 0;
  AlignedBuffer memory_;
};

// Returns the copies of a shape. They are kept until another shape is
// requested, because Google Benchmark calls each function several times.
const WeightCopies& GetWeights(Format format, size_t rows, size_t cols);

}  // namespace gemma::internal

#endif  // GEMMA_BENCHMARKS_WEIGHTS_H_

// A view of a row-major matrix. Owns nothing.

#ifndef GEMMA_OPS_MATRIX_VIEW_H_
#define GEMMA_OPS_MATRIX_VIEW_H_

#include <cstddef>
#include <span>
#include <type_traits>

namespace gemma::internal {

template <class T>
struct MatrixView {
  T* data = nullptr;
  size_t rows = 0;
  size_t cols = 0;
  size_t stride = 0;  // values from one row to the next, at least cols

  MatrixView() = default;
  MatrixView(T* data, size_t rows, size_t cols, size_t stride)
      : data(data), rows(rows), cols(cols), stride(stride) {}
  MatrixView(T* data, size_t rows, size_t cols)
      : MatrixView(data, rows, cols, cols) {}
  // A writable view converts to a read-only view.
  operator MatrixView<const T>() const requires(!std::is_const_v<T>) {
    return {data, rows, cols, stride};
  }

  std::span<T> Row(size_t row) const { return {data + row * stride, cols}; }

  // Rows [begin, begin + count).
  MatrixView Rows(size_t begin, size_t count) const {
    return {data + begin * stride, count, cols, stride};
  }

  // Columns [begin, begin + count).
  MatrixView Cols(size_t begin, size_t count) const {
    return {data + begin, rows, count, stride};
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_OPS_MATRIX_VIEW_H_

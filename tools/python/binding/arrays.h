// NumPy arrays of float32 that own their memory.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_ARRAYS_H_
#define GEMMA_TOOLS_PYTHON_BINDING_ARRAYS_H_

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <initializer_list>
#include <vector>

namespace gemma::python {

using FloatArray = nanobind::ndarray<nanobind::numpy, float, nanobind::c_contig,
                                     nanobind::device::cpu>;
using IndexArray = nanobind::ndarray<nanobind::numpy, size_t, nanobind::ndim<1>,
                                     nanobind::c_contig, nanobind::device::cpu>;
// Arguments: rows of values, and one row of values. Other types of numbers are
// converted.
using MatrixArgument =
    nanobind::ndarray<const float, nanobind::ndim<2>, nanobind::c_contig,
                      nanobind::device::cpu>;
using RowArgument =
    nanobind::ndarray<const float, nanobind::ndim<1>, nanobind::c_contig,
                      nanobind::device::cpu>;

// Returns an array of this shape that owns `values`. Needs the GIL.
template <class Array, class Value>
Array OwnedArray(std::vector<Value> values,
                 std::initializer_list<size_t> shape) {
  values.reserve(1);  // so that an empty array has an address, too
  auto* owned = new std::vector<Value>(std::move(values));
  nanobind::capsule owner(owned, [](void* memory) noexcept {
    delete static_cast<std::vector<Value>*>(memory);
  });
  return Array(owned->data(), shape, owner);
}

// Returns the array [values.size()] or of the given shape.
inline FloatArray Floats(std::vector<float> values) {
  const size_t size = values.size();
  return OwnedArray<FloatArray>(std::move(values), {size});
}
inline FloatArray Floats(std::vector<float> values, size_t rows,
                         size_t columns) {
  return OwnedArray<FloatArray>(std::move(values), {rows, columns});
}

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_ARRAYS_H_

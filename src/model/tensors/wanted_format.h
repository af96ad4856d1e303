// Selects the format that a matrix of weights is converted to.

#ifndef GEMMA_SRC_MODEL_TENSORS_WANTED_FORMAT_H_
#define GEMMA_SRC_MODEL_TENSORS_WANTED_FORMAT_H_

#include <cstddef>

#include "absl/status/status.h"
#include "compression/weight_view.h"
#include "gemma/weight_type.h"
#include "src/formats/tensor.h"
#include "src/model/tensors/outline.h"

namespace gemma::internal {

// Bits for each value of a matrix in the format.
double BitsPerWeight(Format format, size_t cols);

// The format, in memory and in files that we write, that keeps all values of
// `format`: bfloat16 for gemma.cpp's formats and for floats of one byte,
// float32 for F64, otherwise `format` itself.
Format KeptFormat(Format format);

// Whether w was trained for Q4_0: whether Q4_0 holds all of its values, up to
// rounding to bfloat16. Checks some of the rows. False if w.data is null.
bool IsTrainedForQ4_0(const WeightView& w);

// The format of `type` for w, in memory and in our own files. If w's own format
// needs no more bits, it is kept (see KeptFormat). Rows that do not consist of
// whole blocks become bfloat16. If w.data is null, assumes that w was not
// trained for Q4_0.
Format WantedFormat(WeightType type, const WeightView& w);

// The error that a packed tensor cannot be converted, because it no longer has
// rows. InvalidArgument.
absl::Status PackedAlready(const Tensor& tensor);

// Returns PackedAlready if the weight is a packed matrix that `type` would
// change. A matrix that adapters change is unpacked anyway.
absl::Status CheckStays(const BoundWeight& weight, WeightType type);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_TENSORS_WANTED_FORMAT_H_

// Which format a matrix of weights becomes.

#ifndef GEMMA_SRC_MODEL_WANTED_FORMAT_H_
#define GEMMA_SRC_MODEL_WANTED_FORMAT_H_

#include <cstddef>

#include "absl/status/status.h"
#include "compression/weight_view.h"
#include "gemma/weight_type.h"
#include "src/formats/tensor.h"
#include "src/model/outline.h"

namespace gemma {

// Bits that each of a matrix's values takes in the format.
double BitsPerWeight(Format format, size_t cols);

// What keeps all values of the format, in memory and in what we write: itself,
// or bfloat16 for gemma.cpp's.
Format KeptFormat(Format format);

// Whether Q4_0 holds all values of w, but for what a bfloat16 rounds off:
// whether it was trained for that format. Looks at some rows; false without
// w.data.
bool IsTrainedForQ4_0(const WeightView& w);

// The format of `type` for w, as our own files and memory have it; that which
// keeps its values if it takes no more bits. Rows that are no whole blocks
// become bfloat16. Without w.data, w was not trained for Q4_0.
Format WantedFormat(WeightType type, const WeightView& w);

// That a packed tensor cannot be changed, which is an error of the caller's:
// what was packed has lost its rows.
absl::Status PackedAlready(const Tensor& tensor);

// PackedAlready if the weight is a packed matrix that `type` would change.
absl::Status CheckStays(const BoundWeight& weight, WeightType type);

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_WANTED_FORMAT_H_

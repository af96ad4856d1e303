// Which format each weight of a file gets.

#ifndef GEMMA_SRC_QUANTIZE_CHOOSE_FORMAT_H_
#define GEMMA_SRC_QUANTIZE_CHOOSE_FORMAT_H_

#include "compression/format.h"
#include "gemma/quantize.h"
#include "src/formats/tensor.h"
#include "src/model/weight_list.h"

namespace gemma {

// Float32 for what is no matrix; else what the options ask for, or something
// larger where its blocks do not divide rows, or the tensor's own format if
// that takes no more bits.
Format ChooseFormat(const WeightSpec& spec, const Tensor& tensor,
                    const QuantizeOptions& options);

}  // namespace gemma

#endif  // GEMMA_SRC_QUANTIZE_CHOOSE_FORMAT_H_

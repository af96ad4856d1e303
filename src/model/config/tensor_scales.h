// Scales that a file stores in tensors of their own, beside the values that
// they multiply.
//
// Hugging Face directories with weights in F8_E4M3 or F8_E5M2. config.json's
// quantization_config says what the scales are; two methods are read, in the
// forms that transformers 5 writes and dequantizes:
//   "fp8"                 NAME.weight_scale_inv, one scale for each block of
//                         weight_block_size, or for the matrix
//   "compressed-tensors"  NAME.weight_scale, one for the matrix, each row, each
//                         group of columns or each block, of groups whose
//                         weights are symmetric floats of 8 bits
// A value is code * scale, rounded as transformers' dequantize rounds it: to
// float32 for "fp8", to the type of the scales for "compressed-tensors", and
// then to the type that config.json names (dtype). Activations that are rounded
// dynamically are not rounded here. Without a quantization_config, values are
// the codes, exactly.
//
// GGUF files: NAME.scale, one float that multiplies NAME.weight, as llama.cpp
// stores the second scale of NVFP4 matrices. The products are float32.

#ifndef GEMMA_SRC_MODEL_CONFIG_TENSOR_SCALES_H_
#define GEMMA_SRC_MODEL_CONFIG_TENSOR_SCALES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compression/format.h"
#include "src/base/json.h"
#include "src/formats/checkpoint.h"

namespace gemma::internal {

// Whether a quantization_config names one of the methods that are read. An
// error if it names one in a form that is not, for instance with integer
// weights.
absl::StatusOr<bool> NamesReadScales(const Json& quantization_config);

// Gives `tensor`, the tensor `name` of the checkpoint, an arrangement if it has
// scales. A second call changes nothing. Scales that are not understood are
// errors that name the tensor or the field of config.json.
absl::Status BindScales(const Checkpoint& checkpoint, const std::string& name,
                        Tensor& tensor);

// Returns the format in which the model computes with the values of an
// embedding table: its own, or for floats of one byte that of the
// configuration's dtype.
absl::StatusOr<Format> TableFormat(const Checkpoint& checkpoint,
                                   const Tensor& table);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_TENSOR_SCALES_H_

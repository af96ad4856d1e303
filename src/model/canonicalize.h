// Makes containers alike: the only place that knows how they differ in what a
// tensor's values mean.

#ifndef GEMMA_SRC_MODEL_CANONICALIZE_H_
#define GEMMA_SRC_MODEL_CANONICALIZE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "compression/weight_view.h"
#include "gemma/model_config.h"
#include "src/model/conventions.h"

namespace gemma {

// Norm weights as they multiply.
void CanonicalizeNorm(const Conventions& conventions,
                      std::vector<float>& weight);

// [channels, taps] as stored, to [taps, channels].
std::vector<float> TransposeConv(const std::vector<float>& weight, size_t taps);

// -8 softplus(a_param), the RG-LRU's log a at a fully open recurrent gate
// (Griffin, arXiv 2402.19427, equation 3, with c = 8).
void CanonicalizeRecurrentParam(const Conventions& conventions,
                                std::vector<float>& a_param);

// Its inverse: a_param as GGUF and Hugging Face files store it, of what a file
// of these conventions stores.
void StoreRecurrentParam(const Conventions& conventions,
                         std::vector<float>& values);

// Rows of a gate's strip, stored [in, out], as float32 [out, in].
// `strip` is the view of one strip's `in` rows.
std::vector<float> TransposeGate(const WeightView& strip);

// sqrt(model_dim) as transformers rounds it: to the type of the embedding
// table, but to bfloat16 always in RecurrentGemma. Quantized tables stand for
// the float32 values that they dequantize to.
float EmbeddingScale(const ModelConfig& config, Format table);

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_CANONICALIZE_H_

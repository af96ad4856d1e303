// Converts tensor values of every container to one convention. No other file
// knows how containers differ in what a tensor's values mean.

#ifndef GEMMA_SRC_MODEL_TENSORS_CANONICALIZE_H_
#define GEMMA_SRC_MODEL_TENSORS_CANONICALIZE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "compression/weight_view.h"
#include "gemma/model_config.h"
#include "src/model/config/conventions.h"

namespace gemma::internal {

// Turns stored norm weights into the factors that multiply activations.
void CanonicalizeNorm(const Conventions& conventions,
                      std::vector<float>& weight);

// Transposes [channels, taps], as stored, to [taps, channels].
std::vector<float> TransposeConv(const std::vector<float>& weight, size_t taps);

// Converts to -8 softplus(a_param), the RG-LRU's log a at a fully open
// recurrent gate (Griffin, arXiv 2402.19427, equation 3, with c = 8).
void CanonicalizeRecurrentParam(const Conventions& conventions,
                                std::vector<float>& a_param);

// Converts values as a file of these conventions stores them to a_param, as
// GGUF and Hugging Face files store it.
void StoreRecurrentParam(const Conventions& conventions,
                         std::vector<float>& values);

// Transposes one strip of a gate, stored as `in` rows of [in, out], to float32
// [out, in].
std::vector<float> TransposeGate(const WeightView& strip);

// sqrt(model_dim) as transformers rounds it: to the type of the embedding
// table, or always to bfloat16 in RecurrentGemma. A quantized table counts as
// float32, the type that it dequantizes to.
float EmbeddingScale(const ModelConfig& config, Format table);

// sqrt(per_layer_dim), likewise: rounded to the type of the table of per-layer
// embeddings.
float PerLayerScale(const ModelConfig& config, Format table);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_TENSORS_CANONICALIZE_H_

// LoRA adapters: small matrices that change a model's large ones.

#ifndef GEMMA_ADAPTER_H_
#define GEMMA_ADAPTER_H_

#include <string>

namespace gemma {

// An adapter to merge into the weights of a model; see LoadOptions::adapters.
//
// For each matrix W [rows, cols] that it changes, an adapter holds B [rows, r]
// and A [r, cols], and the matrix becomes W + scale * alpha / r * B A (Hu et
// al., arXiv 2106.09685); with rank-stabilized adapters, alpha / sqrt(r)
// (Kalajdzievski, arXiv 2312.03732). Sums and products are float32.
//
// Several adapters add up. If the model's head is its embedding, an adapter of
// either changes both, as in PEFT's merge_and_unload.
//
// A changed matrix keeps its type if that is F32, F16 or BF16, and matrices in
// SFP and NUQ become BF16. One of blocks, such as Q4_0, becomes F32, because
// the sums are not values of its type. To save memory, choose another
// LoadOptions::quantize: it converts the sums.
struct Adapter {
  // A PEFT directory (adapter_config.json, adapter_model.safetensors), or a
  // GGUF file whose general.type is "adapter".
  std::string path;
  float scale = 1.0f;  // multiplies the adapter's own scale
};

}  // namespace gemma

#endif  // GEMMA_ADAPTER_H_

// The hyperparameters of a model.

#ifndef GEMMA_MODEL_CONFIG_H_
#define GEMMA_MODEL_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gemma/export.h"

namespace gemma {

// Index of a token in the vocabulary.
using TokenId = int32_t;

// What moves information between positions in one block.
enum class BlockType {
  kGlobalAttention,  // attends to every earlier position
  kLocalAttention,   // attends to the last `sliding_window` positions
  kRecurrent,        // RG-LRU (RecurrentGemma): a state of fixed size
};

// What becomes of a text's states after the last norm.
enum class Pooling {
  kNone,  // each gives the logits of the next token: a Session's model
  kMean,  // their mean is one vector for the text: an Embedder's model
};

// The hyperparameters of one model. Every field must be set: zero is invalid
// unless its comment gives zero a meaning.
struct ModelConfig {
  std::string architecture;   // "gemma", "gemma2", "gemma3", "recurrentgemma",
                              // "gemma-embedding"
  size_t model_dim = 0;       // width of the residual stream
  size_t ffw_dim = 0;         // width inside the gated feed-forward layer
  size_t num_heads = 0;       // query heads
  size_t num_kv_heads = 0;    // key/value heads; divides num_heads
  size_t head_dim = 0;        // num_heads * head_dim may differ from model_dim
  size_t vocab_size = 0;      // tokens
  size_t max_context = 0;     // positions the model was made for
  size_t sliding_window = 0;  // positions attended, the current one included;
                              // 0 if no block is kLocalAttention
  size_t rotary_dim = 0;      // leading values of a head that RoPE rotates
  size_t lru_width = 0;       // 0 if no block is kRecurrent
  size_t conv_width = 0;      // taps of the recurrent block's convolution,
                              // the current position included; 0 as above
  float rope_base_local = 0.0f;       // theta, e.g. 10000; Gemma 3 has two
  float rope_base_global = 0.0f;      // the same of global blocks
  float rope_factor_global = 1.0f;    // divides the global blocks' frequencies
  float embedding_scale = 0.0f;       // multiplies embeddings: sqrt(model_dim),
                                      // rounded as the reference rounds it
  float query_scale = 0.0f;           // multiplies q.k
  float rms_norm_eps = 0.0f;          // added to the mean of squares
  float attn_logits_soft_cap = 0.0f;  // 0: none, else cap * tanh(s / cap)
  float final_logits_soft_cap = 0.0f;  // as above
  bool post_norms = false;     // Gemma 2, 3: sub-block outputs are normalized
  bool qk_norm = false;        // Gemma 3: each head's q and k are normalized
  bool biases = false;         // RecurrentGemma: projections have biases
  bool bidirectional = false;  // EmbeddingGemma: attention also sees all later
                               // positions; local, as many as before
  std::vector<BlockType> blocks;  // one per layer

  Pooling pooling = Pooling::kNone;  // whether a text becomes one vector
  std::vector<size_t> dense_dims;    // widths that a pooled vector is projected
                                     // to, one after the other; may be empty

  TokenId bos_token = 2;                   // begins a text
  std::vector<TokenId> stop_tokens = {1};  // each ends a text

  // Blocks of the model.
  size_t num_layers() const { return blocks.size(); }
  // Width of a text's embedding, of a model that pools.
  size_t embedding_dim() const {
    return dense_dims.empty() ? model_dim : dense_dims.back();
  }
};

// Returns OK, or InvalidArgument naming the first pair of fields that disagree.
GEMMA_EXPORT absl::Status Validate(const ModelConfig& config);

}  // namespace gemma

#endif  // GEMMA_MODEL_CONFIG_H_

// The hyperparameters of a model.

#ifndef GEMMA_MODEL_CONFIG_H_
#define GEMMA_MODEL_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/export.h"

namespace gemma {

// Index of a token in the vocabulary.
using TokenId = int32_t;

// What moves information between positions in one block.
enum class BlockType {
  kGlobalAttention,  // attends to every earlier position
  kLocalAttention,   // attends to the layer's last `sliding_window` positions
  kRecurrent,        // RG-LRU (RecurrentGemma): a state of fixed size
};

// What becomes of a text's states after the last norm.
enum class Pooling {
  kNone,  // each gives the logits of the next token: a Session's model
  kMean,  // their mean is one vector for the text: an Embedder's model
};

// How a layer's queries and keys turn with their position: pair i of a head,
// its values i and i + rotary_dim / 2, by
//   position * base^(-2 i / rotary_dim) / factor   radians.
struct RopeConfig {
  size_t rotary_dim = 0;  // leading values of a head that form pairs; may be 0
  size_t num_rotating = 0;  // pairs that turn, the first of them; 0: all
  float base = 0.0f;        // theta, e.g. 10000
  float factor = 1.0f;      // divides the frequencies

  // Whether all fields are equal.
  friend bool operator==(const RopeConfig&, const RopeConfig&) = default;
};

// The hyperparameters that may differ between the layers of a model. Every
// field must be set: zero is invalid unless its comment gives zero a meaning.
struct LayerConfig {
  BlockType type = BlockType::kGlobalAttention;  // of the layer's mix
  size_t num_heads = 0;       // query heads; of kRecurrent, the strips of
                              // channels that have gates of their own
  size_t num_kv_heads = 0;    // key/value heads; divides num_heads
  size_t head_dim = 0;        // num_heads * head_dim may differ from model_dim
  size_t sliding_window = 0;  // positions attended, the current one included;
                              // unused unless kLocalAttention
  RopeConfig rope;            // unused by kRecurrent
  size_t ffw_dim = 0;         // width inside the gated feed-forward layer

  // What no model that is supported has yet: Validate refuses other values.
  size_t num_experts = 0;           // of a mixture; 0: none
  size_t experts_used = 0;          // by each token; 0: none
  size_t expert_dim = 0;            // width inside an expert; 0: none
  size_t per_layer_dim = 0;         // of the layer's own embeddings; 0: none
  std::optional<size_t> kv_source;  // the layer whose keys and values it reads;
                                    // none: its own

  size_t q_dim() const { return num_heads * head_dim; }      // of all queries
  size_t kv_dim() const { return num_kv_heads * head_dim; }  // of all keys

  // Whether all fields are equal.
  friend bool operator==(const LayerConfig&, const LayerConfig&) = default;
};

// The hyperparameters of one model. Every field must be set: zero is invalid
// unless its comment gives zero a meaning.
struct ModelConfig {
  std::string architecture;  // "gemma", "gemma2", "gemma3", "recurrentgemma",
                             // "gemma-embedding"
  size_t model_dim = 0;      // width of the residual stream
  size_t vocab_size = 0;     // tokens
  size_t max_context = 0;    // positions the model was made for
  size_t lru_width = 0;      // 0 if no block is kRecurrent
  size_t conv_width = 0;     // taps of the recurrent block's convolution,
                             // the current position included; 0 as above
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
  std::vector<LayerConfig> layers;  // from the first to the last

  Pooling pooling = Pooling::kNone;  // whether a text becomes one vector
  std::vector<size_t> dense_dims;    // widths that a pooled vector is projected
                                     // to, one after the other; may be empty

  TokenId bos_token = 2;                   // begins a text
  std::vector<TokenId> stop_tokens = {1};  // each ends a text

  // Whether the vocabulary has the token.
  bool has_token(TokenId token) const {
    return token >= 0 && static_cast<size_t>(token) < vocab_size;
  }
  // Layers of the model.
  size_t num_layers() const { return layers.size(); }
  // Width of a text's embedding, of a model that pools.
  size_t embedding_dim() const {
    return dense_dims.empty() ? model_dim : dense_dims.back();
  }
};

// Returns OK, or InvalidArgument naming the first pair of fields that disagree.
GEMMA_EXPORT absl::Status Validate(const ModelConfig& config);

// OK, or InvalidArgument naming the first of `tokens` that the vocabulary
// lacks. `what` names them, `first` is the place of the first among them:
// "token 3 of <what> is 512, wanted 0 to 511".
GEMMA_EXPORT absl::Status CheckTokens(absl::Span<const TokenId> tokens,
                                      const ModelConfig& config,
                                      std::string_view what, size_t first = 0);

}  // namespace gemma

#endif  // GEMMA_MODEL_CONFIG_H_

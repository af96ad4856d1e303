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

// The part of a block that moves information between positions.
enum class BlockType {
  kGlobalAttention,  // attends to every earlier position
  kLocalAttention,   // attends to the last `sliding_window` positions
  kRecurrent,        // RG-LRU (RecurrentGemma): a state of fixed size
};

// The use of a text's states after the last norm.
enum class Pooling {
  kNone,  // each state gives the next token's logits: for a Session
  kMean,  // their mean is one vector for the text: for an Embedder
};

// Rotary position embedding of a layer's queries and keys: pair i of a head,
// its values i and i + rotary_dim / 2, is rotated by
//   position * base^(-2 i / rotary_dim) / factor   radians.
struct RopeConfig {
  size_t rotary_dim = 0;  // leading values of a head that form pairs; may be 0
  size_t num_rotating = 0;  // leading pairs that are rotated; 0: all
  float base = 0.0f;        // theta, e.g. 10000
  float factor = 1.0f;      // divides the frequencies

  // Returns whether all fields are equal.
  friend bool operator==(const RopeConfig&, const RopeConfig&) = default;
};

// The hyperparameters of one layer. Set every field: 0 is valid only if the
// field's comment gives it a meaning.
struct LayerConfig {
  BlockType type = BlockType::kGlobalAttention;  // of the layer's mix
  size_t num_heads = 0;       // query heads; for kRecurrent, the strips of
                              // channels that have their own gates
  size_t num_kv_heads = 0;    // key/value heads; divides num_heads
  size_t head_dim = 0;        // num_heads * head_dim may differ from model_dim
  size_t sliding_window = 0;  // positions attended, including the current one;
                              // only used by kLocalAttention
  RopeConfig rope;            // unused by kRecurrent
  size_t ffw_dim = 0;         // width inside the gated feed-forward layer
  // Gemma 3n: before the activation, gates become what they exceed the mean of
  // the row's gates by, less this many of their standard deviations (of the
  // population), or 0. No value: gates stay as they are.
  std::optional<float> gate_cutoff;

  // Keys and values.
  bool k_eq_v = false;  // Gemma 4: the values are the projected keys, before
                        // these are normalized and rotated
  std::optional<size_t> kv_source;  // the earlier layer whose keys and values
                                    // it reads; no value: it has its own

  // A mixture of experts, computed beside the feed-forward layer.
  size_t num_experts = 0;   // 0: no experts, and the other two are 0 as well
  size_t experts_used = 0;  // by each token
  size_t expert_dim = 0;    // width inside an expert

  size_t q_dim() const { return num_heads * head_dim; }      // of all queries
  size_t kv_dim() const { return num_kv_heads * head_dim; }  // of all keys
  // Returns whether the layer computes keys and values of its own.
  bool has_own_kv() const { return !kv_source.has_value(); }

  // Returns whether all fields are equal.
  friend bool operator==(const LayerConfig&, const LayerConfig&) = default;
};

// The hyperparameters of one model. Set every field: 0 is valid only if the
// field's comment gives it a meaning.
struct ModelConfig {
  std::string architecture;  // "gemma", "gemma2", "gemma3", "gemma3n",
                             // "gemma4", "vaultgemma", "recurrentgemma",
                             // "gemma-embedding", "gemma-embedding2"
  size_t model_dim = 0;      // width of the residual stream
  size_t vocab_size = 0;     // number of tokens
  size_t max_context = 0;    // positions that the model was made for
  size_t lru_width = 0;      // channels of kRecurrent blocks; 0: no such blocks
  size_t conv_width = 0;     // taps of the recurrent block's convolution,
                             // including the current position; 0 likewise
  float embedding_scale = 0.0f;       // multiplies embeddings: sqrt(model_dim),
                                      // rounded as the reference rounds it
  float query_scale = 0.0f;           // multiplies q.k
  float rms_norm_eps = 0.0f;          // added to the mean of squares
  float attn_logits_soft_cap = 0.0f;  // 0: off, else cap * tanh(s / cap)
  float final_logits_soft_cap = 0.0f;  // likewise
  bool post_norms = false;     // Gemma 2, 3: sub-block outputs are normalized
  bool qk_norm = false;        // Gemma 3, 4: each head's q and k are normalized
  bool value_norm = false;     // Gemma 3n, 4: so are its v, without weights
  bool layer_scales = false;   // Gemma 4: each layer's output is scaled
  bool biases = false;         // RecurrentGemma: projections have biases
  bool exact_gelu = false;     // the activation is z * normal_cdf(z), not the
                               // tanh form of GELU that published models have
  bool bidirectional = false;  // EmbeddingGemma: attention also sees all later
                               // positions; local, as many later as earlier
  std::vector<LayerConfig> layers;  // from the first to the last

  // Gemma 3n. AltUp (arXiv 2301.13310): several residual streams, each as wide
  // as model_dim. A layer predicts all of them, computes one, and corrects all
  // by the difference. LAuReL (arXiv 2411.07501): a product of low rank beside
  // the attention.
  size_t altup_streams = 0;  // 2 or more; 0: one stream, without AltUp
  size_t laurel_rank = 0;    // 0 without AltUp

  // Per-layer embeddings (Gemma 3n, 4): each layer adds what a gate makes of a
  // vector that depends on the token and its embedding.
  size_t per_layer_dim = 0;      // width of the vector; 0: no such embeddings
  size_t per_layer_vocab = 0;    // tokens with a row in the table, the others
                                 // use row 0; 0: no table
  float per_layer_scale = 0.0f;  // multiplies rows of the table:
                                 // sqrt(per_layer_dim), rounded as the
                                 // reference rounds it; 0 without a table

  Pooling pooling = Pooling::kNone;  // whether a text becomes one vector
  std::vector<size_t> dense_dims;    // widths of the successive projections of
                                     // a pooled vector; may be empty

  TokenId bos_token = 2;                   // begins a text
  std::vector<TokenId> stop_tokens = {1};  // each ends a text
  // Tokens that Generate and Engine never choose: their logits become
  // -infinity. Logits that a Session returns are unchanged.
  std::vector<TokenId> suppress_tokens = {};

  // Returns whether the vocabulary has the token.
  bool has_token(TokenId token) const {
    return token >= 0 && static_cast<size_t>(token) < vocab_size;
  }
  // Returns the number of layers.
  size_t num_layers() const { return layers.size(); }
  // Returns the width of a text's embedding, for a model that pools.
  size_t embedding_dim() const {
    return dense_dims.empty() ? model_dim : dense_dims.back();
  }
};

// Returns OK, or InvalidArgument, which names the first pair of fields that
// disagree.
GEMMA_EXPORT absl::Status Validate(const ModelConfig& config);

// Returns OK, or InvalidArgument, which names the first of `tokens` that the
// vocabulary lacks: "token 3 of <what> is 512, wanted 0 to 511". `what` names
// the list; `first` is the index of tokens[0] in it.
GEMMA_EXPORT absl::Status CheckTokens(absl::Span<const TokenId> tokens,
                                      const ModelConfig& config,
                                      std::string_view what, size_t first = 0);

}  // namespace gemma

#endif  // GEMMA_MODEL_CONFIG_H_

/* The hyperparameters of a model, for C. gemma/model_config.h explains the
 * fields, which have the same names there. */

#ifndef GEMMA_C_CONFIG_H_
#define GEMMA_C_CONFIG_H_

#include "gemma/c_model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The use of a text's states after the last norm. */
typedef enum gemma_pooling {
  GEMMA_POOLING_NONE = 0, /* they give logits: for sessions */
  GEMMA_POOLING_MEAN = 1  /* they give a vector: for an embedder */
} gemma_pooling;

/* The hyperparameters of a model. */
typedef struct gemma_model_config {
  size_t struct_size;             /* set by gemma_model_config_init */
  const char* architecture;       /* valid until the model is freed */
  size_t model_dim;               /* width of the residual stream */
  size_t num_layers;              /* see gemma_model_layer */
  size_t vocab_size;              /* number of tokens */
  size_t max_context;             /* positions that the model was made for */
  size_t lru_width;               /* channels of recurrent blocks, or 0 */
  size_t conv_width;              /* taps of their convolution, or 0 */
  float embedding_scale;          /* multiplies embeddings */
  float query_scale;              /* multiplies q.k */
  float rms_norm_eps;             /* added to the mean of squares */
  float attn_logits_soft_cap;     /* 0: off */
  float final_logits_soft_cap;    /* 0: off */
  float per_layer_scale;          /* of per-layer embeddings, or 0 */
  size_t altup_streams;           /* Gemma 3n; 0: one stream, without AltUp */
  size_t laurel_rank;             /* Gemma 3n; 0 without AltUp */
  size_t per_layer_dim;           /* width of per-layer embeddings, or 0 */
  size_t per_layer_vocab;         /* tokens with a row in their table, or 0 */
  size_t embedding_dim;           /* width of a text's embedding */
  gemma_pooling pooling;          /* whether a text becomes one vector */
  int32_t bos_token;              /* begins a text */
  const int32_t* stop_tokens;     /* each ends a text; valid likewise */
  size_t num_stop_tokens;         /* size of stop_tokens */
  const int32_t* suppress_tokens; /* never chosen; valid likewise */
  size_t num_suppress_tokens;     /* size of suppress_tokens */
  const size_t* dense_dims;       /* widths of projections of a pooled vector */
  size_t num_dense_dims;          /* size of dense_dims */
  bool post_norms;                /* sub-block outputs are normalized */
  bool qk_norm;                   /* each head's q and k are normalized */
  bool value_norm;                /* each head's v is normalized */
  bool layer_scales;              /* each layer's output is scaled */
  bool biases;                    /* projections have biases */
  bool exact_gelu;                /* GELU in its exact form */
  bool bidirectional;             /* attention also sees later positions */
} gemma_model_config;

/* Sets struct_size, and all other fields to 0. size:
 * sizeof(gemma_model_config). */
GEMMA_EXPORT void gemma_model_config_init(gemma_model_config* config,
                                          size_t size);
/* Writes the model's hyperparameters. */
GEMMA_EXPORT gemma_status gemma_model_get_config(const gemma_model* model,
                                                 gemma_model_config* config);

/* The part of a block that moves information between positions. */
typedef enum gemma_block_type {
  GEMMA_BLOCK_GLOBAL_ATTENTION = 0, /* attends to every earlier position */
  GEMMA_BLOCK_LOCAL_ATTENTION = 1,  /* attends to those of a window */
  GEMMA_BLOCK_RECURRENT = 2         /* a state of fixed size */
} gemma_block_type;

/* The hyperparameters of a layer. */
typedef struct gemma_layer_config {
  size_t struct_size;    /* set by gemma_layer_config_init */
  gemma_block_type type; /* of the layer's mix */
  bool k_eq_v;           /* the values are the projected keys */
  bool has_kv_source;    /* it reads the keys and values of kv_source */
  bool has_gate_cutoff;  /* gates are cut at gate_cutoff */
  size_t num_heads;      /* query heads, or strips of channels */
  size_t num_kv_heads;   /* key/value heads */
  size_t head_dim;       /* of each head */
  size_t sliding_window; /* positions attended, the current one included */
  size_t rotary_dim;     /* leading values of a head that form pairs */
  size_t num_rotating;   /* leading pairs that are rotated; 0: all */
  float rope_base;       /* theta */
  float rope_factor;     /* divides the frequencies */
  size_t ffw_dim;        /* width inside the feed-forward layer */
  size_t num_experts;    /* or 0 */
  size_t experts_used;   /* by each token */
  size_t expert_dim;     /* width inside an expert */
  size_t kv_source;      /* an earlier layer, or 0 */
  float gate_cutoff;     /* in standard deviations, or 0 */
} gemma_layer_config;

/* Sets struct_size, and all other fields to 0. size:
 * sizeof(gemma_layer_config). */
GEMMA_EXPORT void gemma_layer_config_init(gemma_layer_config* layer,
                                          size_t size);
/* Writes the hyperparameters of a layer, from 0. GEMMA_OUT_OF_RANGE if the
 * model has fewer layers. */
GEMMA_EXPORT gemma_status gemma_model_layer(const gemma_model* model,
                                            size_t index,
                                            gemma_layer_config* layer);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_CONFIG_H_ */

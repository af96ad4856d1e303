/* Loading a model, for C, and what its files say. */

#ifndef GEMMA_C_MODEL_H_
#define GEMMA_C_MODEL_H_

#include "gemma/c_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A loaded model: weights and tokenizer. */
typedef struct gemma_model gemma_model;
/* Threads that several models share; see gemma/thread_pool.h. */
typedef struct gemma_thread_pool gemma_thread_pool;

/* Makes the process compute as on a CPU with fewer instructions; see CapSimd in
 * gemma/simd.h, also for the names. Before the first model is loaded. */
GEMMA_EXPORT gemma_status gemma_cap_simd(const char* name);

/* Creates threads for gemma_load_options.thread_pool. num_threads: 0 means one
 * per core that the process may use. Free *pool with gemma_thread_pool_free. */
GEMMA_EXPORT gemma_status gemma_thread_pool_create(size_t num_threads,
                                                   gemma_thread_pool** pool);
/* Gives the threads up: models that compute with them keep them. Null is
 * allowed. */
GEMMA_EXPORT void gemma_thread_pool_free(gemma_thread_pool* pool);
/* Returns the number of threads that compute. */
GEMMA_EXPORT size_t
gemma_thread_pool_num_threads(const gemma_thread_pool* pool);

/* The turns of gemma_chat_prompt; see TurnSource in gemma/model.h. */
typedef enum gemma_turn_source {
  GEMMA_TURNS_AUTOMATIC = 0, /* the files', or Gemma's own if they are equal */
  GEMMA_TURNS_FILE = 1,      /* those of the files' chat template */
  GEMMA_TURNS_GEMMA = 2      /* Gemma's own */
} gemma_turn_source;

/* The keys that RecurrentGemma's local attention sees, of a window of W. */
typedef enum gemma_recurrent_window {
  GEMMA_WINDOW_DEEPMIND = 0,    /* W + 1 */
  GEMMA_WINDOW_TRANSFORMERS = 1 /* W */
} gemma_recurrent_window;

/* The type that matrices are converted to; see gemma/weight_type.h. */
typedef enum gemma_weight_type {
  GEMMA_WEIGHTS_KEEP = 0, /* as in the source */
  GEMMA_WEIGHTS_BF16 = 1,
  GEMMA_WEIGHTS_Q8 = 2,
  GEMMA_WEIGHTS_Q6 = 3,
  GEMMA_WEIGHTS_Q5 = 4,
  GEMMA_WEIGHTS_Q4 = 5,
  GEMMA_WEIGHTS_Q4S = 6, /* the smallest */
  GEMMA_WEIGHTS_Q4_0 = 7 /* GGUF's Q4_0 */
} gemma_weight_type;

/* How to load a model, and how its sessions will compute. */
typedef struct gemma_load_options {
  size_t struct_size;        /* set by gemma_load_options_init */
  size_t num_threads;        /* 0: one per core that the process may use */
  size_t num_decode_threads; /* how many of them decode; 0: all */
  size_t prefill_chunk;      /* the most tokens that one pass computes */
  bool float32_activations;  /* exact, but slower for quantized weights */
  bool deterministic;        /* the same bits for any prefill_chunk */
  /* Called repeatedly during loading with the bytes done and the total. Return
   * false to cancel. May be null. */
  bool (*progress)(uint64_t done, uint64_t total, void* user);
  void* user; /* passed to progress and before_weights */
  /* Paths of LoRA adapters to merge into the weights: PEFT directories or GGUF
   * files; null if num_adapters is 0. */
  const char* const* adapters;
  const float* adapter_scales;    /* of each; null: all 1 */
  size_t num_adapters;            /* how many there are */
  gemma_turn_source turn_source;  /* the turns of a chat */
  const char* chat_template_file; /* a file with others, in Jinja, or null */
  gemma_recurrent_window recurrent_window; /* used only by RecurrentGemma */
  gemma_weight_type quantize; /* converts matrices during loading */
  /* The threads that compute; num_threads must then be 0. Null: threads of the
   * model's own. */
  const gemma_thread_pool* thread_pool;
  /* Called once before memory is allocated for weights, with a model that
   * answers questions (configuration, memory, tokens) and is valid during the
   * call. Return false to cancel. May be null. */
  bool (*before_weights)(const gemma_model* model, void* user);
  bool skip_weights; /* load no weights: the model only answers questions */
} gemma_load_options;

/* Sets the defaults. size: sizeof(gemma_load_options). */
GEMMA_EXPORT void gemma_load_options_init(gemma_load_options* options,
                                          size_t size);

/* Loads a GGUF file, a Hugging Face directory or a gemma.cpp file. `path` is a
 * path: only the command gemma knows models by name. Free *model with
 * gemma_model_free. options: null for the defaults. */
GEMMA_EXPORT gemma_status gemma_model_load(const char* path,
                                           const gemma_load_options* options,
                                           gemma_model** model);
/* Gives the model up: sessions, chats and answers that were made from it stay
 * valid. Null is allowed. */
GEMMA_EXPORT void gemma_model_free(gemma_model* model);

/* ---- Questions */

/* Returns the number of tokens in the vocabulary: the size of a row of
 * logits. */
GEMMA_EXPORT size_t gemma_model_vocab_size(const gemma_model* model);
/* Returns the number of positions that the model was made for. */
GEMMA_EXPORT size_t gemma_model_max_context(const gemma_model* model);
/* Returns whether the model was tuned to chat. */
GEMMA_EXPORT bool gemma_model_is_instruction_tuned(const gemma_model* model);
/* Returns the architecture, for example "gemma3". Valid until the model is
 * freed. */
GEMMA_EXPORT const char* gemma_model_architecture(const gemma_model* model);
/* Returns the number of threads that compute. */
GEMMA_EXPORT size_t gemma_model_num_threads(const gemma_model* model);

/* Returns the number of lines about what the files state and the model does not
 * follow; see Model::notes in gemma/model.h. */
GEMMA_EXPORT size_t gemma_model_num_notes(const gemma_model* model);
/* Returns one of these lines, or "" if there are fewer. Valid until the model
 * is freed. */
GEMMA_EXPORT const char* gemma_model_note(const gemma_model* model,
                                          size_t index);

/* A tensor in the files. */
typedef struct gemma_tensor {
  size_t struct_size;  /* set by gemma_tensor_init */
  const char* name;    /* as in the file; valid until the model is freed */
  const char* format;  /* for example "Q4_K"; likewise */
  const size_t* shape; /* [num_dims], outermost first; likewise */
  size_t num_dims;     /* the size of `shape` */
  uint64_t bytes;      /* in the file */
} gemma_tensor;

/* Sets struct_size, and all other fields to 0. size: sizeof(gemma_tensor). */
GEMMA_EXPORT void gemma_tensor_init(gemma_tensor* tensor, size_t size);
/* Returns the number of tensors in the files. */
GEMMA_EXPORT size_t gemma_model_num_tensors(const gemma_model* model);
/* Describes a tensor; they are sorted by name. GEMMA_OUT_OF_RANGE if there are
 * fewer. */
GEMMA_EXPORT gemma_status gemma_model_tensor(const gemma_model* model,
                                             size_t index,
                                             gemma_tensor* tensor);

/* Bytes of memory; see MemoryUse in gemma/model.h. */
typedef struct gemma_memory_use {
  size_t struct_size;         /* set by gemma_memory_use_init */
  uint64_t weights;           /* packed */
  uint64_t mapped;            /* the part of them that stays in a mapped file */
  uint64_t weights_per_token; /* what decoding a token reads of them */
  uint64_t cache;             /* of the sessions */
  uint64_t scratch;           /* of passes, including logits */
  uint64_t checkpoints;       /* automatic ones */
  uint64_t table;             /* of per-layer embeddings, in the mapped file */
  uint64_t table_per_token;   /* what a token reads of it */
  uint64_t total;             /* weights + cache + scratch + checkpoints */
} gemma_memory_use;

/* Sets struct_size, and all other fields to 0. size:
 * sizeof(gemma_memory_use). */
GEMMA_EXPORT void gemma_memory_use_init(gemma_memory_use* use, size_t size);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_MODEL_H_ */

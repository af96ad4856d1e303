/* Texts to vectors, for C; see gemma/embedder.h. */

#ifndef GEMMA_C_EMBEDDER_H_
#define GEMMA_C_EMBEDDER_H_

#include "gemma/c_model.h"
#include "gemma/c_tokens.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Embeds texts. Several threads may use it at the same time. */
typedef struct gemma_embedder gemma_embedder;

/* How an embedder reads texts. */
typedef struct gemma_embedder_options {
  size_t struct_size; /* set by gemma_embedder_options_init */
  size_t max_tokens; /* of a text, BOS and EOS included; 0: as many as the model
                      * was made for */
} gemma_embedder_options;

/* Sets the defaults. size: sizeof(gemma_embedder_options). */
GEMMA_EXPORT void gemma_embedder_options_init(gemma_embedder_options* options,
                                              size_t size);

/* Creates an embedder, which shares what the model loaded. Free *embedder with
 * gemma_embedder_free. options: null for the defaults.
 * GEMMA_FAILED_PRECONDITION if the model does not embed texts. */
GEMMA_EXPORT gemma_status gemma_embedder_create(
    const gemma_model* model, const gemma_embedder_options* options,
    gemma_embedder** embedder);
/* Frees the embedder. Null is allowed. */
GEMMA_EXPORT void gemma_embedder_free(gemma_embedder* embedder);
/* Writes the memory of the model and of one pass of an embedder with these
 * options. options: null for the defaults. */
GEMMA_EXPORT gemma_status gemma_embedder_memory(
    const gemma_model* model, const gemma_embedder_options* options,
    gemma_memory_use* use);

/* How to embed texts; see EmbedOptions in gemma/embedder.h. */
typedef struct gemma_embed_options {
  size_t struct_size; /* set by gemma_embed_options_init */
  const char* prompt; /* name of a prompt; null or "": the default */
  const char* title;  /* of the texts, for a prompt with a title; or null */
  size_t dimensions;  /* leading values to keep; 0: all */
  bool use_default_prompt; /* only counts without a prompt */
  bool normalize;          /* scale vectors to length 1 */
  /* Called after each pass with the number of texts done. Return false to
   * cancel. May be null. */
  bool (*progress)(size_t done, void* user);
  void* user; /* passed to progress */
} gemma_embed_options;

/* Sets the defaults. size: sizeof(gemma_embed_options). */
GEMMA_EXPORT void gemma_embed_options_init(gemma_embed_options* options,
                                           size_t size);

/* Writes the texts' vectors, [num_texts, dimensions], in the order of the
 * texts. *size becomes the number of values. If it exceeds `capacity`, computes
 * nothing and returns GEMMA_OUT_OF_RANGE. options: null for the defaults.
 * num_tokens: null, or [num_texts]: receives the tokens of each text.
 * truncated: null, or [num_texts]: receives whether a text was cut. */
GEMMA_EXPORT gemma_status gemma_embed(const gemma_embedder* embedder,
                                      const gemma_text* texts, size_t num_texts,
                                      const gemma_embed_options* options,
                                      float* values, size_t capacity,
                                      size_t* size, size_t* num_tokens,
                                      bool* truncated);

/* Returns the number of values of an uncut vector. */
GEMMA_EXPORT size_t gemma_embedder_dimensions(const gemma_embedder* embedder);
/* Returns the most tokens that a text may have before it is cut. */
GEMMA_EXPORT size_t gemma_embedder_max_tokens(const gemma_embedder* embedder);
/* Returns whether the files have the dense layers that follow the mean. */
GEMMA_EXPORT bool gemma_embedder_has_dense_layers(
    const gemma_embedder* embedder);

/* Returns the number of the model's prompts. */
GEMMA_EXPORT size_t gemma_embedder_num_prompts(const gemma_embedder* embedder);
/* Writes the name of a prompt, without a terminating 0. GEMMA_OUT_OF_RANGE also
 * if there are fewer; *size is then unchanged. */
GEMMA_EXPORT gemma_status gemma_embedder_prompt(const gemma_embedder* embedder,
                                                size_t index, char* text,
                                                size_t capacity, size_t* size);
/* Writes the name of the prompt of texts that name none, likewise; nothing if
 * they get no prefix. */
GEMMA_EXPORT gemma_status gemma_embedder_default_prompt(
    const gemma_embedder* embedder, char* text, size_t capacity, size_t* size);
/* Writes the words of a prompt before a text, likewise. prompt: null or "": the
 * default. title: null or "": none. */
GEMMA_EXPORT gemma_status gemma_embedder_prefix(const gemma_embedder* embedder,
                                                const char* prompt,
                                                const char* title, char* text,
                                                size_t capacity, size_t* size);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_EMBEDDER_H_ */

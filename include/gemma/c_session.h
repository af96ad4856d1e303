/* One sequence of words and its caches, for C. */

#ifndef GEMMA_C_SESSION_H_
#define GEMMA_C_SESSION_H_

#include "gemma/c_model.h"
#include "gemma/c_words.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One sequence of tokens and rows, and its caches. Only one thread at a time
 * may use it. */
typedef struct gemma_session gemma_session;

/* The format of cached keys and values. */
typedef enum gemma_cache_format {
  GEMMA_CACHE_AUTO = 0, /* float32 for a model in float32, else bfloat16 */
  GEMMA_CACHE_FLOAT32 = 1,
  GEMMA_CACHE_BFLOAT16 = 2,
  GEMMA_CACHE_INT8 = 3
} gemma_cache_format;

/* How long a session may grow, and how it can go back. */
typedef struct gemma_session_options {
  size_t struct_size;              /* set by gemma_session_options_init */
  size_t max_tokens;               /* tokens that the caches hold */
  size_t max_rollback;             /* tokens that a rewind removes for free */
  size_t checkpoint_interval;      /* tokens between checkpoints; 0: none */
  size_t max_checkpoints;          /* above this, the oldest are dropped */
  gemma_cache_format cache_format; /* of keys and values */
} gemma_session_options;

/* Sets the defaults. size: sizeof(gemma_session_options). */
GEMMA_EXPORT void gemma_session_options_init(gemma_session_options* options,
                                             size_t size);
/* Writes the memory that the model and num_sessions sessions with these options
 * need; see Model::MemoryFor in gemma/model.h. options: null for the
 * defaults. */
GEMMA_EXPORT gemma_status gemma_session_memory(
    const gemma_model* model, const gemma_session_options* options,
    size_t num_sessions, gemma_memory_use* use);

/* Creates a session with an empty sequence. It shares what the model loaded, so
 * the model may be freed first. Free *session with gemma_session_free. options:
 * null for the defaults. */
GEMMA_EXPORT gemma_status gemma_session_create(
    const gemma_model* model, const gemma_session_options* options,
    gemma_session** session);
/* Frees the session. Null is allowed. */
GEMMA_EXPORT void gemma_session_free(gemma_session* session);

/* ---- What it holds */

/* Returns the number of tokens and rows in the session. */
GEMMA_EXPORT size_t gemma_session_position(const gemma_session* session);
/* Returns the number of tokens and rows that still fit. */
GEMMA_EXPORT size_t gemma_session_remaining(const gemma_session* session);
/* Writes all tokens, with GEMMA_ROW_TOKEN in place of each row; see
 * gemma/c_tokens.h for capacity and size. */
GEMMA_EXPORT gemma_status gemma_session_tokens(const gemma_session* session,
                                               int32_t* tokens, size_t capacity,
                                               size_t* size);
/* Creates a list of all tokens and rows, which shares the values of the rows.
 * Free *words with gemma_words_free. */
GEMMA_EXPORT gemma_status gemma_session_words(const gemma_session* session,
                                              gemma_words** words);
/* Writes the options of the session, which after gemma_session_restore come
 * from the file. Set struct_size by gemma_session_options_init first. */
GEMMA_EXPORT gemma_status gemma_session_get_options(
    const gemma_session* session, gemma_session_options* options);

/* ---- Computing */

/* Appends one or more tokens. logits: null, or receives a pointer to the
 * [vocab_size] logits of the next token, valid until the session's next call.
 * Changes nothing, with GEMMA_INVALID_ARGUMENT if a token is not in the
 * vocabulary and GEMMA_OUT_OF_RANGE if the tokens do not fit. */
GEMMA_EXPORT gemma_status gemma_session_forward(gemma_session* session,
                                                const int32_t* tokens,
                                                size_t num_tokens,
                                                const float** logits);
/* The same, but only the top_k largest logits (and all equal ones) are needed:
 * others may be -infinity. Faster for small top_k if the output embeddings have
 * 8 bits. 0: all. */
GEMMA_EXPORT gemma_status gemma_session_forward_top(gemma_session* session,
                                                    const int32_t* tokens,
                                                    size_t num_tokens,
                                                    size_t top_k,
                                                    const float** logits);
/* The same, but writes the logits of every appended position, [num_tokens,
 * vocab_size]. *size becomes their number. If it exceeds `capacity`, appends
 * nothing and returns GEMMA_OUT_OF_RANGE. */
GEMMA_EXPORT gemma_status gemma_session_forward_all(
    gemma_session* session, const int32_t* tokens, size_t num_tokens,
    float* logits, size_t capacity, size_t* size);
/* Appends tokens and computes no logits. Calls on_pass (which may be null)
 * after each pass, with the number of tokens appended so far. If it returns
 * false, the remaining tokens are not appended; this is not an error. user:
 * passed to on_pass. */
GEMMA_EXPORT gemma_status gemma_session_append(
    gemma_session* session, const int32_t* tokens, size_t num_tokens,
    bool (*on_pass)(size_t done, void* user), void* user);

/* A session of a batch and the tokens to append. This struct never grows. */
typedef struct gemma_continuation {
  gemma_session* session; /* at most once in a batch */
  const int32_t* tokens;  /* at least one */
  size_t num_tokens;      /* size of tokens */
} gemma_continuation;

/* Appends tokens to several sessions of one model in one pass. Writes the
 * logits that gemma_session_forward would give for each, [batch_size,
 * vocab_size]; see Session::ForwardBatch in gemma/session.h for their bits.
 * *size becomes their number. If it exceeds `capacity`, appends nothing and
 * returns GEMMA_OUT_OF_RANGE. */
GEMMA_EXPORT gemma_status
gemma_session_forward_batch(const gemma_continuation* batch, size_t batch_size,
                            float* logits, size_t capacity, size_t* size);

/* ---- Rows in place of tokens */

/* As gemma_session_forward_top, for words. Also changes nothing, with
 * GEMMA_INVALID_ARGUMENT, if a row does not have the model's model_dim values,
 * or if rows that attend to each other are more than prefill_chunk of
 * gemma_load_options, because one pass computes all of them. */
GEMMA_EXPORT gemma_status gemma_session_forward_words(gemma_session* session,
                                                      const gemma_words* words,
                                                      size_t top_k,
                                                      const float** logits);
/* As gemma_session_forward_all, for words. */
GEMMA_EXPORT gemma_status gemma_session_forward_all_words(
    gemma_session* session, const gemma_words* words, float* logits,
    size_t capacity, size_t* size);
/* As gemma_session_append, for words. */
GEMMA_EXPORT gemma_status gemma_session_append_words(
    gemma_session* session, const gemma_words* words,
    bool (*on_pass)(size_t done, void* user), void* user);

/* A session of a batch and the words to append. This struct never grows. */
typedef struct gemma_words_continuation {
  gemma_session* session;   /* at most once in a batch */
  const gemma_words* words; /* at least one word */
} gemma_words_continuation;

/* As gemma_session_forward_batch, for words. */
GEMMA_EXPORT gemma_status gemma_session_forward_batch_words(
    const gemma_words_continuation* batch, size_t batch_size, float* logits,
    size_t capacity, size_t* size);

/* ---- Going back, copies, files */

/* Keeps only the first `position` tokens and rows. GEMMA_OUT_OF_RANGE if the
 * session has fewer. GEMMA_INVALID_ARGUMENT inside bidirectional rows; see
 * gemma_words_whole. */
GEMMA_EXPORT gemma_status gemma_session_rewind(gemma_session* session,
                                               size_t position);
/* Saves the state here, so that a later rewind to this position is cheap. If
 * this fails, that rewind takes longer. */
GEMMA_EXPORT void gemma_session_checkpoint(gemma_session* session);

/* Creates an independent session that continues from here: the same tokens,
 * options, caches and checkpoints, but no tap. Free *copy with
 * gemma_session_free. */
GEMMA_EXPORT gemma_status gemma_session_fork(const gemma_session* session,
                                             gemma_session** copy);
/* Writes options, tokens and caches to a file, which replaces a file at `path`
 * once it is complete. Anybody who can read it can read the text. */
GEMMA_EXPORT gemma_status gemma_session_save(const gemma_session* session,
                                             const char* path);
/* Creates the saved session, which continues bit for bit as the original would.
 * The model must be the one that it was saved with; see Session::Restore in
 * gemma/session.h for errors. Free *session with gemma_session_free. */
GEMMA_EXPORT gemma_status gemma_session_restore(const gemma_model* model,
                                                const char* path,
                                                gemma_session** session);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_SESSION_H_ */

/* libgemma for C, and for languages that call C.
 *
 * Functions that can fail return a gemma_status; GEMMA_OK is 0, and
 * gemma_last_error() returns the message. A pointer may be null only where its
 * function says so: else the status is GEMMA_INVALID_ARGUMENT, and a function
 * without a status returns 0, false, -1 or "", or does nothing. Outputs are not
 * touched on failure. Texts are UTF-8.
 *
 * Options are structs that begin with their size: call the ..._init function,
 * then change what you like. A program that was compiled with an older header
 * keeps working, since fields are only added at the end.
 *
 * A model may be used from many threads; a session from one at a time. Nothing
 * here aborts, prints or throws.
 *
 *     gemma_model* model = NULL;
 *     if (gemma_model_load("model.gguf", NULL, &model) != GEMMA_OK)
 *       puts(gemma_last_error());
 */

#ifndef GEMMA_C_API_H_
#define GEMMA_C_API_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gemma/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Weights and tokenizer. */
typedef struct gemma_model gemma_model;
/* One sequence of tokens and its caches. */
typedef struct gemma_session gemma_session;
/* A switch that ends an answer, off at first. */
typedef struct gemma_cancellation gemma_cancellation;

/* What a call came to. The numbers are those of absl::StatusCode, all of which
 * are here; no function returns another. Without memory, the status is
 * GEMMA_RESOURCE_EXHAUSTED. */
typedef enum gemma_status {
  GEMMA_OK = 0,
  GEMMA_CANCELLED = 1,
  GEMMA_UNKNOWN = 2,
  GEMMA_INVALID_ARGUMENT = 3,
  GEMMA_DEADLINE_EXCEEDED = 4,
  GEMMA_NOT_FOUND = 5,
  GEMMA_ALREADY_EXISTS = 6,
  GEMMA_PERMISSION_DENIED = 7,
  GEMMA_RESOURCE_EXHAUSTED = 8,
  GEMMA_FAILED_PRECONDITION = 9,
  GEMMA_ABORTED = 10,
  GEMMA_OUT_OF_RANGE = 11,
  GEMMA_UNIMPLEMENTED = 12,
  GEMMA_INTERNAL = 13,
  GEMMA_UNAVAILABLE = 14,
  GEMMA_DATA_LOSS = 15,
  GEMMA_UNAUTHENTICATED = 16
} gemma_status;

/* The message of the calling thread's last failure, one line of at most 4095
 * bytes; "" if there was none. Valid until the thread's next call. */
GEMMA_EXPORT const char* gemma_last_error(void);

/* For example "0.1.0". */
GEMMA_EXPORT const char* gemma_version(void);

/* ---- Models */

/* How to load a model, and how its sessions will compute. */
typedef struct gemma_load_options {
  size_t struct_size;        /* set by gemma_load_options_init */
  size_t num_threads;        /* 0: one per core that may be used */
  size_t num_decode_threads; /* of them, for one token at a time; 0: all */
  size_t prefill_chunk;      /* tokens that one pass takes at most */
  bool float32_activations;  /* exact, and slower for quantized weights */
  bool deterministic;        /* the same bits for any prefill_chunk */
  /* Called now and then with bytes done and in all; false cancels. May be
   * null. */
  bool (*progress)(uint64_t done, uint64_t total, void* user);
  void* user; /* for progress */
} gemma_load_options;

/* Sets the defaults. */
GEMMA_EXPORT void gemma_load_options_init(gemma_load_options* options);

/* Loads a GGUF file, a Hugging Face directory or a file of gemma.cpp.
 * options: null for the defaults. */
GEMMA_EXPORT gemma_status gemma_model_load(const char* path,
                                           const gemma_load_options* options,
                                           gemma_model** model);
/* Frees it; sessions of the model keep what they need. Null is allowed. */
GEMMA_EXPORT void gemma_model_free(gemma_model* model);

/* How many tokens there are, and logits of each. */
GEMMA_EXPORT size_t gemma_model_vocab_size(const gemma_model* model);
/* Positions that the model was made for. */
GEMMA_EXPORT size_t gemma_model_max_context(const gemma_model* model);
/* Whether it was tuned to chat. */
GEMMA_EXPORT bool gemma_model_is_instruction_tuned(const gemma_model* model);
/* For example "gemma3". Valid as long as the model. */
GEMMA_EXPORT const char* gemma_model_architecture(const gemma_model* model);

/* ---- Tokens
 *
 * Functions that give tokens or text write as much as `capacity` allows, all or
 * nothing, and set *size to what there is; where that is more than capacity
 * they return GEMMA_OUT_OF_RANGE, so that a first call with capacity 0 and a
 * null buffer tells the size. */

/* Tokens of text[0, text_size), without BOS. Control tokens in it stay text
 * unless parse_control. */
GEMMA_EXPORT gemma_status gemma_tokenize(const gemma_model* model,
                                         const char* text, size_t text_size,
                                         bool parse_control, int32_t* tokens,
                                         size_t capacity, size_t* size);
/* The text of the tokens, not terminated. */
GEMMA_EXPORT gemma_status gemma_detokenize(const gemma_model* model,
                                           const int32_t* tokens,
                                           size_t num_tokens, char* text,
                                           size_t capacity, size_t* size);
/* The token of a piece such as "<end_of_turn>", or -1. */
GEMMA_EXPORT int32_t gemma_find_token(const gemma_model* model,
                                      const char* piece);
/* The token that begins every sequence, or -1 if there is no tokenizer. */
GEMMA_EXPORT int32_t gemma_bos_token(const gemma_model* model);

/* Whose a message is. */
typedef enum gemma_role {
  GEMMA_ROLE_SYSTEM = 0,
  GEMMA_ROLE_USER = 1,
  GEMMA_ROLE_MODEL = 2
} gemma_role;

/* One message of a chat. */
typedef struct gemma_message {
  gemma_role role;  /* who says it */
  const char* text; /* terminated by 0 */
} gemma_message;

/* A chat so far as a prompt: BOS, all messages, and the opening of the model's
 * turn. A system message may only come first; then user and model alternate,
 * and the user is last. */
GEMMA_EXPORT gemma_status gemma_chat_prompt(const gemma_model* model,
                                            const gemma_message* messages,
                                            size_t num_messages,
                                            int32_t* tokens, size_t capacity,
                                            size_t* size);
/* The next user turn of a session that ends in an answer of the model. */
GEMMA_EXPORT gemma_status gemma_chat_next_turn(const gemma_model* model,
                                               const char* text,
                                               int32_t* tokens, size_t capacity,
                                               size_t* size);

/* Asks a model such as CodeGemma for what belongs between a prefix and a
 * suffix. path: of the file that they are from, or null. Fails if the model
 * does not fill in. gemma/fill_in_middle.h tells the form, with more files. */
GEMMA_EXPORT gemma_status gemma_fill_prompt(
    const gemma_model* model, const char* prefix, size_t prefix_size,
    const char* suffix, size_t suffix_size, const char* path, int32_t* tokens,
    size_t capacity, size_t* size);
/* The tokens that end what is filled in, for gemma_generate_options. */
GEMMA_EXPORT gemma_status gemma_fill_stop_tokens(const gemma_model* model,
                                                 int32_t* tokens,
                                                 size_t capacity, size_t* size);

/* ---- Sessions */

/* How keys and values are kept. */
typedef enum gemma_cache_format {
  GEMMA_CACHE_AUTO = 0, /* float32 for a model in float32, else bfloat16 */
  GEMMA_CACHE_FLOAT32 = 1,
  GEMMA_CACHE_BFLOAT16 = 2,
  GEMMA_CACHE_INT8 = 3
} gemma_cache_format;

/* How long a session may grow, and how it can go back. */
typedef struct gemma_session_options {
  size_t struct_size;         /* set by gemma_session_options_init */
  size_t max_tokens;          /* that fit in the context */
  size_t max_rollback;        /* tokens that can be taken back for nothing */
  size_t checkpoint_interval; /* tokens between checkpoints; 0: none */
  size_t max_checkpoints;     /* beyond them the oldest are dropped */
  gemma_cache_format cache_format; /* how keys and values are kept */
} gemma_session_options;

/* Sets the defaults. */
GEMMA_EXPORT void gemma_session_options_init(gemma_session_options* options);

/* An empty sequence. options: null for the defaults. */
GEMMA_EXPORT gemma_status gemma_session_create(
    const gemma_model* model, const gemma_session_options* options,
    gemma_session** session);
/* Frees it. Null is allowed. */
GEMMA_EXPORT void gemma_session_free(gemma_session* session);

/* Tokens so far. */
GEMMA_EXPORT size_t gemma_session_position(const gemma_session* session);
/* How many more fit. */
GEMMA_EXPORT size_t gemma_session_remaining(const gemma_session* session);

/* Appends tokens. logits: null, or set to the [vocab_size] logits of the token
 * that follows, valid until the session's next call. */
GEMMA_EXPORT gemma_status gemma_session_forward(gemma_session* session,
                                                const int32_t* tokens,
                                                size_t num_tokens,
                                                const float** logits);
/* Forgets all but the first `position` tokens. */
GEMMA_EXPORT gemma_status gemma_session_rewind(gemma_session* session,
                                               size_t position);
/* Keeps what is needed to come back to this position cheaply. */
GEMMA_EXPORT void gemma_session_checkpoint(gemma_session* session);

/* ---- Answers */

/* A switch that any thread may turn to end gemma_generate; it stays so until it
 * is reset. Null if there is no memory. */
GEMMA_EXPORT gemma_cancellation* gemma_cancellation_create(void);
/* Frees it. Null is allowed. */
GEMMA_EXPORT void gemma_cancellation_free(gemma_cancellation* cancellation);
/* Turns it on. */
GEMMA_EXPORT void gemma_cancellation_cancel(gemma_cancellation* cancellation);
/* Turns it off again. */
GEMMA_EXPORT void gemma_cancellation_reset(gemma_cancellation* cancellation);

/* What kind of text an answer shall be. */
typedef enum gemma_grammar {
  GEMMA_GRAMMAR_NONE = 0,        /* any text */
  GEMMA_GRAMMAR_JSON = 1,        /* any value of JSON */
  GEMMA_GRAMMAR_JSON_SCHEMA = 2, /* values that a schema calls valid */
  GEMMA_GRAMMAR_REGEX = 3,       /* what a regular expression describes */
  GEMMA_GRAMMAR_CHOICES = 4      /* one of several texts */
} gemma_grammar;

/* How to generate, and when to stop. */
typedef struct gemma_generate_options {
  size_t struct_size;              /* set by gemma_generate_options_init */
  size_t max_new_tokens;           /* 0: as many as fit */
  float temperature;               /* 0: the most probable token */
  size_t top_k;                    /* 0: all */
  float top_p;                     /* 1: all */
  float min_p;                     /* 0: all */
  uint64_t seed;                   /* the same seed gives the same choices */
  const char* const* stop_strings; /* texts that end the answer */
  size_t num_stop_strings;         /* how many there are */
  bool speculate; /* guess tokens where that pays; the answer is the same */
  const gemma_cancellation* cancellation; /* may be null */
  double timeout_seconds; /* that the answer may take; 0: any time */
  gemma_grammar grammar;  /* what the answer shall be; gemma/grammar.h */
  const char* const* grammar_texts; /* choices, or one schema or expression */
  size_t num_grammar_texts;         /* how many there are */
  const int32_t* stop_tokens; /* that end the answer, beside the model's */
  size_t num_stop_tokens;     /* how many there are */
} gemma_generate_options;

/* Sets the defaults. */
GEMMA_EXPORT void gemma_generate_options_init(gemma_generate_options* options);

/* What ended an answer. */
typedef enum gemma_stop_reason {
  GEMMA_STOP_TOKEN = 0,        /* the end of a text or a turn */
  GEMMA_STOP_STRING = 1,       /* one of the stop strings */
  GEMMA_STOP_MAX_TOKENS = 2,   /* max_new_tokens */
  GEMMA_STOP_CONTEXT_FULL = 3, /* no token fits into the session */
  GEMMA_STOP_CANCELLED = 4,    /* the caller */
  GEMMA_STOP_DEADLINE = 5,     /* timeout_seconds */
  GEMMA_STOP_GRAMMAR_END = 6   /* nothing more is allowed */
} gemma_stop_reason;

/* What an answer took. */
typedef struct gemma_generate_stats {
  size_t struct_size;            /* set by gemma_generate_stats_init */
  size_t prompt_tokens;          /* appended before the answer */
  size_t new_tokens;             /* of the answer */
  double prefill_seconds;        /* until the first token's logits */
  double decode_seconds;         /* from then on */
  gemma_stop_reason stop_reason; /* why it ended */
} gemma_generate_stats;

/* Sets its size, and the rest to nothing. */
GEMMA_EXPORT void gemma_generate_stats_init(gemma_generate_stats* stats);

/* Receives text[0, size), whole characters, not terminated; false ends the
 * answer. */
typedef bool (*gemma_text_callback)(const char* text, size_t size, void* user);

/* Appends the prompt to the session, then tokens until something ends the
 * answer, and gives its text to on_text (which may be null) as it grows. Being
 * cancelled is no failure: it is the stop reason. options: null for the
 * defaults. stats: may be null. */
GEMMA_EXPORT gemma_status gemma_generate(
    gemma_session* session, const int32_t* prompt, size_t prompt_size,
    const gemma_generate_options* options, gemma_text_callback on_text,
    void* user, gemma_generate_stats* stats);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_API_H_ */

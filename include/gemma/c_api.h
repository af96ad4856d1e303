/* libgemma for C, and for languages that call C.
 *
 * Functions that can fail return a gemma_status: GEMMA_OK is 0; after any other
 * value, gemma_last_error() returns the message. A pointer may be null only
 * where the function's comment allows it. For a null pointer elsewhere, the
 * status is GEMMA_INVALID_ARGUMENT; a function without a status returns 0,
 * false, -1 or "", or does nothing. A function that fails leaves its outputs
 * unchanged, except *size, see Tokens below. Texts are UTF-8.
 *
 * Options are structs that begin with their size: call the ..._init function,
 * then change the fields you need. A program that was compiled with an older
 * header keeps working, because new fields are only added at the end.
 *
 * Several threads may use a model at the same time; only one thread at a time
 * may use a session. Objects may be freed in any order: sessions, chats and
 * answers share what the model loaded, and the last of them frees it. No
 * function here aborts, prints or throws.
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

/* A loaded model: weights and tokenizer. */
typedef struct gemma_model gemma_model;
/* One sequence of tokens and its caches. */
typedef struct gemma_session gemma_session;
/* A switch that ends an answer. It is off at first. */
typedef struct gemma_cancellation gemma_cancellation;
/* The parts of an answer: thoughts, text and calls; see gemma/c_chat.h. */
typedef struct gemma_answer gemma_answer;

/* The result of a call. The values are those of absl::StatusCode; functions
 * return only the values listed here. If memory runs out, the status is
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

/* Returns the message of the calling thread's last failure, one line of at most
 * 4095 bytes, or "" if no call has failed. Valid until the thread's next
 * call. */
GEMMA_EXPORT const char* gemma_last_error(void);

/* Returns the library's version, for example "0.1.0". */
GEMMA_EXPORT const char* gemma_version(void);

/* Makes the process compute as on a CPU with fewer instructions; see CapSimd in
 * gemma/simd.h, also for the names. Before the first model is loaded. */
GEMMA_EXPORT gemma_status gemma_cap_simd(const char* name);

/* ---- Models */

/* The turns of gemma_chat_prompt; see TurnSource in gemma/model.h. */
typedef enum gemma_turn_source {
  GEMMA_TURNS_AUTOMATIC = 0, /* the files', or Gemma's own if they are equal */
  GEMMA_TURNS_FILE = 1,      /* those of the files' chat template */
  GEMMA_TURNS_GEMMA = 2      /* Gemma's own */
} gemma_turn_source;

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
  void* user; /* passed to progress */
  /* Paths of LoRA adapters to merge into the weights: PEFT directories or GGUF
   * files; null if num_adapters is 0. */
  const char* const* adapters;
  const float* adapter_scales;    /* of each; null: all 1 */
  size_t num_adapters;            /* how many there are */
  gemma_turn_source turn_source;  /* the turns of a chat */
  const char* chat_template_file; /* a file with others, in Jinja, or null */
} gemma_load_options;

/* Sets the defaults. */
GEMMA_EXPORT void gemma_load_options_init(gemma_load_options* options);

/* Loads a GGUF file, a Hugging Face directory or a gemma.cpp file. `path` is a
 * path: only the command gemma knows models by name. Free *model with
 * gemma_model_free. options: null for the defaults. */
GEMMA_EXPORT gemma_status gemma_model_load(const char* path,
                                           const gemma_load_options* options,
                                           gemma_model** model);
/* Gives the model up: sessions, chats and answers that were made from it stay
 * valid. Null is allowed. */
GEMMA_EXPORT void gemma_model_free(gemma_model* model);

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

/* ---- Tokens
 *
 * Functions that write tokens or text set *size to the size of the whole
 * result. If this is at most `capacity`, they write all of it; otherwise they
 * write nothing and return GEMMA_OUT_OF_RANGE. To ask for the size first, call
 * with a null buffer and a capacity of 0. */

/* Writes the tokens of text[0, text_size), without BOS. The names of control
 * tokens in the text become those tokens only if parse_control is true. */
GEMMA_EXPORT gemma_status gemma_tokenize(const gemma_model* model,
                                         const char* text, size_t text_size,
                                         bool parse_control, int32_t* tokens,
                                         size_t capacity, size_t* size);
/* Writes the text of the tokens, without a terminating 0. */
GEMMA_EXPORT gemma_status gemma_detokenize(const gemma_model* model,
                                           const int32_t* tokens,
                                           size_t num_tokens, char* text,
                                           size_t capacity, size_t* size);
/* Returns the token whose piece is, for example, "<end_of_turn>", or -1 if the
 * vocabulary lacks it. */
GEMMA_EXPORT int32_t gemma_find_token(const gemma_model* model,
                                      const char* piece);
/* Returns the token that begins every sequence, or -1 if the model has no
 * tokenizer. */
GEMMA_EXPORT int32_t gemma_bos_token(const gemma_model* model);

/* The author of a message. */
typedef enum gemma_role {
  GEMMA_ROLE_SYSTEM = 0,
  GEMMA_ROLE_USER = 1,
  GEMMA_ROLE_MODEL = 2,
  GEMMA_ROLE_TOOL = 3,     /* the result of a call; see gemma/c_chat.h */
  GEMMA_ROLE_DEVELOPER = 4 /* as system, under another name */
} gemma_role;

/* One message of a chat. */
typedef struct gemma_message {
  gemma_role role;  /* its author */
  const char* text; /* terminated by 0 */
} gemma_message;

/* Writes the prompt of a chat: BOS, all messages, and the opening of the
 * model's turn. Only the first message may be a system message. The others
 * alternate between user and model, and the last one is the user's. A chat
 * template of the files may allow more or less, and may have no BOS.
 * gemma/c_chat.h has chats with tools and thinking. */
GEMMA_EXPORT gemma_status gemma_chat_prompt(const gemma_model* model,
                                            const gemma_message* messages,
                                            size_t num_messages,
                                            int32_t* tokens, size_t capacity,
                                            size_t* size);
/* Writes the next user turn, for a session that ends in an answer of the
 * model. GEMMA_FAILED_PRECONDITION if the chat template changes earlier
 * turns. */
GEMMA_EXPORT gemma_status gemma_chat_next_turn(const gemma_model* model,
                                               const char* text,
                                               int32_t* tokens, size_t capacity,
                                               size_t* size);

/* Writes text[0, text_size) as the model is to read it: for an
 * instruction-tuned model, a chat with the text as the user's turn; for any
 * other, BOS and the text, which the model then continues. The names of control
 * tokens in the text stay text. */
GEMMA_EXPORT gemma_status gemma_model_prompt(const gemma_model* model,
                                             const char* text, size_t text_size,
                                             int32_t* tokens, size_t capacity,
                                             size_t* size);

/* Writes a prompt that asks a model such as CodeGemma for the text between a
 * prefix and a suffix. path: the path of the file that contains them, or null.
 * Fails if the model was not trained to fill gaps. gemma/fill_in_middle.h
 * describes the prompt; its C++ interface also accepts other files. */
GEMMA_EXPORT gemma_status gemma_fill_prompt(
    const gemma_model* model, const char* prefix, size_t prefix_size,
    const char* suffix, size_t suffix_size, const char* path, int32_t* tokens,
    size_t capacity, size_t* size);
/* Writes the tokens that end the filled-in text, for
 * gemma_generate_options.stop_tokens. */
GEMMA_EXPORT gemma_status gemma_fill_stop_tokens(const gemma_model* model,
                                                 int32_t* tokens,
                                                 size_t capacity, size_t* size);

/* ---- Sessions */

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

/* Sets the defaults. */
GEMMA_EXPORT void gemma_session_options_init(gemma_session_options* options);

/* Creates a session with an empty sequence. It shares what the model loaded, so
 * the model may be freed first. Free *session with gemma_session_free. options:
 * null for the defaults. */
GEMMA_EXPORT gemma_status gemma_session_create(
    const gemma_model* model, const gemma_session_options* options,
    gemma_session** session);
/* Frees the session. Null is allowed. */
GEMMA_EXPORT void gemma_session_free(gemma_session* session);

/* Returns the number of tokens in the session. */
GEMMA_EXPORT size_t gemma_session_position(const gemma_session* session);
/* Returns the number of tokens that still fit. */
GEMMA_EXPORT size_t gemma_session_remaining(const gemma_session* session);

/* Appends one or more tokens. logits: null, or receives a pointer to the
 * [vocab_size] logits of the next token, valid until the session's next call.
 * Changes nothing, with GEMMA_INVALID_ARGUMENT if a token is not in the
 * vocabulary and GEMMA_OUT_OF_RANGE if the tokens do not fit. */
GEMMA_EXPORT gemma_status gemma_session_forward(gemma_session* session,
                                                const int32_t* tokens,
                                                size_t num_tokens,
                                                const float** logits);
/* Keeps only the first `position` tokens. GEMMA_OUT_OF_RANGE if the session has
 * fewer. */
GEMMA_EXPORT gemma_status gemma_session_rewind(gemma_session* session,
                                               size_t position);
/* Saves the state here, so that a later rewind to this position is cheap. If
 * this fails, that rewind takes longer. */
GEMMA_EXPORT void gemma_session_checkpoint(gemma_session* session);

/* ---- Answers */

/* Creates a switch that any thread may turn on to end gemma_generate. It stays
 * on until it is reset. Returns null if memory runs out. */
GEMMA_EXPORT gemma_cancellation* gemma_cancellation_create(void);
/* Frees the switch. No call of gemma_generate may still use it. Null is
 * allowed. */
GEMMA_EXPORT void gemma_cancellation_free(gemma_cancellation* cancellation);
/* Turns the switch on. */
GEMMA_EXPORT void gemma_cancellation_cancel(gemma_cancellation* cancellation);
/* Turns the switch off again. */
GEMMA_EXPORT void gemma_cancellation_reset(gemma_cancellation* cancellation);

/* The kind of text that an answer must be. */
typedef enum gemma_grammar {
  GEMMA_GRAMMAR_NONE = 0,        /* any text */
  GEMMA_GRAMMAR_JSON = 1,        /* any JSON value */
  GEMMA_GRAMMAR_JSON_SCHEMA = 2, /* a JSON value that matches a schema */
  GEMMA_GRAMMAR_REGEX = 3,       /* a text that matches an expression */
  GEMMA_GRAMMAR_CHOICES = 4      /* one of several texts */
} gemma_grammar;

/* How to generate, and when to stop. */
typedef struct gemma_generate_options {
  size_t struct_size;              /* set by gemma_generate_options_init */
  size_t max_new_tokens;           /* 0: until the session is full */
  float temperature;               /* 0: choose the most probable token */
  size_t top_k;                    /* 0: all */
  float top_p;                     /* 1: all */
  float min_p;                     /* 0: all */
  uint64_t seed;                   /* the same seed gives the same choices */
  const char* const* stop_strings; /* texts that end the answer */
  size_t num_stop_strings;         /* size of stop_strings */
  bool speculate; /* guess tokens if it saves time; the answer is the same */
  const gemma_cancellation* cancellation; /* may be null */
  double timeout_seconds; /* the answer ends after this time; 0: no limit */
  gemma_grammar grammar;  /* see gemma/grammar.h */
  const char* const* grammar_texts; /* the choices, schema or expression */
  size_t num_grammar_texts;         /* size of grammar_texts */
  const int32_t* stop_tokens;       /* end the answer, as the model's own do */
  size_t num_stop_tokens;           /* size of stop_tokens */
  /* If not null, receives the parts of the answer; on_text then receives only
   * its text, without thoughts and calls. Must be made for the session's
   * model. */
  gemma_answer* answer;
  /* Needs `answer`: receives what the model thinks. Return false to end the
   * answer. May be null. */
  bool (*on_thoughts)(const char* text, size_t size, void* user);
} gemma_generate_options;

/* Sets the defaults. */
GEMMA_EXPORT void gemma_generate_options_init(gemma_generate_options* options);

/* The reason why an answer ended. */
typedef enum gemma_stop_reason {
  GEMMA_STOP_TOKEN = 0,        /* a stop token: the end of a text or turn */
  GEMMA_STOP_STRING = 1,       /* one of the stop strings */
  GEMMA_STOP_MAX_TOKENS = 2,   /* max_new_tokens */
  GEMMA_STOP_CONTEXT_FULL = 3, /* the session has no room for a token */
  GEMMA_STOP_CANCELLED = 4,    /* cancellation, or on_text returned false */
  GEMMA_STOP_DEADLINE = 5,     /* timeout_seconds */
  GEMMA_STOP_GRAMMAR_END = 6   /* the grammar allows no more text */
} gemma_stop_reason;

/* Counts and times of an answer. */
typedef struct gemma_generate_stats {
  size_t struct_size;            /* set by gemma_generate_stats_init */
  size_t prompt_tokens;          /* appended before the answer */
  size_t new_tokens;             /* in the answer */
  double prefill_seconds;        /* until the first token's logits */
  double decode_seconds;         /* after that */
  gemma_stop_reason stop_reason; /* why the answer ended */
} gemma_generate_stats;

/* Sets struct_size, and all other fields to 0. */
GEMMA_EXPORT void gemma_generate_stats_init(gemma_generate_stats* stats);

/* Receives text[0, size): whole characters, without a terminating 0. Return
 * false to end the answer. */
typedef bool (*gemma_text_callback)(const char* text, size_t size, void* user);

/* Appends the prompt to the session, then generates tokens until the answer
 * ends. Calls on_text (which may be null) with each new piece of its text. A
 * cancelled answer or a timeout is not an error: see the stop reason. options:
 * null for the defaults. user: passed to on_text and on_thoughts. stats: may be
 * null. */
GEMMA_EXPORT gemma_status gemma_generate(
    gemma_session* session, const int32_t* prompt, size_t prompt_size,
    const gemma_generate_options* options, gemma_text_callback on_text,
    void* user, gemma_generate_stats* stats);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_API_H_ */

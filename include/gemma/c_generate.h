/* Generating text, for C. */

#ifndef GEMMA_C_GENERATE_H_
#define GEMMA_C_GENERATE_H_

#include "gemma/c_grammar.h"
#include "gemma/c_session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A switch that ends an answer. It is off at first. */
typedef struct gemma_cancellation gemma_cancellation;
/* The parts of an answer: thoughts, text and calls; see gemma/c_chat.h. */
typedef struct gemma_answer gemma_answer;

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

/* A token and its log-probability. This struct never grows. */
typedef struct gemma_token_probability {
  int32_t token;          /* its index in the vocabulary */
  const char* piece;      /* as gemma_token_piece writes it; valid as the model
                           * is */
  size_t piece_size;      /* in bytes */
  double log_probability; /* in nats, at most 0; NaN if a logit is NaN */
} gemma_token_probability;

/* A token of a sequence and the model's prediction at its position. */
typedef struct gemma_scored_token {
  size_t struct_size;       /* of the library that calls */
  int32_t token;            /* its index in the vocabulary */
  bool has_log_probability; /* false for the first token of a prompt */
  const char* piece;        /* as in gemma_token_probability */
  size_t piece_size;        /* in bytes */
  double log_probability;   /* likewise; 0 if it has none */
  const gemma_token_probability* alternatives; /* the most probable tokens, in
                                                * descending order */
  size_t num_alternatives;                     /* size of alternatives */
} gemma_scored_token;

/* A value that is added to the logit of a token. This struct never grows. */
typedef struct gemma_logit_bias {
  int32_t token; /* at most once in a list */
  float bias;    /* -infinity: the token is never chosen */
} gemma_logit_bias;

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
  float typical_p;          /* 1: all; see SamplingOptions in gemma/sampler.h */
  float repetition_penalty; /* 1: off */
  float frequency_penalty;  /* 0: off */
  float presence_penalty;   /* 0: off */
  size_t penalty_window;    /* tokens that penalties count; 0: all */
  const gemma_logit_bias* logit_bias; /* null if num_logit_bias is 0 */
  size_t num_logit_bias;              /* size of logit_bias */
  size_t min_new_tokens;   /* until then, no stop token or string counts */
  size_t min_indent;       /* LineLimits::min_indent in gemma/generate.h */
  double max_line_seconds; /* LineLimits::max_seconds; 0: no limit */
  /* If not null, the answer is one of its texts; `grammar` must then be
   * GEMMA_GRAMMAR_NONE. */
  const gemma_compiled_grammar* compiled_grammar;
  /* Called after each pass of the prompt with the tokens done and all. May be
   * null, like the next two. */
  void (*on_prompt)(size_t done, size_t total, void* user);
  /* Receives each new token before its text, but no stop token unless
   * score_stop is set. Valid during the call. */
  void (*on_token)(const gemma_scored_token* token, void* user);
  /* Receives each control token of the answer that does not end it. */
  void (*on_control)(int32_t token, void* user);
  size_t num_alternatives;   /* that on_token receives with each token */
  const size_t* checkpoints; /* token counts within the prompt, ascending, where
                              * the session keeps a checkpoint */
  size_t num_checkpoints;    /* size of checkpoints */
  bool prompt_only;          /* read the prompt, choose no token */
  bool fill_sampling;        /* end where a stop is about as probable */
  bool score_prompt;         /* on_token receives the prompt's tokens, too */
  bool score_stop;           /* on_token receives the stop token, too */
} gemma_generate_options;

/* Sets the defaults. size: sizeof(gemma_generate_options). */
GEMMA_EXPORT void gemma_generate_options_init(gemma_generate_options* options,
                                              size_t size);

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

/* Returns the name of a reason in results, for example "stop_token", or "" for
 * a number without one. Valid forever. */
GEMMA_EXPORT const char* gemma_stop_reason_name(gemma_stop_reason reason);

/* Counts and times of an answer. */
typedef struct gemma_generate_stats {
  size_t struct_size;            /* set by gemma_generate_stats_init */
  size_t prompt_tokens;          /* appended before the answer */
  size_t new_tokens;             /* in the answer */
  double prefill_seconds;        /* until the first token's logits */
  double decode_seconds;         /* after that */
  gemma_stop_reason stop_reason; /* why the answer ended */
  size_t reused_tokens;          /* of the prompt, computed before */
  size_t drafted_tokens;         /* guessed */
  size_t accepted_tokens;        /* guessed correctly, which saved a pass */
} gemma_generate_stats;

/* Sets struct_size, and all other fields to 0. size:
 * sizeof(gemma_generate_stats). */
GEMMA_EXPORT void gemma_generate_stats_init(gemma_generate_stats* stats,
                                            size_t size);

/* Receives text[0, size): whole characters, without a terminating 0. Return
 * false to end the answer. */
typedef bool (*gemma_text_callback)(const char* text, size_t size, void* user);

/* Appends the prompt to the session, then generates tokens until the answer
 * ends. Calls on_text (which may be null) with each new piece of its text. A
 * cancelled answer or a timeout is not an error: see the stop reason. options:
 * null for the defaults. user: passed to on_text and the functions of the
 * options. stats: may be null. */
GEMMA_EXPORT gemma_status gemma_generate(
    gemma_session* session, const int32_t* prompt, size_t prompt_size,
    const gemma_generate_options* options, gemma_text_callback on_text,
    void* user, gemma_generate_stats* stats);
/* The same for a prompt of words. Penalties do not count rows, and on_token
 * does not receive them. */
GEMMA_EXPORT gemma_status gemma_generate_words(
    gemma_session* session, const gemma_words* prompt,
    const gemma_generate_options* options, gemma_text_callback on_text,
    void* user, gemma_generate_stats* stats);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_GENERATE_H_ */

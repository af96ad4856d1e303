/* Many requests at once, for C; see gemma/engine.h.
 *
 *     gemma_request request;
 *     gemma_request_init(&request, sizeof(request));
 *     request.prompt = prompt;
 *     request.prompt_size = prompt_size;
 *     gemma_engine_submit(engine, &request, &ticket);
 *     gemma_completion answer;
 *     gemma_completion_init(&answer, sizeof(answer));
 *     if (gemma_ticket_wait(ticket, &answer) == GEMMA_OK) puts(answer.text);
 *     gemma_ticket_free(ticket);
 */

#ifndef GEMMA_C_ENGINE_H_
#define GEMMA_C_ENGINE_H_

#include "gemma/c_embedder.h"
#include "gemma/c_features.h"
#include "gemma/c_generate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Computes requests together, on a thread of its own. Any thread may use it. */
typedef struct gemma_engine gemma_engine;
/* The answer to a request. Any thread may use it. */
typedef struct gemma_ticket gemma_ticket;
/* A limit of memory that several engines share. Any thread may use it. */
typedef struct gemma_memory_budget gemma_memory_budget;

/* ---- Memory that engines share */

/* Creates a limit; see gemma/memory_budget.h. max_bytes: 0 only counts. Free
 * *budget with gemma_memory_budget_free. */
GEMMA_EXPORT gemma_status
gemma_memory_budget_create(uint64_t max_bytes, gemma_memory_budget** budget);
/* Gives the limit up: engines that were created with it keep it. Null is
 * allowed. */
GEMMA_EXPORT void gemma_memory_budget_free(gemma_memory_budget* budget);
/* Counts bytes that no engine counts, such as weights.
 * GEMMA_RESOURCE_EXHAUSTED if they do not fit. */
GEMMA_EXPORT gemma_status
gemma_memory_budget_reserve(gemma_memory_budget* budget, uint64_t bytes);
/* Gives back bytes that were reserved. */
GEMMA_EXPORT void gemma_memory_budget_release(gemma_memory_budget* budget,
                                              uint64_t bytes);
/* Returns the bytes that are held or reserved. */
GEMMA_EXPORT uint64_t
gemma_memory_budget_bytes(const gemma_memory_budget* budget);
/* Returns the limit, or 0. */
GEMMA_EXPORT uint64_t
gemma_memory_budget_max_bytes(const gemma_memory_budget* budget);

/* ---- Engines */

/* Limits of an engine; see EngineOptions in gemma/engine.h. */
typedef struct gemma_engine_options {
  size_t struct_size;           /* set by gemma_engine_options_init */
  size_t max_tokens;            /* of each request's sequence */
  size_t max_sequences;         /* requests that run at the same time */
  size_t max_queued;            /* requests that wait, of all clients */
  size_t max_queued_per_client; /* requests of one client that wait */
  uint64_t reuse_bytes;         /* kept for prompts with the same beginning */
  uint64_t grammar_bytes; /* of grammars that gemma_engine_compile keeps */
  uint64_t max_bytes;     /* that the engine holds; 0: only limits above */
  const gemma_memory_budget* budget; /* may be null */
  gemma_cache_format cache_format;   /* of keys and values */
  /* Called by the engine's thread after functions of requests: before each pass
   * and before it waits; see EngineOptions. The rules of gemma_request's
   * functions hold, but `user` must stay valid until gemma_engine_free has
   * returned. May be null. */
  void (*between_passes)(void* user);
  void* user; /* passed to between_passes */
} gemma_engine_options;

/* Sets the defaults. size: sizeof(gemma_engine_options). */
GEMMA_EXPORT void gemma_engine_options_init(gemma_engine_options* options,
                                            size_t size);

/* Creates an engine, which shares what the model loaded. Free *engine with
 * gemma_engine_free. options: null for the defaults. */
GEMMA_EXPORT gemma_status
gemma_engine_create(const gemma_model* model,
                    const gemma_engine_options* options, gemma_engine** engine);
/* Cancels all requests, waits until they have ended, and frees the engine. In a
 * function of a request, it returns at once, and they end soon after. Tickets
 * stay valid. Null is allowed. */
GEMMA_EXPORT void gemma_engine_free(gemma_engine* engine);
/* Writes the memory of the model and of an engine with these options when all
 * sequences run. options: null for the defaults. */
GEMMA_EXPORT gemma_status
gemma_engine_memory(const gemma_model* model,
                    const gemma_engine_options* options, gemma_memory_use* use);
/* Compiles a grammar once: the engine keeps it, so that many requests with one
 * source compile it once. As gemma_grammar_compile. */
GEMMA_EXPORT gemma_status
gemma_engine_compile(gemma_engine* engine, const gemma_grammar_source* source,
                     gemma_compiled_grammar** grammar);

/* ---- Answers */

/* The score of a choice: natural logarithms of probabilities. This struct never
 * grows. */
typedef struct gemma_choice_score {
  double log_probability;                /* of the whole choice */
  const double* token_log_probabilities; /* of each of its tokens */
  size_t num_tokens;                     /* size of the list */
  bool is_greedy; /* each token is the most probable after those before it */
} gemma_choice_score;

/* The answer to a request. Pointers are valid as long as the ticket or, in
 * on_done, during the call. */
typedef struct gemma_completion {
  size_t struct_size;          /* set by gemma_completion_init */
  const char* text;            /* the whole text, terminated by 0 */
  size_t text_size;            /* in bytes, without the 0 */
  const int32_t* tokens;       /* without a stop token */
  size_t num_tokens;           /* size of tokens */
  const double* token_seconds; /* [num_tokens]: from the submission to each */
  size_t prompt_tokens;        /* in the sequence */
  size_t reused_tokens;        /* of them, computed by other requests */
  double queued_seconds;       /* until the engine began the prompt */
  double prefill_seconds;      /* until the first token's logits */
  double decode_seconds;       /* after that */
  const gemma_choice_score* scores; /* one for each choice of the request */
  size_t num_scores;                /* size of scores */
  const float* embeddings;          /* [texts, embedding_dim], or null */
  size_t embedding_dim;             /* values of a vector, or 0 */
  const size_t* text_tokens;        /* [texts]: tokens of each, or null */
  size_t num_texts;                 /* size of text_tokens */
  const size_t* truncated;          /* indices of cut texts, ascending */
  size_t num_truncated;             /* size of truncated */
  gemma_stop_reason stop_reason;    /* why the answer ended */
} gemma_completion;

/* Sets struct_size, and all other fields to 0. size:
 * sizeof(gemma_completion). */
GEMMA_EXPORT void gemma_completion_init(gemma_completion* completion,
                                        size_t size);

/* ---- Requests */

/* A request to an engine; see Request in gemma/engine.h.
 *
 * gemma_engine_submit copies what the pointers show, except the functions with
 * `user`, options->cancellation and options->answer: these must stay valid
 * until the ticket is done, or was freed outside the functions of requests. The
 * engine's thread calls the functions between passes. All requests wait while
 * one runs, so it must not wait for anything. They may submit requests, cancel
 * tickets and use sessions of the model; gemma_ticket_wait for the same engine
 * fails in them. */
typedef struct gemma_request {
  size_t struct_size;    /* set by gemma_request_init */
  const int32_t* prompt; /* as for gemma_generate */
  size_t prompt_size;    /* size of prompt */
  /* Null for the defaults. `speculate` and `checkpoints` have no effect: the
   * engine does not guess tokens and keeps its own checkpoints. timeout_seconds
   * begins with the submission. */
  const gemma_generate_options* options;
  gemma_text_callback on_text; /* may be null */
  /* Called once, just before the ticket is done: the last call of a function of
   * the request. completion: null after a failure, whose message is
   * gemma_last_error. It may free the ticket. May be null. */
  void (*on_done)(gemma_status status, const gemma_completion* completion,
                  void* user);
  void* user;         /* passed to all functions of the request */
  const char* client; /* whom it counts against; null: "" */
  /* If not null, the request has no answer: gemma_completion.scores has the
   * probability that each choice follows the prompt. */
  const gemma_tokens* choices;
  size_t num_choices; /* size of choices */
  /* See and may change the activations of this request; at most one of them.
   * tap is called with `user`. May be null. */
  gemma_tap_function tap;
  const gemma_feature_tap* feature_tap; /* likewise; of the engine's model */
  /* Texts to embed, for an engine of a model that embeds texts. Then only the
   * cancellation and the time limit of `options` count. */
  const gemma_text* texts;
  size_t num_texts;                 /* size of texts */
  const gemma_embed_options* embed; /* how to embed; null: the defaults */
  /* If not null, the prompt; prompt_size must then be 0. */
  const gemma_words* words;
} gemma_request;

/* Sets struct_size, and all other fields to 0. size: sizeof(gemma_request). */
GEMMA_EXPORT void gemma_request_init(gemma_request* request, size_t size);

/* Queues a request and returns at once. Free *ticket with gemma_ticket_free.
 * Fails as gemma_generate does, and with GEMMA_RESOURCE_EXHAUSTED if the queue
 * is full. *ticket is set before a function of the request is called. */
GEMMA_EXPORT gemma_status gemma_engine_submit(gemma_engine* engine,
                                              const gemma_request* request,
                                              gemma_ticket** ticket);

/* ---- Tickets */

/* Cancels the request, and waits until the engine calls its functions no more,
 * unless the request waits for the caller. Null is allowed. */
GEMMA_EXPORT void gemma_ticket_free(gemma_ticket* ticket);
/* Ends the request soon, with GEMMA_STOP_CANCELLED and the text so far. */
GEMMA_EXPORT void gemma_ticket_cancel(gemma_ticket* ticket);
/* Returns whether the answer is there: gemma_ticket_wait returns at once. */
GEMMA_EXPORT bool gemma_ticket_done(const gemma_ticket* ticket);
/* Waits for the answer, and returns its status. completion: may be null. A
 * cancelled or late request is not an error: see its stop reason.
 * GEMMA_FAILED_PRECONDITION at once if the request waits for the caller. */
GEMMA_EXPORT gemma_status gemma_ticket_wait(gemma_ticket* ticket,
                                            gemma_completion* completion);

/* When the parts of a request happened, in seconds since it was submitted; -1
 * for what has not happened yet, or never will. */
typedef struct gemma_request_times {
  size_t struct_size; /* set by gemma_request_times_init */
  double started;     /* the engine began to read the prompt */
  double first_token; /* the logits of the first token were there */
  double last_token;  /* and those of the last one so far */
  double ended;       /* the answer is complete, or an error */
  size_t num_tokens;  /* so far, without a stop token */
} gemma_request_times;

/* Sets struct_size, and all other fields to 0. size:
 * sizeof(gemma_request_times). */
GEMMA_EXPORT void gemma_request_times_init(gemma_request_times* times,
                                           size_t size);
/* Writes the times so far. Never waits for a pass. */
GEMMA_EXPORT gemma_status gemma_ticket_times(const gemma_ticket* ticket,
                                             gemma_request_times* times);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_ENGINE_H_ */

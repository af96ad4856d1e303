/* What an engine does at one moment, for C. */

#ifndef GEMMA_C_SNAPSHOT_H_
#define GEMMA_C_SNAPSHOT_H_

#include "gemma/c_engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The state of an engine. The fields are those of EngineSnapshot in
 * gemma/engine_metrics.h, which explains them. */
typedef struct gemma_engine_snapshot {
  size_t struct_size;             /* set by gemma_engine_snapshot_init */
  uint64_t submitted;             /* requests that the engine took */
  size_t queued;                  /* without a place yet */
  size_t queued_tokens;           /* in their prompts */
  size_t running;                 /* at most max_sequences */
  size_t max_sequences;           /* of the options */
  uint64_t ended[16];             /* by gemma_stop_reason; the rest are 0 */
  uint64_t failed;                /* ended with an error */
  uint64_t refused;               /* because the queue was full */
  uint64_t interrupted_in_queue;  /* cancelled or late, before they started */
  uint64_t interrupted_in_prompt; /* while the prompt was read */
  uint64_t interrupted_in_answer; /* after that */
  uint64_t passes;                /* of the model */
  uint64_t rows;                  /* of all passes */
  size_t last_rows;               /* of the last pass */
  double pass_seconds;            /* of all passes together */
  uint64_t computed_tokens;       /* of prompts */
  uint64_t reused_tokens;         /* of prompts, taken from caches */
  uint64_t new_tokens;            /* of answers, without stop tokens */
  uint64_t running_tokens;        /* in sequences of running requests */
  uint64_t running_bytes;         /* of these sequences */
  size_t kept_sequences;          /* of ended requests, for reuse */
  uint64_t kept_tokens;           /* of these sequences */
  size_t grammars;                /* that gemma_engine_compile keeps */
  uint64_t grammar_bytes;         /* of these grammars */
  uint64_t grammar_hits;          /* calls that found one */
  uint64_t grammar_misses;        /* calls that compiled one, or failed */
  uint64_t reuse_bytes;           /* kept for reuse */
  uint64_t max_reuse_bytes;       /* of the options */
  uint64_t logits_bytes;          /* of passes */
  uint64_t bytes;                 /* running, reuse and logits */
  uint64_t max_bytes;             /* of the options */
} gemma_engine_snapshot;

/* Sets struct_size, and all other fields to 0. size:
 * sizeof(gemma_engine_snapshot). */
GEMMA_EXPORT void gemma_engine_snapshot_init(gemma_engine_snapshot* snapshot,
                                             size_t size);
/* Writes the engine's state at this moment. Any thread may call it, also in
 * functions of requests and in taps. Never waits for a pass. */
GEMMA_EXPORT gemma_status gemma_engine_get_snapshot(
    const gemma_engine* engine, gemma_engine_snapshot* snapshot);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_SNAPSHOT_H_ */

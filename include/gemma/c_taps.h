/* Reading and changing activations, for C; see gemma/taps.h. */

#ifndef GEMMA_C_TAPS_H_
#define GEMMA_C_TAPS_H_

#include "gemma/c_session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The points, in the order of TapPoint in gemma/taps.h, which says what they
 * are and how wide. */
typedef enum gemma_tap_point {
  GEMMA_TAP_EMBEDDING = 0,
  GEMMA_TAP_MIX_INPUT = 1,
  GEMMA_TAP_MIX_HIDDEN = 2,
  GEMMA_TAP_MIX_OUTPUT = 3,
  GEMMA_TAP_MIXED_STREAM = 4,
  GEMMA_TAP_FFW_INPUT = 5,
  GEMMA_TAP_FFW_HIDDEN = 6,
  GEMMA_TAP_EXPERT_INPUT = 7,
  GEMMA_TAP_EXPERT_CHOICE = 8,
  GEMMA_TAP_EXPERT_HIDDEN = 9,
  GEMMA_TAP_FFW_OUTPUT = 10,
  GEMMA_TAP_PER_LAYER_INPUT = 11,
  GEMMA_TAP_PER_LAYER_HIDDEN = 12,
  GEMMA_TAP_PER_LAYER_OUTPUT = 13,
  GEMMA_TAP_BLOCK_OUTPUT = 14,
  GEMMA_TAP_HEAD_INPUT = 15
} gemma_tap_point;

/* The origin of activations. */
typedef struct gemma_tap_site {
  size_t struct_size;    /* of the library that calls */
  gemma_tap_point point; /* the kind of activations */
  size_t layer;          /* from 0; see TapSite in gemma/taps.h */
  size_t position;       /* of the first row */
  size_t num_rows;       /* at consecutive positions */
} gemma_tap_site;

/* Receives activations [num_rows, size / num_rows], row-major, and may change
 * them. It runs on the thread that computes: the caller's, or that of an
 * engine, and the model computes nothing else meanwhile. Functions that compute
 * with the model or change, copy or save a session of it fail with
 * GEMMA_FAILED_PRECONDITION in it. gemma_session_set_tap may set another tap,
 * for the next call. See TapFunction in gemma/taps.h. */
typedef void (*gemma_tap_function)(const gemma_tap_site* site,
                                   float* activations, size_t size, void* user);

/* Calls `tap` in every pass of the session from now on; null removes it. user:
 * passed to `tap`, which must stay valid as long as it is set. */
GEMMA_EXPORT gemma_status gemma_session_set_tap(gemma_session* session,
                                                gemma_tap_function tap,
                                                void* user);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_TAPS_H_ */

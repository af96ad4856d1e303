/* libgemma for C, and for languages that call C.
 *
 * Functions that can fail return a gemma_status: GEMMA_OK is 0; after any other
 * value, gemma_last_error() returns the message. A pointer may be null only
 * where the function's comment allows it. For a null pointer elsewhere, the
 * status is GEMMA_INVALID_ARGUMENT; a function without a status returns 0,
 * false, -1 or "", or does nothing. A function that fails leaves its outputs
 * unchanged, except *size, see gemma/c_tokens.h. Texts are UTF-8.
 *
 * Options and results are structs that begin with their size: call the
 * ..._init function with the sizeof of the struct, then change the fields you
 * need. A program keeps working with newer libraries of the same minor version,
 * because new fields are only added at the end. Structs whose comment says that
 * they never grow, which come in arrays, have no size.
 *
 * Several threads may use a model at the same time; only one thread at a time
 * may use a session. Objects may be freed in any order, except a cancellation,
 * grammar or answer that a call or request still uses: sessions, engines, chats
 * and all others share what the model loaded, and the last of them frees it. No
 * function here aborts, prints or throws. Functions of the caller that the
 * library calls must not unwind the stack (longjmp).
 *
 *     gemma_model* model = NULL;
 *     if (gemma_model_load("model.gguf", NULL, &model) != GEMMA_OK)
 *       puts(gemma_last_error());
 */

#ifndef GEMMA_C_API_H_
#define GEMMA_C_API_H_

#include "gemma/c_chat.h"
#include "gemma/c_classifier.h"
#include "gemma/c_config.h"
#include "gemma/c_embedder.h"
#include "gemma/c_engine.h"
#include "gemma/c_features.h"
#include "gemma/c_generate.h"
#include "gemma/c_grammar.h"
#include "gemma/c_model.h"
#include "gemma/c_quantize.h"
#include "gemma/c_score.h"
#include "gemma/c_session.h"
#include "gemma/c_snapshot.h"
#include "gemma/c_status.h"
#include "gemma/c_taps.h"
#include "gemma/c_tokens.h"
#include "gemma/c_words.h"

#endif /* GEMMA_C_API_H_ */

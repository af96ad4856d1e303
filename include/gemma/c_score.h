/* The probabilities of given continuations, for C; see gemma/score.h. */

#ifndef GEMMA_C_SCORE_H_
#define GEMMA_C_SCORE_H_

#include "gemma/c_session.h"
#include "gemma/c_tokens.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Appends the prompt to the session, once, and writes the natural logarithm of
 * the probability that each choice follows it to `scores`, [num_choices].
 * token_scores: null, or receives those of all tokens of all choices, in order,
 * which add up to the scores: [the sum of the sizes of choices]. is_greedy:
 * null, or receives whether each token of a choice is the most probable after
 * those before it, [num_choices]. Afterwards the session holds the prompt, but
 * no choice. Fails and changes nothing if the prompt, the list of choices or a
 * choice is empty, if they do not fit, if a token is not in the vocabulary, or
 * if a logit is not a number (GEMMA_DATA_LOSS). */
GEMMA_EXPORT gemma_status gemma_score(gemma_session* session,
                                      const int32_t* prompt, size_t prompt_size,
                                      const gemma_tokens* choices,
                                      size_t num_choices, double* scores,
                                      double* token_scores, bool* is_greedy);
/* The same after a prompt of words. */
GEMMA_EXPORT gemma_status gemma_score_words(gemma_session* session,
                                            const gemma_words* prompt,
                                            const gemma_tokens* choices,
                                            size_t num_choices, double* scores,
                                            double* token_scores,
                                            bool* is_greedy);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_SCORE_H_ */

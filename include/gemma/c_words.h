/* Rows of values that a model reads in place of tokens, such as an image, for
 * C; see gemma/words.h.
 *
 *     gemma_input_rows_create(values, num_rows, model_dim,
 *                             GEMMA_ROWS_BIDIRECTIONAL, &rows);
 *     gemma_words_create(&prompt);
 *     gemma_words_add_tokens(prompt, before, num_before);
 *     gemma_words_add_rows(prompt, rows);
 *     gemma_words_add_tokens(prompt, after, num_after);
 *     gemma_session_forward_words(session, prompt, 0, &logits);
 *
 * Sessions (gemma/c_session.h), gemma_generate_words, gemma_score_words and
 * gemma_request.words take words.
 */

#ifndef GEMMA_C_WORDS_H_
#define GEMMA_C_WORDS_H_

#include "gemma/c_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows of values. They never change: any thread may use them. */
typedef struct gemma_input_rows gemma_input_rows;
/* A list of words: each is a token or a row. While a thread changes it, no
 * other thread may use it. */
typedef struct gemma_words gemma_words;

/* Stands for a row in lists of tokens. Functions that accept tokens refuse
 * it. */
#define GEMMA_ROW_TOKEN (-1)

/* The positions that rows attend to. */
typedef enum gemma_row_mask {
  GEMMA_ROWS_CAUSAL = 0,       /* as tokens in their place */
  GEMMA_ROWS_BIDIRECTIONAL = 1 /* also later rows of the same object */
} gemma_row_mask;

/* Copies rows of values, [num_rows, model_dim]. Each replaces the embedding of
 * a token after scaling. Free *rows with gemma_input_rows_free.
 * GEMMA_INVALID_ARGUMENT if there is no value, or if one is not finite. */
GEMMA_EXPORT gemma_status gemma_input_rows_create(const float* values,
                                                  size_t num_rows,
                                                  size_t model_dim,
                                                  gemma_row_mask mask,
                                                  gemma_input_rows** rows);
/* Gives the rows up: lists of words and sessions that have them keep them. Null
 * is allowed. */
GEMMA_EXPORT void gemma_input_rows_free(gemma_input_rows* rows);
/* Returns the number of rows. */
GEMMA_EXPORT size_t gemma_input_rows_size(const gemma_input_rows* rows);
/* Returns the number of values in a row. */
GEMMA_EXPORT size_t gemma_input_rows_model_dim(const gemma_input_rows* rows);

/* Creates an empty list. Free *words with gemma_words_free. */
GEMMA_EXPORT gemma_status gemma_words_create(gemma_words** words);
/* Frees the list. Null is allowed. */
GEMMA_EXPORT void gemma_words_free(gemma_words* words);
/* Adds tokens at the end. */
GEMMA_EXPORT gemma_status gemma_words_add_tokens(gemma_words* words,
                                                 const int32_t* tokens,
                                                 size_t num_tokens);
/* Adds all rows at the end, a word for each, without a copy of their values. */
GEMMA_EXPORT gemma_status gemma_words_add_rows(gemma_words* words,
                                               const gemma_input_rows* rows);
/* Returns the number of words. */
GEMMA_EXPORT size_t gemma_words_size(const gemma_words* words);
/* Writes the tokens, with GEMMA_ROW_TOKEN in place of each row; see
 * gemma/c_tokens.h for capacity and size. */
GEMMA_EXPORT gemma_status gemma_words_tokens(const gemma_words* words,
                                             int32_t* tokens, size_t capacity,
                                             size_t* size);
/* Returns the last position up to `position` where the list can be divided: a
 * session cannot be rewound into bidirectional rows, but to the first of
 * them. */
GEMMA_EXPORT size_t gemma_words_whole(const gemma_words* words,
                                      size_t position);
/* Keeps the first gemma_words_whole(words, size) words. */
GEMMA_EXPORT void gemma_words_truncate(gemma_words* words, size_t size);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_WORDS_H_ */

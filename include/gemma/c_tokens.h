/* Texts, turns and gaps to tokens and back, for C. */

#ifndef GEMMA_C_TOKENS_H_
#define GEMMA_C_TOKENS_H_

#include "gemma/c_model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Functions that write tokens or text set *size to the size of the whole
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
/* Returns the token that ends a text, or -1 likewise. */
GEMMA_EXPORT int32_t gemma_eos_token(const gemma_model* model);
/* Writes the piece of a token as the vocabulary spells it, without a
 * terminating 0; nothing if the token does not exist. */
GEMMA_EXPORT gemma_status gemma_token_piece(const gemma_model* model,
                                            int32_t token, char* text,
                                            size_t capacity, size_t* size);
/* Returns whether the token is a control token. Text never becomes one. */
GEMMA_EXPORT bool gemma_is_control_token(const gemma_model* model,
                                         int32_t token);

/* A list of tokens. This struct never grows. */
typedef struct gemma_tokens {
  const int32_t* tokens; /* may be null if size is 0 */
  size_t size;           /* of tokens */
} gemma_tokens;

/* A text, UTF-8. This struct never grows. */
typedef struct gemma_text {
  const char* text; /* need not end with 0; may be null if size is 0 */
  size_t size;      /* in bytes */
} gemma_text;

/* The author of a message. */
typedef enum gemma_role {
  GEMMA_ROLE_SYSTEM = 0,
  GEMMA_ROLE_USER = 1,
  GEMMA_ROLE_MODEL = 2,
  GEMMA_ROLE_TOOL = 3,     /* the result of a call; see gemma/c_chat.h */
  GEMMA_ROLE_DEVELOPER = 4 /* as system, under another name */
} gemma_role;

/* One message of a chat. This struct never grows. */
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

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_TOKENS_H_ */

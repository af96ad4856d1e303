/* Chats with tools and thoughts, for C. gemma_chat_prompt of gemma/c_tokens.h
 * is enough for chats of plain text.
 *
 * A gemma_chat holds messages and what the prompt says besides them. A
 * gemma_answer holds the parts of an answer: its text, what the model thought
 * first, and calls of tools. JSON texts have the forms of
 * gemma/chat_template.h; all conventions are those of gemma/c_api.h.
 *
 *     gemma_chat_add(chat, GEMMA_ROLE_USER, "How late is it?");
 *     options.answer = answer;
 *     ... gemma_chat_render(chat, ...), gemma_generate(..., &options, ...) ...
 *     gemma_chat_add_answer(chat, answer);
 *     if (gemma_answer_num_calls(answer) > 0)
 *       gemma_chat_add_result(chat, NULL, NULL, "noon");
 */

#ifndef GEMMA_C_CHAT_H_
#define GEMMA_C_CHAT_H_

#include "gemma/c_generate.h"
#include "gemma/c_tokens.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Chats */

/* The messages of a chat, and what its prompt says besides. */
typedef struct gemma_chat gemma_chat;

/* Whether the model thinks before it answers. */
typedef enum gemma_thinking {
  GEMMA_THINKING_DEFAULT = 0, /* as the template does; Gemma 4: off */
  GEMMA_THINKING_OFF = 1,
  GEMMA_THINKING_ON = 2
} gemma_thinking;

/* Creates a chat without messages, with the turns that the model uses. It
 * shares what the model loaded, so the model may be freed first. Free *chat
 * with gemma_chat_free. Fails if the model does not chat. */
GEMMA_EXPORT gemma_status gemma_chat_create(const gemma_model* model,
                                            gemma_chat** chat);
/* Frees the chat. Null is allowed. */
GEMMA_EXPORT void gemma_chat_free(gemma_chat* chat);

/* Declares the tools that the model may call: a JSON list of declarations,
 * [{"type": "function", "function": {"name", "description", "parameters": a
 * JSON schema}}]. Null or "": none. gemma_chat_render checks it. */
GEMMA_EXPORT gemma_status gemma_chat_set_tools(gemma_chat* chat,
                                               const char* json);
/* Turns thinking on or off. gemma_chat_render fails if the model's turns have
 * no thinking to turn on. */
GEMMA_EXPORT gemma_status gemma_chat_set_thinking(gemma_chat* chat,
                                                  gemma_thinking thinking);

/* Returns how the model reads declarations of tools and writes calls. */
GEMMA_EXPORT gemma_tool_dialect gemma_chat_tool_dialect(const gemma_chat* chat);
/* Compiles a grammar that lets answers call only the declared tools, with
 * arguments that their schemas allow, in the dialect of the model; see
 * Grammar::FromTools in gemma/grammar.h. rules: null for the defaults; their
 * dialect must be GEMMA_TOOLS_NONE, and their `thinking` false, because the
 * chat sets both. Free *grammar with gemma_compiled_grammar_free. */
GEMMA_EXPORT gemma_status gemma_chat_compile(const gemma_chat* chat,
                                             const gemma_tool_rules* rules,
                                             gemma_compiled_grammar** grammar);

/* Adds a message. A system message comes first: see ChatTemplate::Render in
 * gemma/chat_template.h for what a model's turns allow. The text never becomes
 * a control token. */
GEMMA_EXPORT gemma_status gemma_chat_add(gemma_chat* chat, gemma_role role,
                                         const char* text);
/* Adds a message whose content is JSON, such as a list of parts, [{"type":
 * "text", "text": "Hello"}]. */
GEMMA_EXPORT gemma_status gemma_chat_add_json(gemma_chat* chat, gemma_role role,
                                              const char* json);
/* Adds a call of a tool to the last message, which must be the model's: for
 * chats that this program did not generate. arguments: a JSON object, or null
 * for no arguments. id: the call's name for results, or null. */
GEMMA_EXPORT gemma_status gemma_chat_add_call(gemma_chat* chat,
                                              const char* tool,
                                              const char* arguments,
                                              const char* id);
/* Adds what a tool returned. tool: its name, or null if the results are in the
 * order of the calls. id: that of the call, or null. */
GEMMA_EXPORT gemma_status gemma_chat_add_result(gemma_chat* chat,
                                                const char* tool,
                                                const char* id,
                                                const char* text);
/* The same for a result that is JSON: any value. */
GEMMA_EXPORT gemma_status gemma_chat_add_result_json(gemma_chat* chat,
                                                     const char* tool,
                                                     const char* id,
                                                     const char* json);
/* Adds an answer as a message of the model: its text and its calls, and its
 * thoughts if it has calls. Other thoughts are not part of a chat. */
GEMMA_EXPORT gemma_status gemma_chat_add_answer(gemma_chat* chat,
                                                const gemma_answer* answer);

/* Returns the number of messages. */
GEMMA_EXPORT size_t gemma_chat_size(const gemma_chat* chat);
/* Keeps only the first `size` messages. GEMMA_OUT_OF_RANGE if the chat has
 * fewer. */
GEMMA_EXPORT gemma_status gemma_chat_truncate(gemma_chat* chat, size_t size);

/* Writes the tokens of the whole chat: BOS, all messages, and the opening of
 * the model's next turn, which after a result goes on. See
 * gemma/c_tokens.h. GEMMA_INVALID_ARGUMENT if the turns cannot say what the
 * chat holds. */
GEMMA_EXPORT gemma_status gemma_chat_render(const gemma_chat* chat,
                                            int32_t* tokens, size_t capacity,
                                            size_t* size);
/* Writes what a session must read to answer the last message, if it has read
 * the first `num_read` messages: 0, or those up to an answer that has no
 * markers (gemma_answer_has_markers), without the tokens that close it. *whole
 * becomes true if the tokens are those of the whole chat, because the template
 * changes earlier turns or num_read is 0: rewind the session first. */
GEMMA_EXPORT gemma_status gemma_chat_continue(const gemma_chat* chat,
                                              size_t num_read, int32_t* tokens,
                                              size_t capacity, size_t* size,
                                              bool* whole);

/* ---- Answers in parts */

/* Creates an answer without parts, for gemma_generate_options.answer. It shares
 * the model's tokenizer. Free *answer with gemma_answer_free. */
GEMMA_EXPORT gemma_status gemma_answer_create(const gemma_model* model,
                                              gemma_answer** answer);
/* Frees the answer. Null is allowed. */
GEMMA_EXPORT void gemma_answer_free(gemma_answer* answer);

/* Lets the answer read calls in a dialect: GEMMA_TOOLS_JSON for models that
 * call in text. At first only control tokens begin calls. */
GEMMA_EXPORT gemma_status gemma_answer_set_dialect(gemma_answer* answer,
                                                   gemma_tool_dialect dialect);

/* Replaces the parts by those of an answer's tokens, for programs that choose
 * tokens themselves. GEMMA_INVALID_ARGUMENT if a token is not in the
 * vocabulary. */
GEMMA_EXPORT gemma_status gemma_answer_read(gemma_answer* answer,
                                            const int32_t* tokens,
                                            size_t num_tokens);

/* Returns the text for the user, with a terminating 0. size: null, or receives
 * the number of bytes before it. Valid until the answer changes. */
GEMMA_EXPORT const char* gemma_answer_text(const gemma_answer* answer,
                                           size_t* size);
/* Returns what the model thought first, as gemma_answer_text does. */
GEMMA_EXPORT const char* gemma_answer_thoughts(const gemma_answer* answer,
                                               size_t* size);

/* Returns the number of calls of tools. A call in wrong syntax is text, and so
 * are calls in JSON without gemma_answer_set_dialect. */
GEMMA_EXPORT size_t gemma_answer_num_calls(const gemma_answer* answer);
/* Returns the name of the tool of a call, or "" if there are fewer calls. Valid
 * until the answer changes. */
GEMMA_EXPORT const char* gemma_answer_call_tool(const gemma_answer* answer,
                                                size_t index);
/* Returns the arguments of a call, a JSON object, as gemma_answer_call_tool
 * does. */
GEMMA_EXPORT const char* gemma_answer_call_arguments(const gemma_answer* answer,
                                                     size_t index);

/* Returns whether the session has read more than the text: marks of thoughts or
 * calls. Later prompts then differ from it; see gemma_chat_continue. */
GEMMA_EXPORT bool gemma_answer_has_markers(const gemma_answer* answer);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_CHAT_H_ */

/* Grammars restrict answers to a set of texts, for C; see gemma/grammar.h. */

#ifndef GEMMA_C_GRAMMAR_H_
#define GEMMA_C_GRAMMAR_H_

#include "gemma/c_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A compiled grammar: a set of texts. Any number of threads, answers and models
 * may use it at the same time. */
typedef struct gemma_compiled_grammar gemma_compiled_grammar;

/* The kind of text that an answer must be. */
typedef enum gemma_grammar {
  GEMMA_GRAMMAR_NONE = 0,        /* any text */
  GEMMA_GRAMMAR_JSON = 1,        /* any JSON value */
  GEMMA_GRAMMAR_JSON_SCHEMA = 2, /* a JSON value that matches a schema */
  GEMMA_GRAMMAR_REGEX = 3,       /* a text that matches an expression */
  GEMMA_GRAMMAR_CHOICES = 4,     /* one of several texts */
  GEMMA_GRAMMAR_TOOLS = 5        /* calls of tools, for gemma_grammar_source */
} gemma_grammar;

/* The form in which a model calls tools; see gemma/tool_calls.h. */
typedef enum gemma_tool_dialect {
  GEMMA_TOOLS_NONE = 0, /* the model calls no tools */
  GEMMA_TOOLS_JSON = 1, /* in text: Gemma 3 and 3n */
  GEMMA_TOOLS_FUNCTIONGEMMA = 2,
  GEMMA_TOOLS_GEMMA4 = 3
} gemma_tool_dialect;

/* Whether an answer calls tools. */
typedef enum gemma_tool_choice {
  GEMMA_TOOL_CHOICE_AUTO = 0,    /* as the model likes */
  GEMMA_TOOL_CHOICE_NONE = 1,    /* never */
  GEMMA_TOOL_CHOICE_REQUIRED = 2 /* at least one call */
} gemma_tool_choice;

/* What an answer with tools may be; see Grammar::FromTools. gemma_chat_compile
 * in gemma/c_chat.h sets the dialect and `thinking` itself. */
typedef struct gemma_tool_rules {
  size_t struct_size;         /* set by gemma_tool_rules_init */
  gemma_tool_dialect dialect; /* gemma_chat_tool_dialect returns it */
  gemma_tool_choice choice;   /* whether to call */
  const char* const* names;   /* what may be called; null: all */
  size_t num_names;           /* size of names */
  bool parallel;              /* whether several calls are allowed */
  bool thinking;              /* whether thoughts may precede required calls */
} gemma_tool_rules;

/* Sets the defaults. size: sizeof(gemma_tool_rules). */
GEMMA_EXPORT void gemma_tool_rules_init(gemma_tool_rules* rules, size_t size);

/* What a grammar is made from. */
typedef struct gemma_grammar_source {
  size_t struct_size;       /* set by gemma_grammar_source_init */
  gemma_grammar kind;       /* how to read `texts`; not GEMMA_GRAMMAR_NONE */
  const char* const* texts; /* the choices, or the schema, expression or tools:
                             * a JSON list as for gemma_chat_set_tools */
  size_t num_texts;         /* size of texts */
  const gemma_tool_rules* rules; /* of tools; null: the defaults */
} gemma_grammar_source;

/* Sets struct_size, and all other fields to 0. size:
 * sizeof(gemma_grammar_source). */
GEMMA_EXPORT void gemma_grammar_source_init(gemma_grammar_source* source,
                                            size_t size);

/* Compiles a grammar, which takes a few seconds and about 100 MB at most.
 * GEMMA_INVALID_ARGUMENT names what is wrong, or the limit. Free *grammar with
 * gemma_compiled_grammar_free. */
GEMMA_EXPORT gemma_status gemma_grammar_compile(
    const gemma_grammar_source* source, gemma_compiled_grammar** grammar);
/* Frees the grammar. No call of gemma_generate may still use it; requests to an
 * engine keep a copy. Null is allowed. */
GEMMA_EXPORT void gemma_compiled_grammar_free(gemma_compiled_grammar* grammar);

/* Writes whether the set contains the text, in which nothing is a control
 * token. GEMMA_RESOURCE_EXHAUSTED if it can be read in too many ways. */
GEMMA_EXPORT gemma_status gemma_compiled_grammar_matches(
    const gemma_compiled_grammar* grammar, const char* text, size_t text_size,
    bool* matches);
/* Returns the bytes of memory that the set takes. */
GEMMA_EXPORT uint64_t
gemma_compiled_grammar_bytes(const gemma_compiled_grammar* grammar);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_GRAMMAR_H_ */

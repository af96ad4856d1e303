/* ShieldGemma, for C: the probability that a text violates a policy. See
 * gemma/classifier.h. */

#ifndef GEMMA_C_CLASSIFIER_H_
#define GEMMA_C_CLASSIFIER_H_

#include "gemma/c_engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A rule that texts must not violate. All texts end with 0. This struct never
 * grows. */
typedef struct gemma_policy {
  const char* name;          /* in commands and results: "dangerous" */
  const char* title;         /* as the model reads it: "Dangerous Content" */
  const char* prompt_rule;   /* for prompts; null or "": cannot classify them */
  const char* response_rule; /* for responses; likewise */
} gemma_policy;

/* A list of policies. */
typedef struct gemma_policies gemma_policies;

/* Creates the list of the four policies that ShieldGemma was trained on:
 * dangerous, harassment, hate, sexual. Free *policies with
 * gemma_policies_free. */
GEMMA_EXPORT gemma_status gemma_policies_shield(gemma_policies** policies);
/* Creates a list from untrusted JSON; see ParsePolicies in gemma/classifier.h.
 * path: begins messages; null: "policies". Free *policies likewise. */
GEMMA_EXPORT gemma_status gemma_policies_parse(const char* json,
                                               const char* path,
                                               gemma_policies** policies);
/* Frees the list. Null is allowed. */
GEMMA_EXPORT void gemma_policies_free(gemma_policies* policies);
/* Returns the policies, valid as long as the list. size: null, or receives
 * their number. */
GEMMA_EXPORT const gemma_policy* gemma_policies_items(
    const gemma_policies* policies, size_t* size);

/* Classifies texts. Use it from one thread at a time. */
typedef struct gemma_classifier gemma_classifier;

/* The words around a text and a policy; see ShieldWording. */
typedef enum gemma_shield_wording {
  GEMMA_SHIELD_HUB_TEMPLATE = 0, /* the published chat template */
  GEMMA_SHIELD_EXAMPLE_CODE = 1  /* Google's example code */
} gemma_shield_wording;

/* How a classifier asks the model. */
typedef struct gemma_classifier_options {
  size_t struct_size;              /* set by gemma_classifier_options_init */
  size_t max_tokens;               /* of a whole prompt */
  gemma_shield_wording wording;    /* the words around text and policy */
  gemma_cache_format cache_format; /* as in gemma_session_options */
  /* Called before each prompt of a call with the numbers of prompts computed
   * and of all. Return false to cancel the rest. May be null. */
  bool (*progress)(size_t done, size_t total, void* user);
  void* user; /* passed to progress */
} gemma_classifier_options;

/* Sets the defaults. size: sizeof(gemma_classifier_options). */
GEMMA_EXPORT void gemma_classifier_options_init(
    gemma_classifier_options* options, size_t size);

/* Creates a classifier, which shares what the model loaded. Free *classifier
 * with gemma_classifier_free. options: null for the defaults. */
GEMMA_EXPORT gemma_status gemma_classifier_create(
    const gemma_model* model, const gemma_classifier_options* options,
    gemma_classifier** classifier);
/* Frees the classifier. Null is allowed. */
GEMMA_EXPORT void gemma_classifier_free(gemma_classifier* classifier);

/* The text to classify: a prompt, or the response to it. Texts never become
 * control tokens. This struct never grows. */
typedef struct gemma_classifier_input {
  gemma_text text;     /* the prompt */
  gemma_text response; /* if its text is not null, this is classified */
} gemma_classifier_input;

/* Writes the probability, 0 to 1, that the input violates each policy, to
 * `probabilities`, [num_policies]. GEMMA_OUT_OF_RANGE if a prompt has more than
 * max_tokens tokens; see Classifier::Classify for other errors. */
GEMMA_EXPORT gemma_status gemma_classify(gemma_classifier* classifier,
                                         const gemma_classifier_input* input,
                                         const gemma_policy* policies,
                                         size_t num_policies,
                                         double* probabilities);
/* Classifies many inputs, in an order that saves time. Writes [num_inputs,
 * num_policies] probabilities, in the order of the inputs. An input that fails
 * does not stop the others: its probabilities become NaN, and the result is the
 * status of the first such input. statuses: null, or [num_inputs]: receives all
 * of them. */
GEMMA_EXPORT gemma_status gemma_classify_all(
    gemma_classifier* classifier, const gemma_classifier_input* inputs,
    size_t num_inputs, const gemma_policy* policies, size_t num_policies,
    double* probabilities, gemma_status* statuses);
/* Writes the tokens that the model reads; see gemma/c_tokens.h for capacity and
 * size. */
GEMMA_EXPORT gemma_status gemma_classifier_prompt(
    const gemma_classifier* classifier, const gemma_classifier_input* input,
    const gemma_policy* policy, int32_t* tokens, size_t capacity, size_t* size);

/* Counts of a classifier's work; see ClassifierStats. */
typedef struct gemma_classifier_stats {
  size_t struct_size;       /* set by gemma_classifier_stats_init */
  size_t num_prompts;       /* one for each input and policy */
  size_t prompt_tokens;     /* in all prompts */
  size_t computed_tokens;   /* the rest was reused */
  double least_answer_mass; /* below 0.5, the results mean nothing */
} gemma_classifier_stats;

/* Sets struct_size, and all other fields to 0. size:
 * sizeof(gemma_classifier_stats). */
GEMMA_EXPORT void gemma_classifier_stats_init(gemma_classifier_stats* stats,
                                              size_t size);
/* Writes the counts so far. */
GEMMA_EXPORT gemma_status gemma_classifier_get_stats(
    const gemma_classifier* classifier, gemma_classifier_stats* stats);

/* Submits a request for each policy to an engine of the same model, which
 * computes their common beginning once. client: as in gemma_request, or null.
 * Writes a ticket for each to `tickets`, [num_policies]; free each with
 * gemma_ticket_free. Submits all or none. Several threads may call this at the
 * same time. GEMMA_INVALID_ARGUMENT if the engine computes another model. */
GEMMA_EXPORT gemma_status gemma_classifier_submit(
    const gemma_classifier* classifier, gemma_engine* engine,
    const gemma_classifier_input* input, const gemma_policy* policies,
    size_t num_policies, const char* client, gemma_ticket** tickets);
/* Waits for such a ticket. Writes the probability that the input violates the
 * policy and, if answer_mass is not null, the probability that Yes and No had
 * together. GEMMA_CANCELLED or GEMMA_DEADLINE_EXCEEDED if it ended early. */
GEMMA_EXPORT gemma_status gemma_ticket_classification(
    const gemma_ticket* ticket, double* probability, double* answer_mass);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_CLASSIFIER_H_ */

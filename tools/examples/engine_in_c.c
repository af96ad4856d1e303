/* Answers several prompts together, and prints the answers in their order:
 * engine_in_c MODEL PROMPT... */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gemma/c_engine.h"

/* Queues the prompt. The engine keeps a copy of it. */
static int submit(const gemma_model* model, gemma_engine* engine,
                  const char* text, gemma_ticket** ticket) {
  size_t size = 0;
  gemma_model_prompt(model, text, strlen(text), NULL, 0, &size);
  int32_t* prompt = malloc((size + 1) * sizeof(*prompt));
  if (prompt == NULL) return GEMMA_RESOURCE_EXHAUSTED;
  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  options.max_new_tokens = 256;
  gemma_request request;
  gemma_request_init(&request, sizeof(request));
  request.prompt = prompt;
  request.options = &options;

  int status =
      gemma_model_prompt(model, text, strlen(text), prompt, size, &size);
  request.prompt_size = size;
  if (status == GEMMA_OK)
    status = gemma_engine_submit(engine, &request, ticket);
  free(prompt);
  return status;
}

/* Waits for the answer and prints it. */
static int print_answer(gemma_ticket* ticket) {
  gemma_completion answer;
  gemma_completion_init(&answer, sizeof(answer));
  const int status = gemma_ticket_wait(ticket, &answer);
  if (status == GEMMA_OK) printf("%s\n---\n", answer.text);
  return status;
}

static int answer_all(const gemma_model* model, gemma_engine* engine,
                      char** prompts, int num_prompts) {
  gemma_ticket** tickets = calloc((size_t)num_prompts, sizeof(*tickets));
  if (tickets == NULL) return GEMMA_RESOURCE_EXHAUSTED;
  int status = GEMMA_OK;
  for (int i = 0; i < num_prompts && status == GEMMA_OK; ++i) {
    status = submit(model, engine, prompts[i], &tickets[i]);
  }
  for (int i = 0; i < num_prompts && status == GEMMA_OK; ++i) {
    status = print_answer(tickets[i]);
  }
  if (status != GEMMA_OK) fprintf(stderr, "%s\n", gemma_last_error());
  for (int i = 0; i < num_prompts; ++i) gemma_ticket_free(tickets[i]);
  free(tickets);
  return status;
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: engine_in_c MODEL PROMPT...\n");
    return 2;
  }
  gemma_model* model = NULL;
  gemma_engine* engine = NULL;
  int status = gemma_model_load(argv[1], NULL, &model);
  if (status == GEMMA_OK) status = gemma_engine_create(model, NULL, &engine);
  if (status == GEMMA_OK) {
    status = answer_all(model, engine, argv + 2, argc - 2);
  } else {
    fprintf(stderr, "%s\n", gemma_last_error());
  }
  gemma_engine_free(engine);
  gemma_model_free(model);
  return status == GEMMA_OK ? 0 : 1;
}

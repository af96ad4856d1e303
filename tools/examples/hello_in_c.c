/* Answers a prompt, or with a base model continues it: hello_in_c MODEL TEXT */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gemma/c_api.h"

static bool print_text(const char* text, size_t size, void* user) {
  (void)user;
  fwrite(text, 1, size, stdout);
  fflush(stdout);
  return true; /* return false to stop */
}

static int answer(gemma_model* model, const char* text) {
  size_t size = 0;
  gemma_model_prompt(model, text, strlen(text), NULL, 0, &size);
  int32_t* prompt = malloc((size + 1) * sizeof(*prompt));
  if (prompt == NULL) return GEMMA_RESOURCE_EXHAUSTED;

  gemma_session* session = NULL;
  int status =
      gemma_model_prompt(model, text, strlen(text), prompt, size, &size);
  if (status == GEMMA_OK) status = gemma_session_create(model, NULL, &session);
  if (status == GEMMA_OK) {
    gemma_generate_options options;
    gemma_generate_options_init(&options, sizeof(options));
    options.max_new_tokens = 256;
    status =
        gemma_generate(session, prompt, size, &options, print_text, NULL, NULL);
  }
  gemma_session_free(session);
  free(prompt);
  return status;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: hello_in_c MODEL TEXT\n");
    return 2;
  }
  gemma_model* model = NULL;
  int status = gemma_model_load(argv[1], NULL, &model);
  if (status == GEMMA_OK) status = answer(model, argv[2]);
  if (status != GEMMA_OK) fprintf(stderr, "%s\n", gemma_last_error());
  gemma_model_free(model);
  return status == GEMMA_OK ? 0 : 1;
}

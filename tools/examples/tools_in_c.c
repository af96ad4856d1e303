/* Answers one message with the help of a tool: tools_in_c MODEL MESSAGE
 *
 * The model may call `now`, which returns the time. What it thinks goes to
 * standard error. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gemma/c_chat.h"

static const char kTools[] =
    "[{\"type\": \"function\", \"function\": {\"name\": \"now\","
    " \"description\": \"Returns the date and the time.\"}}]";

static bool print_text(const char* text, size_t size, void* user) {
  (void)user;
  return fwrite(text, 1, size, stdout) == size;
}

static bool print_thoughts(const char* text, size_t size, void* user) {
  (void)user;
  return fwrite(text, 1, size, stderr) == size;
}

/* Answers the chat, which the session reads from its beginning. */
static int generate(const gemma_chat* chat, gemma_session* session,
                    gemma_answer* answer) {
  size_t size = 0;
  gemma_chat_render(chat, NULL, 0, &size);
  int32_t* prompt = malloc((size + 1) * sizeof(*prompt));
  if (prompt == NULL) return GEMMA_RESOURCE_EXHAUSTED;
  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  options.max_new_tokens = 1024;
  options.answer = answer;
  options.on_thoughts = print_thoughts;
  int status = gemma_chat_render(chat, prompt, size, &size);
  if (status == GEMMA_OK) status = gemma_session_rewind(session, 0);
  if (status == GEMMA_OK) {
    status =
        gemma_generate(session, prompt, size, &options, print_text, NULL, NULL);
  }
  free(prompt);
  return status;
}

/* Adds the answer and the results of its calls to the chat. */
static int add_results(gemma_chat* chat, const gemma_answer* answer) {
  int status = gemma_chat_add_answer(chat, answer);
  for (size_t i = 0; i < gemma_answer_num_calls(answer); ++i) {
    const char* tool = gemma_answer_call_tool(answer, i);
    const time_t now = time(NULL);
    fprintf(stderr, "%s %s\n", tool, gemma_answer_call_arguments(answer, i));
    if (status == GEMMA_OK) {
      const bool is_known = strcmp(tool, "now") == 0;
      status = gemma_chat_add_result(chat, tool, NULL,
                                     is_known ? ctime(&now) : "no such tool");
    }
  }
  return status;
}

static int answer_message(const gemma_model* model, const char* message) {
  gemma_session* session = NULL;
  gemma_chat* chat = NULL;
  gemma_answer* answer = NULL;
  int status = gemma_session_create(model, NULL, &session);
  if (status == GEMMA_OK) status = gemma_chat_create(model, &chat);
  if (status == GEMMA_OK) status = gemma_answer_create(model, &answer);
  if (status == GEMMA_OK) status = gemma_chat_set_tools(chat, kTools);
  if (status == GEMMA_OK) {
    status = gemma_chat_set_thinking(chat, GEMMA_THINKING_ON);
  }
  if (status == GEMMA_OK) {
    status = gemma_chat_add(chat, GEMMA_ROLE_USER, message);
  }
  /* A model may call tools several times; four are enough here. */
  for (int i = 0; status == GEMMA_OK && i < 4; ++i) {
    status = generate(chat, session, answer);
    if (status != GEMMA_OK || gemma_answer_num_calls(answer) == 0) break;
    status = add_results(chat, answer);
  }
  gemma_answer_free(answer);
  gemma_chat_free(chat);
  gemma_session_free(session);
  return status;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: tools_in_c MODEL MESSAGE\n");
    return 2;
  }
  gemma_model* model = NULL;
  int status = gemma_model_load(argv[1], NULL, &model);
  if (status == GEMMA_OK) status = answer_message(model, argv[2]);
  if (status != GEMMA_OK) fprintf(stderr, "%s\n", gemma_last_error());
  gemma_model_free(model);
  return status == GEMMA_OK ? 0 : 1;
}

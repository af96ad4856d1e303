// Reads requests of /v1/chat/completions.

#ifndef GEMMA_SRC_SERVE_REQUEST_CHAT_REQUEST_H_
#define GEMMA_SRC_SERVE_REQUEST_CHAT_REQUEST_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gemma/chat_template.h"
#include "gemma/model_config.h"
#include "src/serve/request/answer_fields.h"
#include "src/serve/request/fields.h"
#include "src/serve/request/tool_fields.h"

namespace gemma::internal {

struct ChatRequest {
  AnswerFields answer;
  std::vector<Message> messages;
  ChatOptions turns;
  std::string thinking_param;  // the place of the field that set turns.thinking
  std::optional<ToolFields> tools;
};

// Reads the fields of AnswerFields, those of ToolFields and
//   messages              see ReadMessages
//   max_completion_tokens, or max_tokens
//   logprobs, top_logprobs
//   think                 whether the model thinks first: true or false
//   reasoning_effort      the same: "none" or "minimal" is false
//   chat_template_kwargs  {"enable_thinking"}, the same
//   continue_final_message, add_generation_prompt
//                         accepted if they say what happens anyway: an answer
//                         continues a last message of the assistant
absl::StatusOr<ChatRequest> ReadChatRequest(const ModelConfig& config,
                                            size_t max_choices, Fields& fields);

// Reads continue_final_message and add_generation_prompt.
absl::Status CheckContinues(Fields& fields,
                            const std::vector<Message>& messages);

// An error that names the field tools if the model `name` has no dialect.
absl::Status NeedDialect(ToolDialect dialect, std::string_view name);

// Declares the tools of the request, and sets what restricts the answer, in the
// dialect of the model `name`. An error that names the field if there is no
// dialect, or if the request asks for something that excludes calls.
absl::Status UseTools(ToolDialect dialect, std::string_view name,
                      ChatRequest& request);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_REQUEST_CHAT_REQUEST_H_

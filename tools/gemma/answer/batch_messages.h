// Reads the messages of a batch's line.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_BATCH_MESSAGES_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_BATCH_MESSAGES_H_

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "absl/status/status.h"
#include "gemma/gemma.h"

namespace gemma::tools {

// Reads [{"role", "content"}] with the roles system, developer, user, assistant
// (or model) and tool. The content is a string, or a list of parts such as
// {"type": "text", "text"}; that of a tool may be any value. Messages of the
// assistant may have
//   thoughts      or reasoning_content: what it thought before its calls
//   tool_calls    [{"id", "name", "arguments": {...}}], or the name and the
//                 arguments within "function"; arguments may also be a string
//                 that is JSON. The content may then be null or missing
// and messages of a tool
//   name, tool_call_id   which call they answer; see gemma::Message
// Appends the messages to `messages`.
absl::Status ReadMessages(const nlohmann::ordered_json& json,
                          std::vector<Message>* messages);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_BATCH_MESSAGES_H_

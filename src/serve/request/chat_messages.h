// The messages of a chat, as clients send them.

#ifndef GEMMA_SRC_SERVE_REQUEST_CHAT_MESSAGES_H_
#define GEMMA_SRC_SERVE_REQUEST_CHAT_MESSAGES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/chat_template.h"
#include "gemma/model.h"
#include "src/base/json.h"

namespace gemma::internal {

// Reads [{"role", "content"}] with the roles system, developer, user, assistant
// (or model) and tool. A content is a string, or a list of parts of the type
// text: {"type": "text", "text"}. Messages of the assistant may have
//   reasoning_content, or reasoning   what it thought before its calls
//   tool_calls    [{"id", "type", "function": {"name", "arguments"}}] with
//                 arguments, a JSON object, in a string; the content may then
//                 be missing
// and messages of a tool
//   tool_call_id, name   which call they answer; see gemma::Message
// Everything else is an error that names the field, such as an image.
absl::StatusOr<std::vector<Message>> ReadMessages(const Json& list);

// Reads a content that is a string or a list of parts, as one text.
absl::Status ReadTextContent(const Json& json, std::string& text);

// Returns the messages in an order that templates accept: instructions first,
// then turns of the user and the model.
//   - Instructions at the beginning become one message. Later ones become text
//     of the user, in their place.
//   - Messages of the user in a row become one, and so do those of the model
//     that have no calls, with a blank line between them.
//   - Without `has_tools`, as in Gemma 1 to 3, calls become the text that Gemma
//     3 writes for them, {"name": ..., "parameters": ...}, results become text
//     of the user, in the order of the calls before them if all have ids of
//     these. "developer" means the same as "system".
std::vector<Message> InTurns(std::vector<Message> messages, bool has_tools);

// Returns the tokens of a chat, up to where the model goes on: at the beginning
// of its turn or, if the last message is the model's, at the end of this text,
// which is then encoded as it is. Errors are those of ChatTemplate::Render, and
// of results that no call asked for.
absl::StatusOr<std::vector<TokenId>> ChatTokens(const Tokenizer& tokenizer,
                                                const ChatTemplate& turns,
                                                std::vector<Message> messages,
                                                const ChatOptions& options);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_REQUEST_CHAT_MESSAGES_H_

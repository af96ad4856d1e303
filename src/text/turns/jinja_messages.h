// Messages as templates in Jinja see them.

#ifndef GEMMA_SRC_TEXT_TURNS_JINJA_MESSAGES_H_
#define GEMMA_SRC_TEXT_TURNS_JINJA_MESSAGES_H_

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"
#include "gemma/chat_template.h"
#include "src/jinja/values/value.h"

namespace gemma::internal {

// Returns the i-th message of a chat as a dict with the keys of transformers'
// chats: role and content; where the message has them, also reasoning_content,
// tool_calls, name and tool_call_id. All text except the role's name is a
// message's. InvalidArgument if JSON in the message is not valid; `i` is for
// that.
absl::StatusOr<JinjaValue> MessageValue(const Message& message,
                                        std::string_view role, size_t i);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TURNS_JINJA_MESSAGES_H_

// JSON as the values that templates compute with.

#ifndef GEMMA_SRC_TEXT_TURNS_JSON_VALUES_H_
#define GEMMA_SRC_TEXT_TURNS_JSON_VALUES_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "src/base/json.h"
#include "src/jinja/values/value.h"

namespace gemma::internal {

// What users may give in a chat: far more than a context holds.
inline constexpr Json::Limits kChatJsonLimits = {
    .max_bytes = size_t{64} << 20, .max_depth = 64, .max_values = 1 << 20};

// Parses JSON as Python's json.loads does. Integers of any size keep their
// digits. All texts and keys are a message's.
// InvalidArgument if it is not valid or is beyond kChatJsonLimits. `what`
// begins the message.
absl::StatusOr<JinjaValue> ValueFromJson(std::string_view json,
                                         std::string_view what);

// Parses a JSON object: the arguments of a call. Empty: no arguments.
absl::StatusOr<JinjaValue> ArgumentsFromJson(std::string_view json,
                                             std::string_view what);

// Parses the declarations of tools: a list of objects. Each has what is needed
// of a declaration, {"function": {"name"}}, or it is an error.
absl::StatusOr<JinjaValue> ToolsFromJson(std::string_view json);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TURNS_JSON_VALUES_H_

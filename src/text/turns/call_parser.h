// Reads calls of tools as Gemma 4 and FunctionGemma write them.

#ifndef GEMMA_SRC_TEXT_TURNS_CALL_PARSER_H_
#define GEMMA_SRC_TEXT_TURNS_CALL_PARSER_H_

#include <optional>
#include <string_view>

#include "gemma/chat_template.h"

namespace gemma::internal {

// Stands for the token around a string. No UTF-8 text has this byte.
inline constexpr char kQuoteByte = '\xFF';

// Reads "call:NAME{KEY:VALUE,...}", the text between the marks of a call, in
// which kQuoteByte stands for each quote. A value is a string in quotes, a
// number of JSON that a double can hold, true, false, null or None, a list
// [...] or an object {...}. Blanks and newlines may stand around names and
// values. Returns the call with its arguments as JSON, in their order, or
// nothing if the syntax is wrong, if a key is repeated, or if values are nested
// more than 32 deep.
std::optional<ToolCall> ParseCall(std::string_view text);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TURNS_CALL_PARSER_H_

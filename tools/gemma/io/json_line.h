// Reads lines of untrusted JSON.

#ifndef GEMMA_TOOLS_GEMMA_IO_JSON_LINE_H_
#define GEMMA_TOOLS_GEMMA_IO_JSON_LINE_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

// Parses a line that is one JSON value in UTF-8. Objects keep the order of
// their keys, which matters for tools in prompts. A value that is nested deeper
// than src/base/json.h allows is an error, because nlohmann's functions recurse
// when they copy or write one, and would overflow the stack.
absl::StatusOr<nlohmann::ordered_json> ParseJsonLine(std::string_view line);

// Returns the error "'name' is of type X, wanted Y", where X is the type of
// `found`, and Y is `wanted`.
absl::Status WrongType(std::string_view name,
                       const nlohmann::ordered_json& found,
                       std::string_view wanted);

// Stores a field in `text`. Returns an error if the field is not a string.
absl::Status ReadTextField(std::string_view name,
                           const nlohmann::ordered_json& json,
                           std::string* text);

// Stores the field `id` of an object, if it exists, as JSON. Returns an error
// if it is neither a string nor a number.
absl::Status ReadId(const nlohmann::ordered_json& object, std::string* id);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_JSON_LINE_H_

// Lines of JSON that are not trusted.

#ifndef GEMMA_TOOLS_GEMMA_IO_JSON_LINE_H_
#define GEMMA_TOOLS_GEMMA_IO_JSON_LINE_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

// The value that the line is, in UTF-8.
absl::StatusOr<nlohmann::json> ParseJsonLine(std::string_view line);

// An error: 'name' is of the type of `found`, wanted something else.
absl::Status WrongType(std::string_view name, const nlohmann::json& found,
                       std::string_view wanted);

// Reads a field that is a text.
absl::Status ReadTextField(std::string_view name, const nlohmann::json& json,
                           std::string* text);

// Reads the field `id` of an object, a text or a number, if there is one, as
// JSON.
absl::Status ReadId(const nlohmann::json& object, std::string* id);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_JSON_LINE_H_

// Errors of responses, in the form of OpenAI's API.

#ifndef GEMMA_SRC_SERVE_API_ERROR_H_
#define GEMMA_SRC_SERVE_API_ERROR_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "src/base/json.h"

namespace gemma::internal {

// Within src/serve, errors are statuses. What a response says besides the
// message is in payloads of the status:
//   the status of HTTP; without one, it follows from the code
//   param  the field of the request: "messages[0].content"
//   code   a word for programs: "model_not_found"

// Returns an error with a status of HTTP.
absl::Status ApiError(int http_status, std::string_view code,
                      std::string_view message);

// Return the error with the place in the request that it is about, unless it
// has one. OK stays OK.
absl::Status AtField(absl::Status status, const Json& field);
absl::Status AtParam(absl::Status status, std::string_view param);

// Returns the error with another code, and the same message and place.
absl::Status WithCode(absl::Status status, int http_status,
                      std::string_view code);

// Returns an error that names a field: "'name' <what>".
absl::Status FieldError(const Json& field, std::string_view what);

// Returns the place of a value in its document: "messages[0].content".
std::string ParamOf(const Json& field);

// Returns the status of HTTP for an error.
int HttpStatusOf(const absl::Status& error);

// Returns the body of the response: {"error": {"message", "type", "param",
// "code"}}.
std::string ErrorJson(const absl::Status& error);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_API_ERROR_H_

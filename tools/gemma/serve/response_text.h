// Responses of HTTP/1.1 as bytes.

#ifndef GEMMA_TOOLS_GEMMA_SERVE_RESPONSE_TEXT_H_
#define GEMMA_TOOLS_GEMMA_SERVE_RESPONSE_TEXT_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "gemma/serve.h"
#include "tools/gemma/serve/http_limits.h"

namespace gemma::tools {

// How a response's body ends.
struct BodyEnd {
  std::optional<size_t> size;  // after so many bytes
  bool in_chunks = false;      // else, with the last chunk
  bool closes = false;         // the connection ends after the response
};

// Returns the first line and the headers. Values with line ends are left out.
std::string HeadText(const HttpHead& head, const HttpHeaders& more,
                     const BodyEnd& end);

// Returns some bytes of a body as a chunk; "" for none.
std::string ChunkText(std::string_view bytes);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";
inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// Returns the head of the response to a refused request.
HttpHead ProblemHead(const HttpProblem& problem);
// Returns its body, in the form of OpenAI's API.
std::string ProblemBody(const HttpProblem& problem);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_SERVE_RESPONSE_TEXT_H_

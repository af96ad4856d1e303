// The fields of a chat that declare tools and say whether to call them.

#ifndef GEMMA_SRC_SERVE_REQUEST_TOOL_FIELDS_H_
#define GEMMA_SRC_SERVE_REQUEST_TOOL_FIELDS_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "gemma/tool_calls.h"
#include "src/serve/request/fields.h"

namespace gemma::internal {

struct ToolFields {
  std::string tools;  // as ChatOptions::tools
  ToolRules rules;    // without the dialect
};

// Reads
//   tools                [{"type": "function", "function": {"name",
//                        "description", "parameters"}}]; "strict" is ignored,
//                        because schemas are always enforced
//   tool_choice          "auto", "none", "required", {"type": "function",
//                        "function": {"name"}}: one call of this tool, or
//                        {"type": "allowed_tools", "allowed_tools": {"mode",
//                        "tools"}}
//   parallel_tool_calls  false: one call at most
// Returns nothing without tools. The schemas are not read yet.
absl::StatusOr<std::optional<ToolFields>> ReadToolFields(Fields& fields);

// The dialect of the calls to look for in an answer, or kNone. Without control
// tokens, what looks like a call is text if the rules allow no calls.
ToolDialect CallsToRead(const ToolRules& rules);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_REQUEST_TOOL_FIELDS_H_

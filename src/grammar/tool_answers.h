// The fourth front end: answers that may call tools.

#ifndef GEMMA_SRC_GRAMMAR_TOOL_ANSWERS_H_
#define GEMMA_SRC_GRAMMAR_TOOL_ANSWERS_H_

#include <array>
#include <string_view>

#include "absl/status/statusor.h"
#include "gemma/tool_calls.h"
#include "src/base/json.h"
#include "src/grammar/byte_grammar.h"
#include "src/grammar/marks.h"

namespace gemma::internal {

// Matches the answers that the rules allow with these tools; see
// Grammar::FromTools. Control tokens are marks.
absl::StatusOr<ExprId> ToolAnswers(std::string_view tools,
                                   const ToolRules& rules,
                                   ByteGrammar& grammar);

// The names of a dialect's control tokens, by Mark. Empty: it has no such mark.
std::array<std::string_view, kNumMarks> MarkNames(ToolDialect dialect);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_TOOL_ANSWERS_H_

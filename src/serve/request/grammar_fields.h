// The fields of a request that restrict the form of an answer.

#ifndef GEMMA_SRC_SERVE_REQUEST_GRAMMAR_FIELDS_H_
#define GEMMA_SRC_SERVE_REQUEST_GRAMMAR_FIELDS_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "gemma/grammar.h"
#include "src/serve/request/fields.h"

namespace gemma::internal {

// What restricts an answer, and the field that says so.
struct GrammarField {
  GrammarSource source;
  std::string param;
};

// Reads one of
//   response_format  {"type": "text"}, {"type": "json_object"}, or {"type":
//                    "json_schema", "json_schema": {"name", "schema"}}
//   regex            an expression that the whole answer matches
//   choice           an array of the texts that are allowed
// Returns nothing if any text is allowed. A schema is enforced whatever its
// field "strict" says.
absl::StatusOr<std::optional<GrammarField>> ReadGrammarFields(Fields& fields);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_REQUEST_GRAMMAR_FIELDS_H_

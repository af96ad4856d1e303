// The third front end: JSON schemas.

#ifndef GEMMA_SRC_GRAMMAR_JSON_SCHEMA_H_
#define GEMMA_SRC_GRAMMAR_JSON_SCHEMA_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "src/base/json.h"
#include "src/grammar/byte_grammar.h"
#include "src/grammar/json_values.h"

namespace gemma::internal {

// Matches the texts of valid values. gemma/grammar.h describes the supported
// keywords and how values are written. InvalidArgument if the text is not a
// schema, or with the JSON pointer of an unsupported part.
absl::StatusOr<ExprId> JsonSchema(std::string_view schema,
                                  ByteGrammar& grammar);

// The same for a schema that is parsed, with values in the form of `values`,
// which belong to the grammar. Between marks, the properties of an object are
// in the order of their names, without regard to case, as chat templates write
// them.
absl::StatusOr<ExprId> JsonSchema(const Json& schema, JsonValues& values,
                                  ByteGrammar& grammar);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_JSON_SCHEMA_H_

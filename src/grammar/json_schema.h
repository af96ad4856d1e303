// The third front end: JSON schemas.

#ifndef GEMMA_SRC_GRAMMAR_JSON_SCHEMA_H_
#define GEMMA_SRC_GRAMMAR_JSON_SCHEMA_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "src/grammar/byte_grammar.h"

namespace gemma {

// Texts whose values are valid. What is enforced, refused, and how values are
// written is described in gemma/grammar.h. InvalidArgument with the JSON
// pointer of what is not supported, or if the text is no schema.
absl::StatusOr<ExprId> JsonSchema(std::string_view schema,
                                  ByteGrammar& grammar);

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_JSON_SCHEMA_H_

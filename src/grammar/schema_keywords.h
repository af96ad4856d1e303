// The keywords of a schema's parts, combined.

#ifndef GEMMA_SRC_GRAMMAR_SCHEMA_KEYWORDS_H_
#define GEMMA_SRC_GRAMMAR_SCHEMA_KEYWORDS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/grammar/byte_grammar.h"
#include "src/grammar/json_numbers.h"
#include "src/grammar/schema_parts.h"

namespace gemma::internal {

// InvalidArgument, naming the first keyword that the grammar would not enforce.
// Accepts keywords that only describe, and values without effect, such as
// "uniqueItems": false.
absl::Status CheckKeywords(const Json& place);

// Whether a keyword restricts the values by itself, not through a reference or
// a combination of schemas.
bool HasAssertion(const Json& place);
// Returns a keyword that restricts values, other than "type", "const", "enum".
std::optional<Json> ShapeKeyword(const Json& place);

// A range of counts, for example from minItems and maxItems.
struct CountRange {
  uint32_t least = 0;
  uint32_t most = kNoLimit;
};
absl::StatusOr<CountRange> CountsOf(const SchemaParts& parts,
                                    std::string_view least_name,
                                    std::string_view most_name);

// Combines minimum, maximum, exclusiveMinimum and exclusiveMaximum.
absl::StatusOr<NumberRange> NumberRangeOf(const SchemaParts& parts);

// The same for integers, exact.
struct IntegerRange {
  int64_t least;
  int64_t most;
};
absl::StatusOr<IntegerRange> IntegerRangeOf(const SchemaParts& parts);

// Whether a part has the keyword.
bool HasKeyword(const SchemaParts& parts, std::string_view name);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_SCHEMA_KEYWORDS_H_

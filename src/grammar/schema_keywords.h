// What the keywords of a schema's parts say together.

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

namespace gemma {

// InvalidArgument naming the first keyword that would not be enforced. Those
// that only describe are fine; so are some that say nothing, as
// "uniqueItems": false.
absl::Status CheckKeywords(const Json& place);

// Whether a keyword restricts the values by itself: neither by what it refers
// to or combines, nor does it only describe.
bool HasAssertion(const Json& place);
// A keyword that restricts values, but for "type", "const" and "enum".
std::optional<Json> ShapeKeyword(const Json& place);

// How many of something there may be, for example by minItems and maxItems.
struct CountRange {
  uint32_t least = 0;
  uint32_t most = kNoLimit;
};
absl::StatusOr<CountRange> CountsOf(const SchemaParts& parts,
                                    std::string_view least_name,
                                    std::string_view most_name);

// minimum, maximum, exclusiveMinimum and exclusiveMaximum.
absl::StatusOr<NumberRange> NumberRangeOf(const SchemaParts& parts);

// The same for integers, exactly.
struct IntegerRange {
  int64_t least;
  int64_t most;
};
absl::StatusOr<IntegerRange> IntegerRangeOf(const SchemaParts& parts);

// Whether one of the parts has the keyword.
bool HasKeyword(const SchemaParts& parts, std::string_view name);

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_SCHEMA_KEYWORDS_H_

// Finds branches of a oneOf that exclude each other.

#ifndef GEMMA_SRC_GRAMMAR_SCHEMA_DISJOINT_H_
#define GEMMA_SRC_GRAMMAR_SCHEMA_DISJOINT_H_

#include "absl/status/statusor.h"
#include "src/grammar/budget.h"
#include "src/grammar/schema_parts.h"

namespace gemma::internal {

// Returns whether a part of `a` and a part of `b` exclude each other: by type,
// by value, or by a property that both require. Returns false if a quick check
// does not show it.
absl::StatusOr<bool> AreDisjoint(const SchemaParts& a, const SchemaParts& b,
                                 Budget& budget);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_SCHEMA_DISJOINT_H_

// Which parts of a schema exclude each other, as the branches of a oneOf must.

#ifndef GEMMA_SRC_GRAMMAR_SCHEMA_DISJOINT_H_
#define GEMMA_SRC_GRAMMAR_SCHEMA_DISJOINT_H_

#include "absl/status/statusor.h"
#include "src/grammar/budget.h"
#include "src/grammar/schema_parts.h"

namespace gemma {

// Whether a part of `a` and one of `b` exclude each other: by their types,
// their values, or what a property that both require must be. False where that
// is not seen at once.
absl::StatusOr<bool> AreDisjoint(const SchemaParts& a, const SchemaParts& b,
                                 Budget& budget);

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_SCHEMA_DISJOINT_H_

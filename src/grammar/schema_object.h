// The arrays and objects that a schema's parts describe.

#ifndef GEMMA_SRC_GRAMMAR_SCHEMA_OBJECT_H_
#define GEMMA_SRC_GRAMMAR_SCHEMA_OBJECT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/grammar/schema_keywords.h"
#include "src/grammar/schema_parts.h"

namespace gemma::internal {

struct ArrayShape {
  std::vector<SchemaParts> first;  // elements with their own schemas
  SchemaParts rest;
  CountRange count;
};

// Needs at least one part, as ObjectShapeOf does. An error names the fault or
// the part that exhausts the budget.
absl::StatusOr<ArrayShape> ArrayShapeOf(const SchemaParts& parts,
                                        Budget& budget);

struct ObjectShape {
  struct Property {
    std::string name;
    SchemaParts value;
    bool required = false;
  };
  std::vector<Property> properties;  // in the order of writing
  std::optional<SchemaParts> more;   // other names; nothing: not allowed
};

absl::StatusOr<ObjectShape> ObjectShapeOf(const SchemaParts& parts,
                                          Budget& budget);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_SCHEMA_OBJECT_H_

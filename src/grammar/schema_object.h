// What a schema's parts say of arrays and objects.

#ifndef GEMMA_SRC_GRAMMAR_SCHEMA_OBJECT_H_
#define GEMMA_SRC_GRAMMAR_SCHEMA_OBJECT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/grammar/schema_keywords.h"
#include "src/grammar/schema_parts.h"

namespace gemma {

struct ArrayShape {
  std::vector<SchemaParts> first;  // elements with a schema of their own
  SchemaParts rest;
  CountRange count;
};

// Of at least one part, as below. An error names what is wrong, or the part
// that exhausts the budget.
absl::StatusOr<ArrayShape> ArrayShapeOf(const SchemaParts& parts,
                                        Budget& budget);

struct ObjectShape {
  struct Property {
    std::string name;
    SchemaParts value;
    bool required = false;
  };
  std::vector<Property> properties;  // in the order that they are written in
  std::optional<SchemaParts> more;   // properties of other names, if allowed
};

absl::StatusOr<ObjectShape> ObjectShapeOf(const SchemaParts& parts,
                                          Budget& budget);

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_SCHEMA_OBJECT_H_

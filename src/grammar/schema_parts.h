// The places of a JSON schema, and what holds at each: references followed, and
// combinations of schemas taken apart.

#ifndef GEMMA_SRC_GRAMMAR_SCHEMA_PARTS_H_
#define GEMMA_SRC_GRAMMAR_SCHEMA_PARTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "src/base/json.h"

namespace gemma {

// A schema and its JSON pointer in the document.
struct SchemaPart {
  Json schema;
  std::string pointer;
};

// What must hold at once; nothing: any value is right.
using SchemaParts = std::vector<SchemaPart>;

// An error about a place: "'#/properties/a': <what>".
absl::Status SchemaError(std::string_view pointer, std::string_view what);

// The pointer of a member.
std::string PointerTo(std::string_view pointer, std::string_view name);

// The value of a keyword if it is there, or an error that says what it must be.
template <class T>
absl::StatusOr<std::optional<T>> ReadKeyword(const SchemaPart& part,
                                             std::string_view name,
                                             std::string_view wanted) {
  const std::optional<Json> json = part.schema.Find(name);
  if (!json.has_value()) return std::nullopt;
  T value{};
  if (!json->Get(value).ok()) {
    return SchemaError(PointerTo(part.pointer, name),
                       absl::StrCat("wanted ", wanted));
  }
  return value;
}

// Types as bits, so that sets of them have intersections.
using TypeSet = uint32_t;
inline constexpr TypeSet kNullType = 1;
inline constexpr TypeSet kBooleanType = 2;
inline constexpr TypeSet kStringType = 4;
inline constexpr TypeSet kIntegerType = 8;
inline constexpr TypeSet kFractionType = 16;  // numbers that are no integers
inline constexpr TypeSet kNumberType = kIntegerType | kFractionType;
inline constexpr TypeSet kArrayType = 32;
inline constexpr TypeSet kObjectType = 64;
inline constexpr TypeSet kAnyType = 127;

// The types of "type", or all.
absl::StatusOr<TypeSet> TypesOf(const SchemaPart& part);
TypeSet TypeOf(const Json& value);

// The values of "const" and "enum", if the schema has one of them.
absl::StatusOr<std::optional<std::vector<Json>>> ValuesOf(
    const SchemaPart& part);

class SchemaDocument {
 public:
  explicit SchemaDocument(Json root) : root_(std::move(root)) {}

  SchemaPart root() const { return {root_, ""}; }

  // The alternatives that parts allow: one of them must hold. The keywords
  // $ref, allOf, anyOf and oneOf are then done with. An error names the first
  // place that cannot be resolved, or where branches of a oneOf may overlap.
  absl::StatusOr<std::vector<SchemaParts>> Alternatives(
      const SchemaParts& parts);

 private:
  using Dnf = std::vector<SchemaParts>;

  absl::StatusOr<Dnf> Expand(const SchemaPart& part);
  absl::StatusOr<Dnf> ExpandMembers(const SchemaPart& part);
  absl::StatusOr<Dnf> ExpandBranches(const SchemaPart& part,
                                     std::string_view name);
  absl::StatusOr<SchemaPart> Follow(const SchemaPart& part,
                                    std::string_view reference) const;

  Json root_;
  absl::flat_hash_map<std::string, Dnf> expanded_;  // by pointer
  std::vector<std::string> open_;  // pointers that are being expanded
};

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_SCHEMA_PARTS_H_

// The places of a JSON schema and the conditions at each, with references
// followed and combined schemas resolved.

#ifndef GEMMA_SRC_GRAMMAR_SCHEMA_PARTS_H_
#define GEMMA_SRC_GRAMMAR_SCHEMA_PARTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "src/base/hash_table.h"
#include "src/base/json.h"
#include "src/grammar/budget.h"

namespace gemma::internal {

// Places of one document that must all hold. Empty: any value is valid.
using SchemaParts = std::vector<Json>;

// Identifies a set of places.
using SchemaKey = std::vector<size_t>;
SchemaKey KeyOf(const SchemaParts& parts);

// Returns the memory of the parts and their key.
size_t BytesOf(const SchemaParts& parts);

// Returns an error about a place: "'#/properties/a': <what>".
absl::Status SchemaError(std::string_view pointer, std::string_view what);
absl::Status SchemaError(const Json& place, std::string_view what);
// The same about a member of the place. The member need not exist.
absl::Status MemberError(const Json& place, std::string_view name,
                         std::string_view what);

// Steps to read a place's keywords: each is searched for among all members.
size_t StepsToRead(const Json& place);

// Spends from the budget. InvalidArgument, with the place and the limit, if the
// budget is exhausted.
absl::Status Spend(Budget& budget, const Json& place, size_t steps,
                   size_t bytes = 0);

// Reads a keyword if it is present. An error says what its value must be.
template <class T>
absl::StatusOr<std::optional<T>> ReadKeyword(const Json& place,
                                             std::string_view name,
                                             std::string_view wanted) {
  const std::optional<Json> json = place.Find(name);
  if (!json.has_value()) return std::nullopt;
  T value{};
  if (!json->Get(value).ok()) {
    return SchemaError(*json, absl::StrCat("wanted ", wanted));
  }
  return value;
}

// Types as bits, so that sets can be intersected.
using TypeSet = uint32_t;
inline constexpr TypeSet kNullType = 1;
inline constexpr TypeSet kBooleanType = 2;
inline constexpr TypeSet kStringType = 4;
inline constexpr TypeSet kIntegerType = 8;
inline constexpr TypeSet kFractionType = 16;  // numbers that are not integers
inline constexpr TypeSet kNumberType = kIntegerType | kFractionType;
inline constexpr TypeSet kArrayType = 32;
inline constexpr TypeSet kObjectType = 64;
inline constexpr TypeSet kAnyType = 127;

// Returns the types of "type", or all types.
absl::StatusOr<TypeSet> TypesOf(const Json& place);
TypeSet TypeOf(const Json& value);

// Returns the values of "const" and "enum", or nothing if neither is present.
absl::StatusOr<std::optional<std::vector<Json>>> ValuesOf(const Json& place,
                                                          Budget& budget);

class SchemaDocument {
 public:
  // `budget` must outlive the document.
  SchemaDocument(Json root, Budget& budget)
      : root_(std::move(root)), budget_(budget) {}

  const Json& root() const { return root_; }

  // Returns alternatives, one of which must hold. $ref, allOf, anyOf and oneOf
  // are resolved, and only supported keywords are left. An error names the
  // first place that cannot be resolved, that exhausts the budget, or whose
  // oneOf has branches that may overlap. A place that is only a reference
  // shares the result of its target.
  using Alternatives = std::shared_ptr<const std::vector<SchemaParts>>;
  absl::StatusOr<Alternatives> AlternativesOf(const SchemaParts& parts);

 private:
  absl::StatusOr<Alternatives> Expand(const Json& place);
  absl::StatusOr<Alternatives> ExpandMembers(const Json& place);
  absl::StatusOr<Alternatives> ExpandBranches(const Json& place,
                                              std::string_view name);
  // Conditions that satisfy both `a` and `b`. `place` is for messages.
  absl::StatusOr<Alternatives> Both(const Alternatives& a,
                                    const Alternatives& b, const Json& place);
  absl::StatusOr<Json> Follow(const Json& place, std::string_view reference);

  Json root_;
  Budget& budget_;
  HashMap<size_t, Alternatives> expanded_;  // by place
  std::vector<size_t> open_;                // places that are being expanded
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_SCHEMA_PARTS_H_

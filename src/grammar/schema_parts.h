// The places of a JSON schema, and what holds at each: references followed, and
// combinations of schemas taken apart.

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

namespace gemma {

// Places of one document that must hold at once; nothing: any value is right.
using SchemaParts = std::vector<Json>;

// What tells sets of places apart.
using SchemaKey = std::vector<size_t>;
SchemaKey KeyOf(const SchemaParts& parts);

// What the parts and their key take.
size_t BytesOf(const SchemaParts& parts);

// An error about a place: "'#/properties/a': <what>".
absl::Status SchemaError(std::string_view pointer, std::string_view what);
absl::Status SchemaError(const Json& place, std::string_view what);
// The same about one of its members, which need not be there.
absl::Status MemberError(const Json& place, std::string_view name,
                         std::string_view what);

// What reading a place's keywords takes: each is looked for among all members.
size_t StepsToRead(const Json& place);

// Spends of the budget. InvalidArgument names the place where it ends, and the
// limit.
absl::Status Spend(Budget& budget, const Json& place, size_t steps,
                   size_t bytes = 0);

// The value of a keyword if it is there, or an error that says what it must be.
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
absl::StatusOr<TypeSet> TypesOf(const Json& place);
TypeSet TypeOf(const Json& value);

// The values of "const" and "enum", if the place has one of them.
absl::StatusOr<std::optional<std::vector<Json>>> ValuesOf(const Json& place,
                                                          Budget& budget);

class SchemaDocument {
 public:
  // The budget must outlive the document.
  SchemaDocument(Json root, Budget& budget)
      : root_(std::move(root)), budget_(budget) {}

  const Json& root() const { return root_; }

  // The alternatives that parts allow: one of them must hold. The keywords
  // $ref, allOf, anyOf and oneOf are then done with, and no keyword is left
  // that is not supported. An error names the first place that cannot be
  // resolved, that exhausts the budget, or where branches of a oneOf may
  // overlap. Places that say nothing but a reference share what it stands for.
  using Alternatives = std::shared_ptr<const std::vector<SchemaParts>>;
  absl::StatusOr<Alternatives> AlternativesOf(const SchemaParts& parts);

 private:
  absl::StatusOr<Alternatives> Expand(const Json& place);
  absl::StatusOr<Alternatives> ExpandMembers(const Json& place);
  absl::StatusOr<Alternatives> ExpandBranches(const Json& place,
                                              std::string_view name);
  // What holds where both do; `place` is for messages.
  absl::StatusOr<Alternatives> Both(const Alternatives& a,
                                    const Alternatives& b, const Json& place);
  absl::StatusOr<Json> Follow(const Json& place, std::string_view reference);

  Json root_;
  Budget& budget_;
  HashMap<size_t, Alternatives> expanded_;  // by place
  std::vector<size_t> open_;                // places that are being expanded
};

}  // namespace gemma

#endif  // GEMMA_SRC_GRAMMAR_SCHEMA_PARTS_H_

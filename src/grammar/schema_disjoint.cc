#include "src/grammar/schema_disjoint.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/hash_table.h"
#include "src/base/status_macros.h"
#include "src/grammar/json_values.h"

namespace gemma::internal {
namespace {

TypeSet TypesOf(const std::vector<Json>& values) {
  TypeSet types = 0;
  for (const Json& value : values) types |= TypeOf(value);
  return types;
}

// Whether the lists share no value.
absl::StatusOr<bool> AreDisjoint(const std::vector<Json>& a,
                                 const std::vector<Json>& b, const Json& place,
                                 Budget& budget) {
  HashSet<std::string> texts;
  for (const Json& value : a) {
    std::string text = JsonText(value);
    GEMMA_RETURN_IF_ERROR(Spend(budget, place, 1 + text.size()));
    texts.insert(std::move(text));
  }
  for (const Json& value : b) {
    const std::string text = JsonText(value);
    GEMMA_RETURN_IF_ERROR(Spend(budget, place, 1 + text.size()));
    if (texts.contains(text)) return false;
  }
  return true;
}

absl::StatusOr<bool> AreDisjoint(const Json& a, const Json& b, bool deep,
                                 Budget& budget);

// Whether a property that both require has values that exclude each other.
absl::StatusOr<bool> HaveDisjointProperty(const Json& a, const Json& b,
                                          Budget& budget) {
  const std::string_view wanted = "a list of names";
  using Names = std::vector<std::string>;
  GEMMA_ASSIGN_OR_RETURN(const auto a_required,
                         ReadKeyword<Names>(a, "required", wanted));
  GEMMA_ASSIGN_OR_RETURN(const auto b_required,
                         ReadKeyword<Names>(b, "required", wanted));
  const std::optional<Json> a_properties = a.Find("properties");
  const std::optional<Json> b_properties = b.Find("properties");
  if (!a_required || !b_required || !a_properties || !b_properties) {
    return false;
  }
  GEMMA_RETURN_IF_ERROR(
      Spend(budget, b, a_required->size() + b_required->size()));
  const HashSet<std::string_view> both(b_required->begin(), b_required->end());
  for (const std::string& name : *a_required) {
    if (!both.contains(name)) continue;
    GEMMA_RETURN_IF_ERROR(
        Spend(budget, b, a_properties->size() + b_properties->size()));
    const std::optional<Json> a_property = a_properties->Find(name);
    const std::optional<Json> b_property = b_properties->Find(name);
    if (!a_property || !b_property) continue;
    GEMMA_ASSIGN_OR_RETURN(
        const bool disjoint,
        AreDisjoint(*a_property, *b_property, /*deep=*/false, budget));
    if (disjoint) return true;
  }
  return false;
}

// Whether no value is valid for both: by type, by value, or by a property that
// both require. `deep`: also compare properties.
absl::StatusOr<bool> AreDisjoint(const Json& a, const Json& b, bool deep,
                                 Budget& budget) {
  if (!a.is_object() || !b.is_object()) return false;
  GEMMA_RETURN_IF_ERROR(Spend(budget, b, StepsToRead(a) + StepsToRead(b)));
  GEMMA_ASSIGN_OR_RETURN(TypeSet a_types, TypesOf(a));
  GEMMA_ASSIGN_OR_RETURN(TypeSet b_types, TypesOf(b));
  GEMMA_ASSIGN_OR_RETURN(const auto a_values, ValuesOf(a, budget));
  GEMMA_ASSIGN_OR_RETURN(const auto b_values, ValuesOf(b, budget));
  if (a_values.has_value()) a_types &= TypesOf(*a_values);
  if (b_values.has_value()) b_types &= TypesOf(*b_values);
  if ((a_types & b_types) == 0) return true;
  if (a_values.has_value() && b_values.has_value()) {
    return AreDisjoint(*a_values, *b_values, b, budget);
  }
  if (!deep || (a_types & b_types) != kObjectType) return false;
  return HaveDisjointProperty(a, b, budget);
}

}  // namespace

absl::StatusOr<bool> AreDisjoint(const SchemaParts& a, const SchemaParts& b,
                                 Budget& budget) {
  for (const Json& part : a) {
    for (const Json& other : b) {
      if (part.id() == other.id()) continue;
      GEMMA_ASSIGN_OR_RETURN(const bool disjoint,
                             AreDisjoint(part, other, /*deep=*/true, budget));
      if (disjoint) return true;
    }
  }
  return false;
}

}  // namespace gemma::internal

#include "src/grammar/schema_parts.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/grammar/json_values.h"
#include "src/grammar/schema_disjoint.h"
#include "src/grammar/schema_keywords.h"

namespace gemma::internal {
namespace {

constexpr size_t kMaxOpen = 100;  // nested references and combinations
constexpr size_t kMaxAlternatives = 256;
constexpr size_t kMaxTogether = 256;

// The approximate memory of a place in the tables.
constexpr size_t kPlaceBytes = 128;

struct TypeName {
  std::string_view name;
  TypeSet types;
};
constexpr TypeName kTypeNames[] = {
    {"null", kNullType},     {"boolean", kBooleanType},
    {"string", kStringType}, {"integer", kIntegerType},
    {"number", kNumberType}, {"array", kArrayType},
    {"object", kObjectType},
};

// Returns the schemas in the list of a keyword.
absl::StatusOr<std::vector<Json>> ListOf(const Json& place,
                                         std::string_view name) {
  std::vector<Json> list;
  const std::optional<Json> json = place.Find(name);
  if (!json.has_value()) return list;
  if (!json->is_array() || json->size() == 0) {
    return SchemaError(*json, "wanted a list of schemas");
  }
  for (const Json& element : json->Elements()) list.push_back(element);
  return list;
}

// One alternative without conditions.
SchemaDocument::Alternatives Anything() {
  return std::make_shared<const std::vector<SchemaParts>>(1);
}

bool IsAnything(const SchemaDocument::Alternatives& alternatives) {
  return alternatives->size() == 1 && alternatives->front().empty();
}

}  // namespace

SchemaKey KeyOf(const SchemaParts& parts) {
  SchemaKey key;
  for (const Json& part : parts) key.push_back(part.id());
  std::sort(key.begin(), key.end());
  return key;
}

size_t StepsToRead(const Json& place) { return 4 * (1 + place.size()); }

size_t BytesOf(const SchemaParts& parts) {
  return sizeof(SchemaParts) + parts.size() * (sizeof(Json) + sizeof(size_t));
}

absl::Status SchemaError(std::string_view pointer, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("'#", Printable(pointer, 256), "': ", what));
}

absl::Status SchemaError(const Json& place, std::string_view what) {
  return SchemaError(place.Pointer(), what);
}

absl::Status MemberError(const Json& place, std::string_view name,
                         std::string_view what) {
  const std::optional<Json> member = place.Find(name);
  return SchemaError(member.value_or(place), what);
}

absl::Status Spend(Budget& budget, const Json& place, size_t steps,
                   size_t bytes) {
  if (budget.Spend(steps, bytes)) return absl::OkStatus();
  return SchemaError(place, budget.Excess());
}

TypeSet TypeOf(const Json& value) {
  switch (value.type()) {
    case Json::Type::kNull:
      return kNullType;
    case Json::Type::kBool:
      return kBooleanType;
    case Json::Type::kString:
      return kStringType;
    case Json::Type::kArray:
      return kArrayType;
    case Json::Type::kObject:
      return kObjectType;
    case Json::Type::kNumber: {
      double number = 0;
      value.Get(number).IgnoreError();
      return number == std::floor(number) ? kIntegerType : kFractionType;
    }
  }
  return 0;
}

absl::StatusOr<TypeSet> TypesOf(const Json& place) {
  const std::optional<Json> json = place.Find("type");
  if (!json.has_value()) return kAnyType;
  std::vector<std::string> names(1);
  bool read =
      json->is_array() ? json->Get(names).ok() : json->Get(names[0]).ok();
  TypeSet types = 0;
  if (names.size() > std::size(kTypeNames)) read = false;
  for (const std::string& name : names) {
    const auto known =
        std::find_if(std::begin(kTypeNames), std::end(kTypeNames),
                     [&](const TypeName& t) { return t.name == name; });
    if (!read || known == std::end(kTypeNames)) {
      return SchemaError(*json,
                         "wanted null, boolean, string, integer, number, "
                         "array, object, or a list of them");
    }
    types |= known->types;
  }
  return types;
}

absl::StatusOr<std::optional<std::vector<Json>>> ValuesOf(const Json& place,
                                                          Budget& budget) {
  const std::optional<Json> list = place.Find("enum");
  const std::optional<Json> value = place.Find("const");
  if (!list.has_value() && !value.has_value()) return std::nullopt;
  if (!list.has_value()) return std::vector<Json>{*value};
  if (!list->is_array()) return SchemaError(*list, "wanted a list of values");
  GEMMA_RETURN_IF_ERROR(Spend(budget, *list, 1 + list->size()));
  const std::string wanted = value.has_value() ? JsonText(*value) : "";
  std::vector<Json> values;
  for (const Json& element : list->Elements()) {
    if (value.has_value()) {
      const std::string text = JsonText(element);
      GEMMA_RETURN_IF_ERROR(Spend(budget, *list, text.size()));
      if (text != wanted) continue;
    }
    values.push_back(element);
  }
  return values;
}

absl::StatusOr<SchemaDocument::Alternatives> SchemaDocument::AlternativesOf(
    const SchemaParts& parts) {
  Alternatives all = Anything();
  for (const Json& part : parts) {
    GEMMA_ASSIGN_OR_RETURN(const Alternatives own, Expand(part));
    GEMMA_ASSIGN_OR_RETURN(all, Both(all, own, part));
  }
  return all;
}

absl::StatusOr<SchemaDocument::Alternatives> SchemaDocument::Expand(
    const Json& place) {
  if (const auto it = expanded_.find(place.id()); it != expanded_.end()) {
    return it->second;
  }
  if (std::count(open_.begin(), open_.end(), place.id()) != 0) {
    return SchemaError(place,
                       "the schema refers to itself before it reads any text");
  }
  if (open_.size() >= kMaxOpen) {
    return SchemaError(
        place,
        FormatText("references and combinations are nested deeper than %u",
                   kMaxOpen));
  }
  GEMMA_RETURN_IF_ERROR(Spend(budget_, place, StepsToRead(place), kPlaceBytes));
  open_.push_back(place.id());
  absl::StatusOr<Alternatives> alternatives = ExpandMembers(place);
  open_.pop_back();
  if (alternatives.ok()) expanded_[place.id()] = *alternatives;
  return alternatives;
}

absl::StatusOr<SchemaDocument::Alternatives> SchemaDocument::ExpandMembers(
    const Json& place) {
  if (bool value = false; place.Get(value).ok()) {
    return value ? Anything()
                 : std::make_shared<const std::vector<SchemaParts>>();
  }
  if (!place.is_object()) {
    return SchemaError(place, "wanted a schema: an object, true or false");
  }
  GEMMA_RETURN_IF_ERROR(CheckKeywords(place));
  Alternatives all = Anything();
  if (HasAssertion(place)) {
    all =
        std::make_shared<const std::vector<SchemaParts>>(1, SchemaParts{place});
  }
  GEMMA_ASSIGN_OR_RETURN(
      const auto reference,
      ReadKeyword<std::string>(place, "$ref", "a reference as '#/$defs/name'"));
  if (reference.has_value()) {
    GEMMA_ASSIGN_OR_RETURN(const Json target, Follow(place, *reference));
    GEMMA_ASSIGN_OR_RETURN(const Alternatives more, Expand(target));
    GEMMA_ASSIGN_OR_RETURN(all, Both(all, more, place));
  }
  GEMMA_ASSIGN_OR_RETURN(const auto branches, ListOf(place, "allOf"));
  for (const Json& branch : branches) {
    GEMMA_ASSIGN_OR_RETURN(const Alternatives more, Expand(branch));
    GEMMA_ASSIGN_OR_RETURN(all, Both(all, more, branch));
  }
  for (const std::string_view name : {"anyOf", "oneOf"}) {
    const std::optional<Json> list = place.Find(name);
    if (!list.has_value()) continue;
    GEMMA_ASSIGN_OR_RETURN(const Alternatives more,
                           ExpandBranches(place, name));
    GEMMA_ASSIGN_OR_RETURN(all, Both(all, more, *list));
  }
  return all;
}

absl::StatusOr<SchemaDocument::Alternatives> SchemaDocument::ExpandBranches(
    const Json& place, std::string_view name) {
  GEMMA_ASSIGN_OR_RETURN(const auto branches, ListOf(place, name));
  auto all = std::make_shared<std::vector<SchemaParts>>();
  for (const Json& branch : branches) {
    GEMMA_ASSIGN_OR_RETURN(const Alternatives more, Expand(branch));
    for (size_t i = 0; name == "oneOf" && i < all->size(); ++i) {
      for (const SchemaParts& alternative : *more) {
        GEMMA_RETURN_IF_ERROR(Spend(budget_, branch, 1));
        GEMMA_ASSIGN_OR_RETURN(const bool disjoint,
                               AreDisjoint((*all)[i], alternative, budget_));
        if (disjoint) continue;
        return SchemaError(branch,
                           "the branch may overlap with another, wanted anyOf, "
                           "or a type or a required const that tells them "
                           "apart");
      }
    }
    if (all->size() + more->size() > kMaxAlternatives) {
      return SchemaError(branch,
                         FormatText("more than %u alternatives, wanted fewer",
                                    kMaxAlternatives));
    }
    for (const SchemaParts& alternative : *more) {
      GEMMA_RETURN_IF_ERROR(
          Spend(budget_, branch, alternative.size(), BytesOf(alternative)));
      all->push_back(alternative);
    }
  }
  return all;
}

absl::StatusOr<SchemaDocument::Alternatives> SchemaDocument::Both(
    const Alternatives& a, const Alternatives& b, const Json& place) {
  if (IsAnything(a)) return b;
  if (IsAnything(b)) return a;
  auto both = std::make_shared<std::vector<SchemaParts>>();
  for (const SchemaParts& left : *a) {
    for (const SchemaParts& right : *b) {
      GEMMA_RETURN_IF_ERROR(Spend(budget_, place,
                                  1 + left.size() * right.size(),
                                  BytesOf(left) + BytesOf(right)));
      SchemaParts parts = left;
      for (const Json& part : right) {
        if (std::none_of(left.begin(), left.end(), [&](const Json& other) {
              return other.id() == part.id();
            })) {
          parts.push_back(part);
        }
      }
      if (parts.size() > kMaxTogether || both->size() >= kMaxAlternatives) {
        return SchemaError(place, FormatText("combinations make more than %u "
                                             "alternatives, wanted fewer",
                                             kMaxAlternatives));
      }
      both->push_back(std::move(parts));
    }
  }
  return both;
}

absl::StatusOr<Json> SchemaDocument::Follow(const Json& place,
                                            std::string_view reference) {
  if (!absl::StartsWith(reference, "#") ||
      (reference.size() > 1 && reference[1] != '/') ||
      absl::StrContains(reference, '%')) {
    return MemberError(place, "$ref",
                       absl::StrCat(Quoted(reference),
                                    " is not supported, wanted a place here, "
                                    "as '#/$defs/name'"));
  }
  Json target = root_;
  if (reference == "#") return target;
  for (const std::string_view escaped :
       absl::StrSplit(reference.substr(2), '/')) {
    const std::string name =
        absl::StrReplaceAll(escaped, {{"~1", "/"}, {"~0", "~"}});
    GEMMA_RETURN_IF_ERROR(Spend(budget_, place, 1 + target.size()));
    std::optional<Json> next = target.Find(name);
    if (size_t index = 0; target.is_array() && absl::SimpleAtoi(name, &index) &&
                          absl::StrCat(index) == name &&
                          index < target.size()) {
      for (const Json& element : target.Elements()) {
        if (index-- == 0) next = element;
      }
    }
    if (!next.has_value()) {
      return MemberError(place, "$ref",
                         absl::StrCat("there is no ", Quoted(reference)));
    }
    target = *std::move(next);
  }
  return target;
}

}  // namespace gemma::internal

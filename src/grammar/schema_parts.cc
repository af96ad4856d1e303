#include "src/grammar/schema_parts.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/grammar/json_values.h"

namespace gemma {
namespace {

constexpr size_t kMaxOpen = 100;  // references and combinations, nested
constexpr size_t kMaxAlternatives = 256;
constexpr size_t kMaxTogether = 256;

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

TypeSet TypesOf(const std::vector<Json>& values) {
  TypeSet types = 0;
  for (const Json& value : values) types |= TypeOf(value);
  return types;
}

// Whether no value is right for both: by types, values, or what a property that
// both require must be. `deep`: whether to look at properties.
absl::StatusOr<bool> AreDisjoint(const SchemaPart& a, const SchemaPart& b,
                                 bool deep) {
  if (!a.schema.is_object() || !b.schema.is_object()) return false;
  GEMMA_ASSIGN_OR_RETURN(TypeSet a_types, TypesOf(a));
  GEMMA_ASSIGN_OR_RETURN(TypeSet b_types, TypesOf(b));
  GEMMA_ASSIGN_OR_RETURN(const auto a_values, ValuesOf(a));
  GEMMA_ASSIGN_OR_RETURN(const auto b_values, ValuesOf(b));
  if (a_values.has_value()) a_types &= TypesOf(*a_values);
  if (b_values.has_value()) b_types &= TypesOf(*b_values);
  if ((a_types & b_types) == 0) return true;
  if (a_values.has_value() && b_values.has_value()) {
    absl::flat_hash_set<std::string> texts;
    for (const Json& value : *a_values) texts.insert(JsonText(value));
    return std::none_of(
        b_values->begin(), b_values->end(),
        [&](const Json& value) { return texts.contains(JsonText(value)); });
  }
  if (!deep || (a_types & b_types) != kObjectType) return false;

  const std::string_view names = "a list of names";
  GEMMA_ASSIGN_OR_RETURN(
      const auto a_required,
      ReadKeyword<std::vector<std::string>>(a, "required", names));
  GEMMA_ASSIGN_OR_RETURN(
      const auto b_required,
      ReadKeyword<std::vector<std::string>>(b, "required", names));
  const std::optional<Json> a_properties = a.schema.Find("properties");
  const std::optional<Json> b_properties = b.schema.Find("properties");
  if (!a_required || !b_required || !a_properties || !b_properties) {
    return false;
  }
  for (const std::string& name : *a_required) {
    if (std::count(b_required->begin(), b_required->end(), name) == 0) continue;
    const std::optional<Json> a_property = a_properties->Find(name);
    const std::optional<Json> b_property = b_properties->Find(name);
    if (!a_property || !b_property) continue;
    GEMMA_ASSIGN_OR_RETURN(
        const bool disjoint,
        AreDisjoint({*a_property, PointerTo(a.pointer, name)},
                    {*b_property, PointerTo(b.pointer, name)}, false));
    if (disjoint) return true;
  }
  return false;
}

// Whether some of the parts exclude each other.
absl::StatusOr<bool> AreDisjoint(const SchemaParts& a, const SchemaParts& b) {
  for (const SchemaPart& part : a) {
    for (const SchemaPart& other : b) {
      GEMMA_ASSIGN_OR_RETURN(const bool disjoint,
                             AreDisjoint(part, other, true));
      if (disjoint) return true;
    }
  }
  return false;
}

// What holds where both do.
absl::StatusOr<std::vector<SchemaParts>> Both(const std::vector<SchemaParts>& a,
                                              const std::vector<SchemaParts>& b,
                                              std::string_view pointer) {
  std::vector<SchemaParts> both;
  for (const SchemaParts& left : a) {
    for (const SchemaParts& right : b) {
      SchemaParts parts = left;
      for (const SchemaPart& part : right) {
        if (std::none_of(left.begin(), left.end(), [&](const SchemaPart& p) {
              return p.pointer == part.pointer;
            })) {
          parts.push_back(part);
        }
      }
      if (parts.size() > kMaxTogether || both.size() >= kMaxAlternatives) {
        return SchemaError(pointer,
                           absl::StrFormat("combinations make more than %u "
                                           "alternatives, wanted fewer",
                                           kMaxAlternatives));
      }
      both.push_back(std::move(parts));
    }
  }
  return both;
}

// The schemas of a keyword that has a list of them.
absl::StatusOr<std::vector<SchemaPart>> ListOf(const SchemaPart& part,
                                               std::string_view name) {
  std::vector<SchemaPart> list;
  const std::optional<Json> json = part.schema.Find(name);
  if (!json.has_value()) return list;
  const std::string pointer = PointerTo(part.pointer, name);
  if (!json->is_array() || json->size() == 0) {
    return SchemaError(pointer, "wanted a list of schemas");
  }
  for (const Json& element : json->Elements()) {
    list.push_back({element, PointerTo(pointer, absl::StrCat(list.size()))});
  }
  return list;
}

}  // namespace

absl::Status SchemaError(std::string_view pointer, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("'#", Printable(pointer, 256), "': ", what));
}

std::string PointerTo(std::string_view pointer, std::string_view name) {
  return absl::StrCat(pointer, "/",
                      absl::StrReplaceAll(name, {{"~", "~0"}, {"/", "~1"}}));
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

absl::StatusOr<TypeSet> TypesOf(const SchemaPart& part) {
  const std::optional<Json> json = part.schema.Find("type");
  if (!json.has_value()) return kAnyType;
  std::vector<std::string> names(1);
  const bool read =
      json->is_array() ? json->Get(names).ok() : json->Get(names[0]).ok();
  TypeSet types = 0;
  for (const std::string& name : names) {
    const auto known =
        std::find_if(std::begin(kTypeNames), std::end(kTypeNames),
                     [&](const TypeName& t) { return t.name == name; });
    if (!read || known == std::end(kTypeNames)) {
      return SchemaError(PointerTo(part.pointer, "type"),
                         "wanted null, boolean, string, integer, number, "
                         "array, object, or a list of them");
    }
    types |= known->types;
  }
  return types;
}

absl::StatusOr<std::optional<std::vector<Json>>> ValuesOf(
    const SchemaPart& part) {
  const std::optional<Json> list = part.schema.Find("enum");
  const std::optional<Json> value = part.schema.Find("const");
  if (!list.has_value() && !value.has_value()) return std::nullopt;
  std::vector<Json> values;
  if (list.has_value()) {
    if (!list->is_array()) {
      return SchemaError(PointerTo(part.pointer, "enum"),
                         "wanted a list of values");
    }
    for (const Json& element : list->Elements()) {
      if (!value.has_value() || JsonText(element) == JsonText(*value)) {
        values.push_back(element);
      }
    }
  } else {
    values.push_back(*value);
  }
  return values;
}

absl::StatusOr<std::vector<SchemaParts>> SchemaDocument::Alternatives(
    const SchemaParts& parts) {
  Dnf all(1);
  for (const SchemaPart& part : parts) {
    GEMMA_ASSIGN_OR_RETURN(const Dnf alternatives, Expand(part));
    GEMMA_ASSIGN_OR_RETURN(all, Both(all, alternatives, part.pointer));
  }
  return all;
}

absl::StatusOr<SchemaDocument::Dnf> SchemaDocument::Expand(
    const SchemaPart& part) {
  if (const auto it = expanded_.find(part.pointer); it != expanded_.end()) {
    return it->second;
  }
  if (std::count(open_.begin(), open_.end(), part.pointer) != 0) {
    return SchemaError(part.pointer,
                       "the schema refers to itself with nothing between");
  }
  if (open_.size() >= kMaxOpen) {
    return SchemaError(
        part.pointer,
        absl::StrFormat("references and combinations are nested deeper than %u",
                        kMaxOpen));
  }
  open_.push_back(part.pointer);
  absl::StatusOr<Dnf> dnf = ExpandMembers(part);
  open_.pop_back();
  if (dnf.ok()) expanded_[part.pointer] = *dnf;
  return dnf;
}

absl::StatusOr<SchemaDocument::Dnf> SchemaDocument::ExpandMembers(
    const SchemaPart& part) {
  if (bool value = false; part.schema.Get(value).ok()) {
    return value ? Dnf(1) : Dnf();
  }
  if (!part.schema.is_object()) {
    return SchemaError(part.pointer,
                       "wanted a schema: an object, true or false");
  }
  Dnf dnf = {{part}};
  GEMMA_ASSIGN_OR_RETURN(
      const auto reference,
      ReadKeyword<std::string>(part, "$ref", "a reference as '#/$defs/name'"));
  if (reference.has_value()) {
    GEMMA_ASSIGN_OR_RETURN(const SchemaPart target, Follow(part, *reference));
    GEMMA_ASSIGN_OR_RETURN(const Dnf more, Expand(target));
    GEMMA_ASSIGN_OR_RETURN(dnf, Both(dnf, more, part.pointer));
  }
  GEMMA_ASSIGN_OR_RETURN(const auto all, ListOf(part, "allOf"));
  for (const SchemaPart& branch : all) {
    GEMMA_ASSIGN_OR_RETURN(const Dnf more, Expand(branch));
    GEMMA_ASSIGN_OR_RETURN(dnf, Both(dnf, more, branch.pointer));
  }
  for (const std::string_view name : {"anyOf", "oneOf"}) {
    if (!part.schema.Has(name)) continue;
    GEMMA_ASSIGN_OR_RETURN(const Dnf more, ExpandBranches(part, name));
    GEMMA_ASSIGN_OR_RETURN(dnf, Both(dnf, more, PointerTo(part.pointer, name)));
  }
  return dnf;
}

absl::StatusOr<SchemaDocument::Dnf> SchemaDocument::ExpandBranches(
    const SchemaPart& part, std::string_view name) {
  GEMMA_ASSIGN_OR_RETURN(const auto branches, ListOf(part, name));
  Dnf dnf;
  for (const SchemaPart& branch : branches) {
    GEMMA_ASSIGN_OR_RETURN(const Dnf more, Expand(branch));
    for (size_t i = 0; name == "oneOf" && i < dnf.size(); ++i) {
      for (const SchemaParts& alternative : more) {
        GEMMA_ASSIGN_OR_RETURN(const bool disjoint,
                               AreDisjoint(dnf[i], alternative));
        if (disjoint) continue;
        return SchemaError(branch.pointer,
                           "the branch may overlap with another, wanted anyOf, "
                           "or a type or a required const that tells them "
                           "apart");
      }
    }
    dnf.insert(dnf.end(), more.begin(), more.end());
    if (dnf.size() > kMaxAlternatives) {
      return SchemaError(
          branch.pointer,
          absl::StrFormat("more than %u alternatives", kMaxAlternatives));
    }
  }
  return dnf;
}

absl::StatusOr<SchemaPart> SchemaDocument::Follow(
    const SchemaPart& part, std::string_view reference) const {
  const std::string pointer = PointerTo(part.pointer, "$ref");
  if (!absl::StartsWith(reference, "#") ||
      (reference.size() > 1 && reference[1] != '/') ||
      absl::StrContains(reference, '%')) {
    return SchemaError(pointer, absl::StrCat(Quoted(reference),
                                             " is not supported, wanted a "
                                             "place here, as '#/$defs/name'"));
  }
  SchemaPart target = root();
  if (reference == "#") return target;
  for (const std::string_view escaped :
       absl::StrSplit(reference.substr(2), '/')) {
    const std::string name =
        absl::StrReplaceAll(escaped, {{"~1", "/"}, {"~0", "~"}});
    std::optional<Json> next = target.schema.Find(name);
    if (size_t index = 0;
        target.schema.is_array() && absl::SimpleAtoi(name, &index) &&
        absl::StrCat(index) == name && index < target.schema.size()) {
      for (const Json& element : target.schema.Elements()) {
        if (index-- == 0) next = element;
      }
    }
    if (!next.has_value()) {
      return SchemaError(pointer,
                         absl::StrCat("there is no ", Quoted(reference)));
    }
    target = {*next, PointerTo(target.pointer, name)};
  }
  return target;
}

}  // namespace gemma

#include "src/grammar/schema_object.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "src/base/status_macros.h"

namespace gemma {
namespace {

using Properties = absl::flat_hash_map<std::string, SchemaPart>;

// A member that is a schema, if there is one.
std::optional<SchemaPart> Child(const SchemaPart& part, std::string_view name) {
  const std::optional<Json> json = part.schema.Find(name);
  if (!json.has_value()) return std::nullopt;
  return SchemaPart{*json, PointerTo(part.pointer, name)};
}

// The schemas of prefixItems.
absl::StatusOr<std::vector<SchemaPart>> FirstItems(const SchemaPart& part) {
  std::vector<SchemaPart> items;
  const std::optional<SchemaPart> list = Child(part, "prefixItems");
  if (!list.has_value()) return items;
  if (!list->schema.is_array()) {
    return SchemaError(list->pointer, "wanted a list of schemas");
  }
  for (const Json& item : list->schema.Elements()) {
    const std::string index = std::to_string(items.size());
    items.push_back({item, PointerTo(list->pointer, index)});
  }
  return items;
}

absl::Status CheckUnique(const SchemaPart& part, uint32_t most) {
  GEMMA_ASSIGN_OR_RETURN(
      const auto unique,
      ReadKeyword<bool>(part, "uniqueItems", "true or false"));
  if (!unique.value_or(false) || most <= 1) return absl::OkStatus();
  return SchemaError(PointerTo(part.pointer, "uniqueItems"),
                     "this is supported for at most one element only");
}

// The properties of a part, in the order of the schema.
absl::StatusOr<std::vector<std::string>> ReadProperties(const SchemaPart& part,
                                                        Properties& into) {
  std::vector<std::string> names;
  const std::optional<SchemaPart> list = Child(part, "properties");
  if (!list.has_value()) return names;
  if (!list->schema.is_object()) {
    return SchemaError(list->pointer, "wanted an object");
  }
  for (const auto& [name, schema] : list->schema.Members()) {
    names.emplace_back(name);
    into.insert({names.back(), {schema, PointerTo(list->pointer, name)}});
  }
  return names;
}

// minProperties and maxProperties, where the properties say it anyhow.
absl::Status CheckCounts(const SchemaParts& parts, const ObjectShape& shape) {
  GEMMA_ASSIGN_OR_RETURN(const CountRange count,
                         CountsOf(parts, "minProperties", "maxProperties"));
  const size_t required =
      std::count_if(shape.properties.begin(), shape.properties.end(),
                    [](const ObjectShape::Property& p) { return p.required; });
  const char* wrong = nullptr;
  if (count.least > required) wrong = "minProperties";
  if (count.most < kNoLimit &&
      (shape.more.has_value() || count.most < shape.properties.size())) {
    wrong = "maxProperties";
  }
  for (const SchemaPart& part : parts) {
    if (wrong == nullptr || !part.schema.Has(wrong)) continue;
    return SchemaError(PointerTo(part.pointer, wrong),
                       "this is supported only where properties, required and "
                       "additionalProperties say the same");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ArrayShape> ArrayShapeOf(const SchemaParts& parts) {
  ArrayShape shape;
  GEMMA_ASSIGN_OR_RETURN(shape.count, CountsOf(parts, "minItems", "maxItems"));
  std::vector<std::vector<SchemaPart>> firsts;
  for (const SchemaPart& part : parts) {
    GEMMA_RETURN_IF_ERROR(CheckUnique(part, shape.count.most));
    GEMMA_ASSIGN_OR_RETURN(firsts.emplace_back(), FirstItems(part));
    if (firsts.back().size() > shape.first.size()) {
      shape.first.resize(firsts.back().size());
    }
    if (const auto items = Child(part, "items")) shape.rest.push_back(*items);
  }
  for (size_t i = 0; i < shape.first.size(); ++i) {
    for (size_t p = 0; p < parts.size(); ++p) {
      if (i < firsts[p].size()) {
        shape.first[i].push_back(firsts[p][i]);
      } else if (const auto items = Child(parts[p], "items")) {
        shape.first[i].push_back(*items);
      }
    }
  }
  return shape;
}

absl::StatusOr<ObjectShape> ObjectShapeOf(const SchemaParts& parts) {
  ObjectShape shape;
  absl::flat_hash_map<std::string, size_t> indices;
  const auto add = [&](const std::string& name) {
    const auto [it, inserted] =
        indices.try_emplace(name, shape.properties.size());
    if (inserted) shape.properties.push_back({name});
    return it->second;
  };
  std::vector<Properties> properties(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    GEMMA_ASSIGN_OR_RETURN(const auto names,
                           ReadProperties(parts[i], properties[i]));
    for (const std::string& name : names) add(name);
  }
  for (const SchemaPart& part : parts) {
    GEMMA_ASSIGN_OR_RETURN(const auto required,
                           ReadKeyword<std::vector<std::string>>(
                               part, "required", "a list of names"));
    if (!required.has_value()) continue;
    for (const std::string& name : *required) {
      shape.properties[add(name)].required = true;
    }
  }
  bool open = shape.properties.empty();
  bool closed = false;
  SchemaParts more;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto rest = Child(parts[i], "additionalProperties");
    for (ObjectShape::Property& p : shape.properties) {
      if (const auto it = properties[i].find(p.name);
          it != properties[i].end()) {
        p.value.push_back(it->second);
      } else if (rest.has_value()) {
        p.value.push_back(*rest);
      }
    }
    if (!rest.has_value()) continue;
    bool any = true;
    closed |= rest->schema.Get(any).ok() && !any;
    open = true;
    more.push_back(*rest);
  }
  if (open && !closed) shape.more = std::move(more);
  GEMMA_RETURN_IF_ERROR(CheckCounts(parts, shape));
  return shape;
}

}  // namespace gemma

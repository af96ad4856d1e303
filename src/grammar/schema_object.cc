#include "src/grammar/schema_object.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "src/base/hash_table.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

using Properties = HashMap<std::string_view, Json>;

// Returns the schemas of prefixItems.
absl::StatusOr<std::vector<Json>> FirstItems(const Json& part) {
  std::vector<Json> items;
  const std::optional<Json> list = part.Find("prefixItems");
  if (!list.has_value()) return items;
  if (!list->is_array()) return SchemaError(*list, "wanted a list of schemas");
  for (const Json& item : list->Elements()) items.push_back(item);
  return items;
}

absl::Status CheckUnique(const Json& part, uint32_t most) {
  GEMMA_ASSIGN_OR_RETURN(
      const auto unique,
      ReadKeyword<bool>(part, "uniqueItems", "true or false"));
  if (!unique.value_or(false) || most <= 1) return absl::OkStatus();
  return MemberError(part, "uniqueItems",
                     "this is supported for at most one element only");
}

// Returns the properties in the order of the part. The part's document must
// outlive them.
absl::StatusOr<std::vector<std::string_view>> ReadProperties(const Json& part,
                                                             Properties& into) {
  std::vector<std::string_view> names;
  const std::optional<Json> list = part.Find("properties");
  if (!list.has_value()) return names;
  if (!list->is_object()) return SchemaError(*list, "wanted an object");
  for (const auto& [name, schema] : list->Members()) {
    names.push_back(name);
    into.insert({name, schema});
  }
  return names;
}

// Accepts minProperties and maxProperties only if the properties already ensure
// them.
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
  for (const Json& part : parts) {
    if (wrong == nullptr || !part.Has(wrong)) continue;
    return MemberError(part, wrong,
                       "this is supported only where properties, required and "
                       "additionalProperties say the same");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ArrayShape> ArrayShapeOf(const SchemaParts& parts,
                                        Budget& budget) {
  ArrayShape shape;
  GEMMA_ASSIGN_OR_RETURN(shape.count, CountsOf(parts, "minItems", "maxItems"));
  std::vector<std::vector<Json>> firsts;
  for (const Json& part : parts) {
    GEMMA_RETURN_IF_ERROR(CheckUnique(part, shape.count.most));
    GEMMA_ASSIGN_OR_RETURN(firsts.emplace_back(), FirstItems(part));
    if (firsts.back().size() > shape.first.size()) {
      shape.first.resize(firsts.back().size());
    }
    if (const auto items = part.Find("items")) shape.rest.push_back(*items);
  }
  const size_t places = shape.first.size() * parts.size();
  GEMMA_RETURN_IF_ERROR(
      Spend(budget, parts.front(), places, places * sizeof(Json)));
  for (size_t p = 0; p < parts.size(); ++p) {
    const std::optional<Json> items = parts[p].Find("items");
    for (size_t i = 0; i < shape.first.size(); ++i) {
      if (i < firsts[p].size()) {
        shape.first[i].push_back(firsts[p][i]);
      } else if (items.has_value()) {
        shape.first[i].push_back(*items);
      }
    }
  }
  return shape;
}

absl::StatusOr<ObjectShape> ObjectShapeOf(const SchemaParts& parts,
                                          Budget& budget) {
  ObjectShape shape;
  HashMap<std::string, size_t> indices;
  const auto add = [&](std::string_view name) {
    const auto [it, inserted] =
        indices.try_emplace(std::string(name), shape.properties.size());
    if (inserted) shape.properties.push_back({std::string(name)});
    return it->second;
  };
  std::vector<Properties> properties(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    GEMMA_ASSIGN_OR_RETURN(const auto names,
                           ReadProperties(parts[i], properties[i]));
    for (const std::string_view name : names) add(name);
  }
  for (const Json& part : parts) {
    GEMMA_ASSIGN_OR_RETURN(const auto required,
                           ReadKeyword<std::vector<std::string>>(
                               part, "required", "a list of names"));
    if (!required.has_value()) continue;
    for (const std::string& name : *required) {
      shape.properties[add(name)].required = true;
    }
  }
  const size_t places = shape.properties.size() * parts.size();
  GEMMA_RETURN_IF_ERROR(
      Spend(budget, parts.front(), places, places * sizeof(Json)));
  bool open = shape.properties.empty();
  bool closed = false;
  SchemaParts more;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto rest = parts[i].Find("additionalProperties");
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
    closed |= rest->Get(any).ok() && !any;
    open = true;
    more.push_back(*rest);
  }
  if (open && !closed) shape.more = std::move(more);
  GEMMA_RETURN_IF_ERROR(CheckCounts(parts, shape));
  return shape;
}

}  // namespace gemma::internal

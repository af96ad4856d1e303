#include "src/serve/request/fields.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace gemma::internal {

absl::StatusOr<Fields> Fields::Of(const Json& object) {
  if (!object.is_object()) {
    return AtField(object.Unexpected("an object"), object);
  }
  return Fields(object);
}

std::optional<Json> Fields::Take(std::string_view name) {
  known_.push_back(name);
  std::optional<Json> field = object_.Find(name);
  if (field.has_value() && field->is_null()) return std::nullopt;
  return field;
}

absl::Status Fields::Missing(std::string_view name) const {
  const std::string place = ParamOf(object_);
  const std::string param =
      place.empty() ? std::string(name) : absl::StrCat(place, ".", name);
  return AtParam(
      absl::InvalidArgumentError(absl::StrCat("'", param, "' is missing")),
      param);
}

void Fields::Ignore(std::initializer_list<std::string_view> names) {
  known_.insert(known_.end(), names.begin(), names.end());
}

absl::Status Fields::RefuseOthers() const {
  for (const auto& [name, value] : object_.Members()) {
    if (value.is_null() || std::ranges::find(known_, name) != known_.end()) {
      continue;
    }
    return FieldError(value,
                      "is not a field that this server knows; it is refused "
                      "because it might change the answer");
  }
  return absl::OkStatus();
}

}  // namespace gemma::internal

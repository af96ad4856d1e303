// Reads the fields of a JSON object, and refuses those that nobody read.

#ifndef GEMMA_SRC_SERVE_REQUEST_FIELDS_H_
#define GEMMA_SRC_SERVE_REQUEST_FIELDS_H_

#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/json.h"
#include "src/serve/api_error.h"

namespace gemma::internal {

// A field with the value null counts as missing. Errors name the field.
class Fields {
 public:
  // An error if the value is not an object.
  static absl::StatusOr<Fields> Of(const Json& object);

  // Returns the field, or nothing if it is missing.
  std::optional<Json> Take(std::string_view name);

  // Reads the field. Leaves `value` as it is if the field is missing.
  template <class T>
  absl::Status Read(std::string_view name, T& value) {
    const std::optional<Json> field = Take(name);
    return field.has_value() ? AtField(field->Get(value), *field)
                             : absl::OkStatus();
  }
  template <class T>
  absl::Status Read(std::string_view name, std::optional<T>& value) {
    T read{};
    const std::optional<Json> field = Take(name);
    if (!field.has_value()) return absl::OkStatus();
    absl::Status status = AtField(field->Get(read), *field);
    if (status.ok()) value = std::move(read);
    return status;
  }
  // The same, but a missing field is an error.
  template <class T>
  absl::Status ReadRequired(std::string_view name, T& value) {
    const std::optional<Json> field = Take(name);
    if (!field.has_value()) return Missing(name);
    return AtField(field->Get(value), *field);
  }
  // Returns the error of a field that is missing.
  absl::Status Missing(std::string_view name) const;

  // Accepts fields that change nothing in the answer.
  void Ignore(std::initializer_list<std::string_view> names);

  // Refuses the first field that was neither read nor ignored: it might change
  // the answer.
  absl::Status RefuseOthers() const;

  const Json& json() const { return object_; }

 private:
  explicit Fields(Json object) : object_(std::move(object)) {}

  Json object_;
  std::vector<std::string_view> known_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_REQUEST_FIELDS_H_

#include "tools/gemma/io/json_line.h"

#include "absl/strings/str_cat.h"

namespace gemma::tools {

using Json = nlohmann::json;

absl::StatusOr<Json> ParseJsonLine(std::string_view line) {
  try {
    return Json::parse(line);
  } catch (const Json::parse_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("not JSON in UTF-8 (error at byte ", error.byte, ")"));
  } catch (const Json::exception&) {
    return absl::InvalidArgumentError("a number is too large");
  }
}

absl::Status WrongType(std::string_view name, const Json& found,
                       std::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat(
      "'", name, "' is of type ", found.type_name(), ", wanted ", wanted));
}

absl::Status ReadTextField(std::string_view name, const Json& json,
                           std::string* text) {
  if (!json.is_string()) return WrongType(name, json, "a text");
  *text = json.get_ref<const std::string&>();
  return absl::OkStatus();
}

absl::Status ReadId(const Json& object, std::string* id) {
  const auto found = object.find("id");
  if (found == object.end()) return absl::OkStatus();
  if (!found->is_string() && !found->is_number()) {
    return WrongType("id", *found, "a text or a number");
  }
  *id = found->dump();
  return absl::OkStatus();
}

}  // namespace gemma::tools

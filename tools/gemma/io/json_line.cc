#include "tools/gemma/io/json_line.h"

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/json.h"
#include "src/base/messages.h"

namespace gemma::tools {

namespace {

constexpr size_t kMaxDepth = internal::Json::Limits().max_depth;

// Whether the text opens more than kMaxDepth arrays and objects within each
// other. Exact up to the first error that a parser finds.
bool IsTooDeep(std::string_view json) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;  // the next character does not end the string
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) return true;
    } else if (c == ']' || c == '}') {
      if (depth == 0) return false;  // an error
      --depth;
    }
  }
  return false;
}

// Finds a key that an object has twice.
class RepeatedKey {
 public:
  void See(nlohmann::ordered_json::parse_event_t event,
           const nlohmann::ordered_json& value) {
    using Event = nlohmann::ordered_json::parse_event_t;
    if (event == Event::object_start) {
      objects_.emplace_back();
    } else if (event == Event::object_end) {
      objects_.pop_back();
    } else if (event == Event::key && !name_.has_value() &&
               !objects_.back().insert(value.get<std::string>()).second) {
      name_ = value.get<std::string>();
    }
  }

  const std::optional<std::string>& name() const { return name_; }

 private:
  std::vector<std::set<std::string>> objects_;  // the keys of each open one
  std::optional<std::string> name_;
};

}  // namespace

absl::StatusOr<nlohmann::ordered_json> ParseJsonLine(std::string_view line) {
  if (IsTooDeep(line)) {
    return absl::InvalidArgumentError(
        absl::StrCat("nested more than ", kMaxDepth, " deep, wanted less"));
  }
  RepeatedKey repeated;
  try {
    nlohmann::ordered_json json = nlohmann::ordered_json::parse(
        line, [&](int, nlohmann::ordered_json::parse_event_t event,
                  const nlohmann::ordered_json& value) {
          repeated.See(event, value);
          return true;
        });
    if (repeated.name().has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("has ", internal::Quoted(*repeated.name()),
                       " twice in an object, wanted it once"));
    }
    return json;
  } catch (const nlohmann::ordered_json::parse_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("not JSON in UTF-8 (error at byte ", error.byte, ")"));
  } catch (const nlohmann::ordered_json::exception&) {
    return absl::InvalidArgumentError("a number is too large");
  }
}

absl::Status WrongType(std::string_view name,
                       const nlohmann::ordered_json& found,
                       std::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat(
      "'", name, "' is of type ", found.type_name(), ", wanted ", wanted));
}

absl::Status ReadTextField(std::string_view name,
                           const nlohmann::ordered_json& json,
                           std::string* text) {
  if (!json.is_string()) return WrongType(name, json, "a string");
  *text = json.get_ref<const std::string&>();
  return absl::OkStatus();
}

absl::Status ReadId(const nlohmann::ordered_json& object, std::string* id) {
  const auto found = object.find("id");
  if (found == object.end()) return absl::OkStatus();
  if (!found->is_string() && !found->is_number()) {
    return WrongType("id", *found, "a string or a number");
  }
  *id = found->dump();
  return absl::OkStatus();
}

}  // namespace gemma::tools

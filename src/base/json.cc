#include "src/base/json.h"

#include <bit>
#include <cmath>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "src/base/format_text.h"
#include "src/base/json_document.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {

void AppendJsonName(std::string& path, std::string_view name) {
  absl::StrAppend(&path, path.empty() ? "" : ".", Printable(name));
}

void AppendJsonIndex(std::string& path, size_t index) {
  absl::StrAppend(&path, "[", index, "]");
}

std::string JsonPlace(std::string_view file, std::string_view path) {
  return path.empty() ? std::string(file)
                      : absl::StrCat(file, ": '", path, "'");
}

Json::Type Json::type() const {
  switch (document_->nodes[node_].kind) {
    case JsonKind::kNull:
      return Type::kNull;
    case JsonKind::kBool:
      return Type::kBool;
    case JsonKind::kNegative:
    case JsonKind::kUnsigned:
    case JsonKind::kLargeInteger:
    case JsonKind::kFloat:
      return Type::kNumber;
    case JsonKind::kString:
      return Type::kString;
    case JsonKind::kArray:
      return Type::kArray;
    case JsonKind::kObject:
      return Type::kObject;
  }
  return Type::kNull;
}

size_t Json::size() const {
  return is_array() || is_object() ? document_->nodes[node_].size : 0;
}

// ---------------------------------------------------------------------------
// Values

absl::Status Json::Get(bool& value) const {
  const JsonNode& node = document_->nodes[node_];
  if (node.kind != JsonKind::kBool) return Unexpected("true or false");
  value = node.value != 0;
  return absl::OkStatus();
}

namespace {

// Stores the node's integer in `value` if it fits. Returns whether it does.
template <class T>
bool GetInteger(const JsonNode& node, T& value) {
  if (node.kind == JsonKind::kUnsigned) {
    if (!std::in_range<T>(node.value)) return false;
    value = static_cast<T>(node.value);
    return true;
  }
  if (node.kind == JsonKind::kNegative) {
    const int64_t negative = static_cast<int64_t>(node.value);
    if (!std::in_range<T>(negative)) return false;
    value = static_cast<T>(negative);
    return true;
  }
  return false;
}

}  // namespace

absl::Status Json::Get(int32_t& value) const {
  if (GetInteger(document_->nodes[node_], value)) return absl::OkStatus();
  return Unexpected(IntegerWanted<int32_t>());
}

bool Json::IsInteger() const {
  const JsonNode& node = document_->nodes[node_];
  return node.kind == JsonKind::kNegative || node.kind == JsonKind::kUnsigned ||
         node.kind == JsonKind::kLargeInteger;
}

absl::Status Json::GetDigits(std::string& value) const {
  const JsonNode& node = document_->nodes[node_];
  switch (node.kind) {
    case JsonKind::kNegative:
      value = absl::StrCat(static_cast<int64_t>(node.value));
      return absl::OkStatus();
    case JsonKind::kUnsigned:
      value = absl::StrCat(node.value);
      return absl::OkStatus();
    case JsonKind::kLargeInteger:
      value = std::string(document_->Text(node_));
      return absl::OkStatus();
    default:
      return Unexpected("an integer");
  }
}

absl::Status Json::Get(int64_t& value) const {
  if (GetInteger(document_->nodes[node_], value)) return absl::OkStatus();
  return Unexpected(IntegerWanted<int64_t>());
}

absl::Status Json::Get(uint32_t& value) const {
  if (GetInteger(document_->nodes[node_], value)) return absl::OkStatus();
  return Unexpected(IntegerWanted<uint32_t>());
}

absl::Status Json::Get(size_t& value) const {
  if (GetInteger(document_->nodes[node_], value)) return absl::OkStatus();
  return Unexpected(IntegerWanted<size_t>());
}

absl::Status Json::Get(double& value) const {
  const JsonNode& node = document_->nodes[node_];
  switch (node.kind) {
    case JsonKind::kFloat:
      value = std::bit_cast<double>(node.value);
      return absl::OkStatus();
    case JsonKind::kUnsigned:
      value = static_cast<double>(node.value);
      return absl::OkStatus();
    case JsonKind::kNegative:
      value = static_cast<double>(static_cast<int64_t>(node.value));
      return absl::OkStatus();
    case JsonKind::kLargeInteger:
      // The parser refuses what no double can hold.
      if (absl::SimpleAtod(document_->Text(node_), &value)) {
        return absl::OkStatus();
      }
      return Unexpected("a number");
    default:
      return Unexpected("a number");
  }
}

absl::Status Json::Get(float& value) const {
  double wide = 0.0;
  GEMMA_RETURN_IF_ERROR(Get(wide));
  if (std::abs(wide) > std::numeric_limits<float>::max()) {
    return Unexpected("a number that a float can hold");
  }
  value = static_cast<float>(wide);
  return absl::OkStatus();
}

absl::Status Json::Get(std::string_view& value) const {
  if (!is_string()) return Unexpected("a string");
  value = document_->Text(node_);
  return absl::OkStatus();
}

absl::Status Json::Get(std::string& value) const {
  std::string_view text;
  GEMMA_RETURN_IF_ERROR(Get(text));
  value = std::string(text);
  return absl::OkStatus();
}

// ---------------------------------------------------------------------------
// Objects and arrays

std::optional<Json> Json::Find(std::string_view key) const {
  if (!is_object()) return std::nullopt;
  const size_t end = document_->Next(node_);
  for (size_t name = node_ + 1; name < end; name = document_->Next(name + 1)) {
    if (document_->Text(name) == key) return Json(document_, name + 1);
  }
  return std::nullopt;
}

bool Json::IsNull(std::string_view key) const {
  const std::optional<Json> member = Find(key);
  return member.has_value() && member->is_null();
}

absl::StatusOr<std::optional<Json>> Json::Object(std::string_view key) const {
  GEMMA_RETURN_IF_ERROR(RequireObject());
  std::optional<Json> member = Find(key);
  if (!member.has_value() || member->is_null()) return std::nullopt;
  if (!member->is_object()) return member->Unexpected("an object");
  return member;
}

absl::StatusOr<std::optional<Json>> Json::Array(std::string_view key) const {
  GEMMA_RETURN_IF_ERROR(RequireObject());
  std::optional<Json> member = Find(key);
  if (!member.has_value() || member->is_null()) return std::nullopt;
  if (!member->is_array()) return member->Unexpected("an array");
  return member;
}

Json::Range<Json> Json::Elements() const {
  return Range<Json>(document_, node_ + 1,
                     is_array() ? document_->Next(node_) : node_ + 1);
}

Json::Range<Json::Member> Json::Members() const {
  return Range<Member>(document_, node_ + 1,
                       is_object() ? document_->Next(node_) : node_ + 1);
}

template <>
Json Json::Range<Json>::Iterator::operator*() const {
  return Json(range_->document_, node_);
}

template <>
Json::Range<Json>::Iterator& Json::Range<Json>::Iterator::operator++() {
  node_ = range_->document_->Next(node_);
  return *this;
}

template <>
Json::Member Json::Range<Json::Member>::Iterator::operator*() const {
  return {range_->document_->Text(node_), Json(range_->document_, node_ + 1)};
}

template <>
Json::Range<Json::Member>::Iterator&
Json::Range<Json::Member>::Iterator::operator++() {
  node_ = range_->document_->Next(node_ + 1);
  return *this;
}

// ---------------------------------------------------------------------------
// Messages

template <class Name, class Index>
void Json::Descend(Name name, Index index) const {
  // Each step goes into the child that holds node_.
  size_t node = 0;
  while (node != node_) {
    const bool is_object = document_->nodes[node].kind == JsonKind::kObject;
    size_t count = 0;
    size_t child = node + 1;
    if (is_object) ++child;
    while (document_->Next(child) <= node_) {
      child = document_->Next(child);
      if (is_object) ++child;
      ++count;
    }
    if (is_object) {
      name(document_->Text(child - 1));
    } else {
      index(count);
    }
    node = child;
  }
}

std::string Json::Where() const {
  std::string path;
  Descend([&](std::string_view name) { AppendJsonName(path, name); },
          [&](size_t index) { AppendJsonIndex(path, index); });
  return JsonPlace(document_->path, path);
}

std::string Json::Pointer() const {
  std::string pointer;
  Descend(
      [&](std::string_view name) {
        absl::StrAppend(&pointer, "/",
                        absl::StrReplaceAll(name, {{"~", "~0"}, {"/", "~1"}}));
      },
      [&](size_t index) { absl::StrAppend(&pointer, "/", index); });
  return pointer;
}

absl::Status Json::Unexpected(std::string_view wanted) const {
  const JsonNode& node = document_->nodes[node_];
  std::string found;
  switch (node.kind) {
    case JsonKind::kNull:
      found = "null";
      break;
    case JsonKind::kBool:
      found = node.value != 0 ? "true" : "false";
      break;
    case JsonKind::kNegative:
      found = absl::StrCat(static_cast<int64_t>(node.value));
      break;
    case JsonKind::kUnsigned:
      found = absl::StrCat(node.value);
      break;
    case JsonKind::kLargeInteger:
      found = Printable(document_->Text(node_));
      break;
    case JsonKind::kFloat:
      found = FormatText("the decimal number %g",
                         std::bit_cast<double>(node.value));
      break;
    case JsonKind::kString:
      found = absl::StrCat("the string ", Quoted(document_->Text(node_)));
      break;
    case JsonKind::kArray:
      found = "an array";
      break;
    case JsonKind::kObject:
      found = "an object";
      break;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(Where(), " is ", found, ", wanted ", wanted));
}

absl::Status Json::RequireObject() const {
  return is_object() ? absl::OkStatus() : Unexpected("an object");
}

absl::Status Json::Missing(std::string_view key) const {
  return absl::InvalidArgumentError(absl::StrCat(
      Where(), ": no key ", Quoted(key), IsNull(key) ? " (it is null)" : ""));
}

}  // namespace gemma::internal

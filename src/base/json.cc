#include "src/base/json.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <exception>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "src/base/format_text.h"
#include "src/base/hash_table.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

enum class Kind : uint8_t {
  kNull,
  kBool,
  kNegative,      // integer
  kUnsigned,      // integer
  kLargeInteger,  // of more than 64 bits
  kFloat,
  kString,
  kArray,
  kObject,
};

// One value. A document stores its values in the order of the file. A container
// is followed by its elements. An object is followed by a string for each key,
// and each key by its value.
struct Node {
  Kind kind = Kind::kNull;
  uint32_t size = 0;   // bytes of a string or of a large integer; elements or
                       // members
  uint64_t value = 0;  // bool; bits of a number; start of a string or of the
                       // digits of a large integer in `strings`; for a
                       // container, the node after it
};

// Appends a member to a path, which looks like "a.b[3]".
void AppendName(std::string& path, std::string_view name) {
  absl::StrAppend(&path, path.empty() ? "" : ".", Printable(name));
}

void AppendIndex(std::string& path, size_t index) {
  absl::StrAppend(&path, "[", index, "]");
}

// Returns "file: 'path'", or only the file if the path is empty.
std::string WhereOf(std::string_view file, std::string_view path) {
  return path.empty() ? std::string(file)
                      : absl::StrCat(file, ": '", path, "'");
}

}  // namespace

struct Json::Document {
  std::string path;
  std::vector<Node> nodes;
  std::string strings;

  std::string_view Text(size_t node) const {
    return std::string_view(strings).substr(nodes[node].value,
                                            nodes[node].size);
  }
  // Returns the node after the value at `node` and its elements.
  size_t Next(size_t node) const {
    const Kind kind = nodes[node].kind;
    return kind == Kind::kArray || kind == Kind::kObject
               ? static_cast<size_t>(nodes[node].value)
               : node + 1;
  }

  // Appends the parser's events to a document. A handler returns false to end
  // the parse; `status` then has the reason.
  class Builder;
};

class Json::Document::Builder {
 public:
  Builder(Document& document, const Limits& limits)
      : document_(document), limits_(limits) {}

  const absl::Status& status() const { return status_; }

  bool null() { return Add({Kind::kNull, 0, 0}); }
  bool boolean(bool value) { return Add({Kind::kBool, 0, value}); }
  bool number_integer(int64_t value) {
    return Add({value < 0 ? Kind::kNegative : Kind::kUnsigned, 0,
                static_cast<uint64_t>(value)});
  }
  bool number_unsigned(uint64_t value) {
    return Add({Kind::kUnsigned, 0, value});
  }
  // Also gets integers of more than 64 bits.
  bool number_float(double value, const std::string& text) {
    if (text.find_first_of(".eE") == std::string::npos) {
      return AddText(Kind::kLargeInteger, text);
    }
    return Add({Kind::kFloat, 0, std::bit_cast<uint64_t>(value)});
  }
  bool string(const std::string& text) { return AddText(Kind::kString, text); }
  bool binary(nlohmann::json::binary_t& /*value*/) { return false; }

  bool start_object(size_t /*size*/) { return Open(Kind::kObject); }
  bool start_array(size_t /*size*/) { return Open(Kind::kArray); }
  bool end_array() { return Close(); }
  bool key(std::string& name) {
    const size_t start = document_.strings.size();
    document_.strings += name;
    // An object counts its keys. Its values are not counted again.
    if (!Append({Kind::kString, static_cast<uint32_t>(name.size()), start})) {
      return false;
    }
    ++document_.nodes[open_.back()].size;
    return true;
  }
  bool end_object() {
    const size_t object = open_.back();
    HashSet<std::string_view> names;
    names.reserve(document_.nodes[object].size);
    for (size_t name = object + 1; name < document_.nodes.size();
         name = document_.Next(name + 1)) {
      if (!names.insert(document_.Text(name)).second) {
        return Fail(absl::StrCat("two keys ", Quoted(document_.Text(name)),
                                 ", wanted each key once"));
      }
    }
    return Close();
  }

  bool parse_error(size_t /*position*/, const std::string& /*last_token*/,
                   const std::exception& error) {
    // An example: "[json.exception.parse_error.101] parse error at line 1,
    // column 2: ..."
    std::string_view what = error.what();
    if (const size_t end = what.find("] "); end != std::string_view::npos) {
      what.remove_prefix(end + 2);
    }
    status_ = absl::InvalidArgumentError(absl::StrCat(
        document_.path, ": is not JSON: ", Printable(what, /*max_size=*/240)));
    return false;
  }

 private:
  bool Fail(std::string_view message) {
    std::string place;
    for (size_t i = 0; i + 1 < open_.size(); ++i) {
      const Node& parent = document_.nodes[open_[i]];
      if (parent.kind == Kind::kArray) {
        AppendIndex(place, parent.size - 1);
      } else {
        AppendName(place, document_.Text(open_[i + 1] - 1));
      }
    }
    status_ = absl::InvalidArgumentError(
        absl::StrCat(WhereOf(document_.path, place), ": ", message));
    return false;
  }

  bool Append(const Node& node) {
    if (document_.nodes.size() >= limits_.max_values) {
      return Fail(FormatText("more than %d values", limits_.max_values));
    }
    document_.nodes.push_back(node);
    return true;
  }

  // Appends an element, the value of a member or the outermost value.
  bool Add(const Node& node) {
    if (!open_.empty()) {
      Node& container = document_.nodes[open_.back()];
      if (container.kind == Kind::kArray) ++container.size;
    }
    return Append(node);
  }

  bool AddText(Kind kind, const std::string& text) {
    const size_t start = document_.strings.size();
    document_.strings += text;
    return Add({kind, static_cast<uint32_t>(text.size()), start});
  }

  bool Open(Kind kind) {
    if (open_.size() >= limits_.max_depth) {
      return Fail(FormatText("nested more than %d deep, wanted less",
                             limits_.max_depth));
    }
    if (!Add({kind, 0, 0})) return false;
    open_.push_back(document_.nodes.size() - 1);
    return true;
  }

  bool Close() {
    document_.nodes[open_.back()].value = document_.nodes.size();
    open_.pop_back();
    return true;
  }

  Document& document_;
  const Limits& limits_;
  std::vector<size_t> open_;  // nodes of containers not yet closed
  absl::Status status_;
};

absl::StatusOr<Json> Json::Parse(std::string_view text, std::string path,
                                 const Limits& limits) {
  // Nodes store sizes in 32 bits.
  constexpr size_t kMaxBytes = std::numeric_limits<uint32_t>::max();
  const size_t max_bytes = std::min(limits.max_bytes, kMaxBytes);
  if (text.size() > max_bytes) {
    return absl::InvalidArgumentError(
        FormatText("%s: %d bytes of JSON, wanted at most %d", path, text.size(),
                   max_bytes));
  }
  // The parser would skip a byte order mark.
  if (text.substr(0, 3) == "\xEF\xBB\xBF") {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is not JSON: begins with a byte order mark"));
  }
  // The parser would take a zero byte for the end of the text.
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos) {
    return absl::InvalidArgumentError(
        FormatText("%s: is not JSON: byte %d is zero", path, zero));
  }
  auto document = std::make_shared<Document>();
  document->path = std::move(path);
  Document::Builder builder(*document, limits);
  // The parser reports errors to the builder. It throws only if memory runs
  // out.
  try {
    if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) {
      return builder.status().ok() ? absl::InvalidArgumentError(absl::StrCat(
                                         document->path, ": is not JSON"))
                                   : builder.status();
    }
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat(document->path, ": ", error.what()));
  }
  document->nodes.shrink_to_fit();
  document->strings.shrink_to_fit();
  return Json(std::move(document), 0);
}

Json::Type Json::type() const {
  switch (document_->nodes[node_].kind) {
    case Kind::kNull:
      return Type::kNull;
    case Kind::kBool:
      return Type::kBool;
    case Kind::kNegative:
    case Kind::kUnsigned:
    case Kind::kLargeInteger:
    case Kind::kFloat:
      return Type::kNumber;
    case Kind::kString:
      return Type::kString;
    case Kind::kArray:
      return Type::kArray;
    case Kind::kObject:
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
  const Node& node = document_->nodes[node_];
  if (node.kind != Kind::kBool) return Unexpected("true or false");
  value = node.value != 0;
  return absl::OkStatus();
}

namespace {

// Stores the node's integer in `value` if it fits. Returns whether it does.
template <class T>
bool GetInteger(const Node& node, T& value) {
  if (node.kind == Kind::kUnsigned) {
    if (!std::in_range<T>(node.value)) return false;
    value = static_cast<T>(node.value);
    return true;
  }
  if (node.kind == Kind::kNegative) {
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
  const Node& node = document_->nodes[node_];
  return node.kind == Kind::kNegative || node.kind == Kind::kUnsigned ||
         node.kind == Kind::kLargeInteger;
}

absl::Status Json::GetDigits(std::string& value) const {
  const Node& node = document_->nodes[node_];
  switch (node.kind) {
    case Kind::kNegative:
      value = absl::StrCat(static_cast<int64_t>(node.value));
      return absl::OkStatus();
    case Kind::kUnsigned:
      value = absl::StrCat(node.value);
      return absl::OkStatus();
    case Kind::kLargeInteger:
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
  const Node& node = document_->nodes[node_];
  switch (node.kind) {
    case Kind::kFloat:
      value = std::bit_cast<double>(node.value);
      return absl::OkStatus();
    case Kind::kUnsigned:
      value = static_cast<double>(node.value);
      return absl::OkStatus();
    case Kind::kNegative:
      value = static_cast<double>(static_cast<int64_t>(node.value));
      return absl::OkStatus();
    case Kind::kLargeInteger:
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
    const bool is_object = document_->nodes[node].kind == Kind::kObject;
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
  Descend([&](std::string_view name) { AppendName(path, name); },
          [&](size_t index) { AppendIndex(path, index); });
  return WhereOf(document_->path, path);
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
  const Node& node = document_->nodes[node_];
  std::string found;
  switch (node.kind) {
    case Kind::kNull:
      found = "null";
      break;
    case Kind::kBool:
      found = node.value != 0 ? "true" : "false";
      break;
    case Kind::kNegative:
      found = absl::StrCat(static_cast<int64_t>(node.value));
      break;
    case Kind::kUnsigned:
      found = absl::StrCat(node.value);
      break;
    case Kind::kLargeInteger:
      found = Printable(document_->Text(node_));
      break;
    case Kind::kFloat:
      found = FormatText("the decimal number %g",
                         std::bit_cast<double>(node.value));
      break;
    case Kind::kString:
      found = absl::StrCat("the string ", Quoted(document_->Text(node_)));
      break;
    case Kind::kArray:
      found = "an array";
      break;
    case Kind::kObject:
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

// Strict parsing of JSON files, and checked reads of their values.

#ifndef GEMMA_SRC_BASE_JSON_H_
#define GEMMA_SRC_BASE_JSON_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::internal {

// One value of a JSON document. It is cheap to copy: values share their
// document, which lives as long as any of them. Messages name the file and the
// value's path in it, for example
//   config.json: 'rope_scaling.factor' is 'eight', wanted a number
class Json {
 public:
  enum class Type { kNull, kBool, kNumber, kString, kArray, kObject };

  struct Limits {
    size_t max_bytes = size_t{256} << 20;
    size_t max_depth = 64;
    size_t max_values = size_t{1} << 22;  // keys count too
  };

  // Parses all of `text`. `path` is for messages. Refuses text that is not
  // UTF-8, comments, a byte order mark, trailing text, duplicate keys of an
  // object, numbers too large for a double, and documents beyond `limits`.
  static absl::StatusOr<Json> Parse(std::string_view text, std::string path,
                                    const Limits& limits);
  static absl::StatusOr<Json> Parse(std::string_view text, std::string path) {
    return Parse(text, std::move(path), Limits());
  }

  Type type() const;
  bool is_null() const { return type() == Type::kNull; }
  bool is_string() const { return type() == Type::kString; }
  bool is_array() const { return type() == Type::kArray; }
  bool is_object() const { return type() == Type::kObject; }
  // Whether this is a number that is written as an integer, of any size.
  bool IsInteger() const;
  // Reads such a number as its digits, with a minus sign if it is negative.
  absl::Status GetDigits(std::string& value) const;

  // Reads this value. A wrong type or a value out of range is an error and
  // leaves `value` unchanged. Integers must be written as integers: 1e3 and 1.0
  // are errors. Floats accept any number in their range. A string_view points
  // into the document.
  absl::Status Get(bool& value) const;
  absl::Status Get(int32_t& value) const;
  absl::Status Get(int64_t& value) const;
  absl::Status Get(uint32_t& value) const;
  absl::Status Get(size_t& value) const;
  absl::Status Get(float& value) const;
  absl::Status Get(double& value) const;
  absl::Status Get(std::string& value) const;
  absl::Status Get(std::string_view& value) const;
  // Reads an array. Every element must fit.
  template <class T>
  absl::Status Get(std::vector<T>& value) const;

  // The functions below are for objects. Finding a key takes time in proportion
  // to the number of members; for a large object, iterate over Members().

  // Whether the key exists, even with the value null.
  bool Has(std::string_view key) const { return Find(key).has_value(); }
  // Whether the key exists and its value is null.
  bool IsNull(std::string_view key) const;
  // Returns the member, of any type, or nothing if it is missing or if this is
  // not an object.
  std::optional<Json> Find(std::string_view key) const;

  // Reads a member as Get does. If the key is missing or null, returns OK and
  // leaves `value` unchanged.
  template <class T>
  absl::Status Read(std::string_view key, T& value) const;

  // The same, but a missing or null key is an error.
  template <class T>
  absl::Status ReadRequired(std::string_view key, T& value) const;

  // Returns the member, nothing if it is missing or null, or an error if it is
  // not an object (array).
  absl::StatusOr<std::optional<Json>> Object(std::string_view key) const;
  absl::StatusOr<std::optional<Json>> Array(std::string_view key) const;

  struct Member;
  template <class Item>
  class Range;

  // The number of elements or members; 0 for other types.
  size_t size() const;
  // For loops in the order of the file: `for (const Json& element :
  // json.Elements())` and `for (const auto& [name, value] : json.Members())`.
  // Empty if this is not an array (object). The range keeps the document alive,
  // so it may be made from a temporary.
  Range<Json> Elements() const;
  Range<Member> Members() const;

  // Identifies the value in its document. Later values have larger ids.
  size_t id() const { return node_; }

  // Returns the value's place for messages: "config.json:
  // 'rope_scaling.factor'", or only the file for the outermost value.
  std::string Where() const;
  // Returns the value's JSON pointer (RFC 6901): "/rope_scaling/factor", or an
  // empty string for the outermost value.
  std::string Pointer() const;
  // Returns an error: "<Where()> is <this value>, wanted <wanted>".
  absl::Status Unexpected(std::string_view wanted) const;

 private:
  struct Document;

  Json(std::shared_ptr<const Document> document, size_t node)
      : document_(std::move(document)), node_(node) {}
  // Calls name(n) for each member and index(i) for each element on the path
  // from the outermost value to this one.
  template <class Name, class Index>
  void Descend(Name name, Index index) const;
  absl::Status RequireObject() const;
  absl::Status Missing(std::string_view key) const;

  std::shared_ptr<const Document> document_;
  size_t node_ = 0;  // index of the value in the document
};

// A member of an object. The name points into the document.
struct Json::Member {
  std::string_view name;
  Json value;
};

// Elements or members of one value, from `begin` to `end`.
template <class Item>
class Json::Range {
 public:
  class Iterator {
   public:
    Item operator*() const;
    Iterator& operator++();
    bool operator==(const Iterator& other) const {
      return node_ == other.node_;
    }

   private:
    friend class Range;
    Iterator(const Range& range, size_t node) : range_(&range), node_(node) {}
    const Range* range_;
    size_t node_;
  };

  Iterator begin() const { return Iterator(*this, begin_); }
  Iterator end() const { return Iterator(*this, end_); }

 private:
  friend class Json;
  Range(std::shared_ptr<const Document> document, size_t begin, size_t end)
      : document_(std::move(document)), begin_(begin), end_(end) {}

  std::shared_ptr<const Document> document_;
  size_t begin_;  // a node
  size_t end_;
};

template <>
Json Json::Range<Json>::Iterator::operator*() const;
template <>
Json::Range<Json>::Iterator& Json::Range<Json>::Iterator::operator++();
template <>
Json::Member Json::Range<Json::Member>::Iterator::operator*() const;
template <>
Json::Range<Json::Member>::Iterator&
Json::Range<Json::Member>::Iterator::operator++();

template <class T>
absl::Status Json::Get(std::vector<T>& value) const {
  if (!is_array()) return Unexpected("an array");
  std::vector<T> elements;
  elements.reserve(size());
  for (const Json& json : Elements()) {
    T element{};
    if (absl::Status status = json.Get(element); !status.ok()) return status;
    elements.push_back(std::move(element));
  }
  value = std::move(elements);
  return absl::OkStatus();
}

template <class T>
absl::Status Json::Read(std::string_view key, T& value) const {
  if (absl::Status status = RequireObject(); !status.ok()) return status;
  const std::optional<Json> member = Find(key);
  if (!member.has_value() || member->is_null()) return absl::OkStatus();
  return member->Get(value);
}

template <class T>
absl::Status Json::ReadRequired(std::string_view key, T& value) const {
  if (absl::Status status = RequireObject(); !status.ok()) return status;
  const std::optional<Json> member = Find(key);
  if (!member.has_value() || member->is_null()) return Missing(key);
  return member->Get(value);
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_JSON_H_

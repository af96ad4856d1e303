#include "src/jinja/values/value.h"

#include <algorithm>

#include "src/jinja/values/object.h"

namespace gemma::internal {

struct JinjaValue::Items {
  std::vector<JinjaValue> items;
  size_t nesting = 1;
  size_t next = 0;  // of a generator
};

struct JinjaValue::Entries {
  std::vector<Entry> entries;
  size_t nesting = 1;
};

JinjaValue JinjaValue::None() { return None(TextOrigin::kMessage); }
JinjaValue JinjaValue::Bool(bool value) {
  return Bool(value, TextOrigin::kMessage);
}
JinjaValue JinjaValue::Int(int64_t value) {
  return Int(value, TextOrigin::kMessage);
}
JinjaValue JinjaValue::Double(double value) {
  return Double(value, TextOrigin::kMessage);
}

JinjaValue JinjaValue::None(TextOrigin origin) {
  return JinjaValue(Kind::kNone, origin);
}

JinjaValue JinjaValue::Bool(bool value, TextOrigin origin) {
  JinjaValue result(Kind::kBool, origin);
  result.integer_ = value ? 1 : 0;
  return result;
}

JinjaValue JinjaValue::Int(int64_t value, TextOrigin origin) {
  JinjaValue result(Kind::kInt, origin);
  result.integer_ = value;
  return result;
}

JinjaValue JinjaValue::Double(double value, TextOrigin origin) {
  JinjaValue result(Kind::kDouble, origin);
  result.real_ = value;
  return result;
}

JinjaValue JinjaValue::LargeInt(std::string_view digits) {
  JinjaValue result = String(digits, TextOrigin::kMessage);
  result.kind_ = Kind::kLargeInt;
  return result;
}

JinjaValue JinjaValue::String(std::string_view text, TextOrigin origin) {
  return String(MarkedText(text, origin));
}

JinjaValue JinjaValue::String(MarkedText text) {
  JinjaValue result;
  result.kind_ = Kind::kString;
  result.contents_ = std::make_shared<MarkedText>(std::move(text));
  return result;
}

JinjaValue JinjaValue::Markup(MarkedText text) {
  JinjaValue result = String(std::move(text));
  result.flag_ = 1;
  return result;
}

JinjaValue JinjaValue::List(std::vector<JinjaValue> items) {
  return Sequence(SequenceType::kList, std::move(items));
}

JinjaValue JinjaValue::Sequence(SequenceType type,
                                std::vector<JinjaValue> items) {
  JinjaValue result;
  result.kind_ = Kind::kSequence;
  result.flag_ = static_cast<uint8_t>(type);
  auto contents = std::make_shared<Items>();
  for (const JinjaValue& item : items) {
    contents->nesting = std::max(contents->nesting, item.nesting() + 1);
  }
  contents->items = std::move(items);
  result.contents_ = std::move(contents);
  return result;
}

JinjaValue JinjaValue::Dict(
    std::vector<std::pair<std::string, JinjaValue>> entries) {
  std::vector<Entry> made;
  made.reserve(entries.size());
  for (auto& [key, value] : entries) {
    made.push_back({String(key, TextOrigin::kMessage), std::move(value)});
  }
  return DictOf(std::move(made));
}

JinjaValue JinjaValue::DictOf(std::vector<Entry> entries) {
  JinjaValue result;
  result.kind_ = Kind::kDict;
  auto contents = std::make_shared<Entries>();
  for (const Entry& entry : entries) {
    contents->nesting = std::max(contents->nesting, entry.value.nesting() + 1);
  }
  contents->entries = std::move(entries);
  result.contents_ = std::move(contents);
  return result;
}

JinjaValue JinjaValue::Undefined(std::string_view what) {
  JinjaValue result;
  result.contents_ = std::make_shared<std::string>(what);
  return result;
}

JinjaValue JinjaValue::Object(std::shared_ptr<JinjaObject> object) {
  JinjaValue result;
  result.kind_ = Kind::kObject;
  result.contents_ = std::move(object);
  return result;
}

const std::vector<JinjaValue>& JinjaValue::items() const {
  return static_cast<const Items*>(contents_.get())->items;
}

const std::vector<JinjaValue::Entry>& JinjaValue::entries() const {
  return static_cast<const Entries*>(contents_.get())->entries;
}

std::string JinjaValue::WhatIsUndefined() const {
  return contents_ == nullptr
             ? "the value is undefined"
             : *static_cast<const std::string*>(contents_.get());
}

JinjaObject& JinjaValue::object() const {
  return *static_cast<JinjaObject*>(contents_.get());
}

size_t& JinjaValue::next() const {
  return static_cast<Items*>(contents_.get())->next;
}

size_t JinjaValue::nesting() const {
  if (is_sequence()) return static_cast<const Items*>(contents_.get())->nesting;
  if (is_dict()) return static_cast<const Entries*>(contents_.get())->nesting;
  return 0;
}

bool JinjaValue::SameAs(const JinjaValue& other) const {
  if (kind_ != other.kind_) return false;
  switch (kind_) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kBool:
    case Kind::kInt:
      return integer_ == other.integer_;
    case Kind::kDouble:
      return real_ == other.real_;
    case Kind::kLargeInt:
      return text() == other.text();
    default:
      return contents_ == other.contents_;
  }
}

const JinjaValue* JinjaValue::Find(std::string_view key) const {
  for (const Entry& entry : entries()) {
    if (entry.key.is_string() && entry.key.text() == key) return &entry.value;
  }
  return nullptr;
}

const JinjaValue* JinjaValue::Find(const JinjaValue& key) const {
  if (key.is_string()) return Find(key.text());
  for (const Entry& entry : entries()) {
    if (key.is_number()
            ? entry.key.is_number() && entry.key.AsDouble() == key.AsDouble() &&
                  (entry.key.is_double() || key.is_double() ||
                   entry.key.integer() == key.integer())
            : entry.key.SameAs(key)) {
      return &entry.value;
    }
  }
  return nullptr;
}

std::string_view JinjaValue::TypeName() const {
  switch (kind_) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
    case Kind::kLargeInt:
      return "int";
    case Kind::kDouble:
      return "float";
    case Kind::kString:
      return is_markup() ? "Markup" : "str";
    case Kind::kSequence:
      switch (sequence_type()) {
        case SequenceType::kList:
          return "list";
        case SequenceType::kTuple:
        case SequenceType::kGroup:
          return "tuple";
        case SequenceType::kRange:
          return "range";
        case SequenceType::kKeys:
          return "dict_keys";
        case SequenceType::kItems:
          return "dict_items";
        case SequenceType::kValues:
          return "dict_values";
        case SequenceType::kGenerator:
          return "generator";
      }
      return "list";
    case Kind::kDict:
      return "dict";
    case Kind::kObject:
      return object().TypeName();
  }
  return "object";
}

}  // namespace gemma::internal

// The values that templates compute with. They behave as Python's.

#ifndef GEMMA_SRC_JINJA_VALUES_VALUE_H_
#define GEMMA_SRC_JINJA_VALUES_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/jinja/values/marked_text.h"

namespace gemma::internal {

class JinjaObject;

// One value. It is immutable and cheap to copy: copies share their contents.
// A value without contents is Undefined, as a variable that nothing sets.
class JinjaValue {
 public:
  enum class Kind : uint8_t {
    kUndefined,
    kNone,
    kBool,
    kInt,
    kLargeInt,  // of more than 64 bits: can be written, but not computed with
    kDouble,
    kString,
    kSequence,
    kDict,
    kObject,  // a function, a macro, a namespace, a loop
  };

  // Python's types of sequences. They hold the same, but differ in what a
  // template may do with them.
  enum class SequenceType : uint8_t {
    kList,
    kTuple,
    kGroup,  // a tuple of groupby: (grouper, list)
    kRange,
    kKeys,       // dict.keys()
    kItems,      // dict.items()
    kValues,     // dict.values()
    kGenerator,  // the result of map, select and other filters: read once
  };

  struct Entry;

  JinjaValue() = default;

  // The values of messages, tools and other variables. Numbers, truth values
  // and keys that become text are a message's.
  static JinjaValue None();
  static JinjaValue Bool(bool value);
  static JinjaValue Int(int64_t value);
  static JinjaValue Double(double value);
  // The digits of an integer of more than 64 bits.
  static JinjaValue LargeInt(std::string_view digits);
  // UTF-8. Bytes that are not UTF-8 count as one character each.
  static JinjaValue String(std::string_view text, TextOrigin origin);
  static JinjaValue String(MarkedText text);
  static JinjaValue List(std::vector<JinjaValue> items);
  // Keeps the order. Each key must occur once.
  static JinjaValue Dict(
      std::vector<std::pair<std::string, JinjaValue>> entries);

  // The rest of this class is for the interpreter.

  static JinjaValue None(TextOrigin origin);
  static JinjaValue Bool(bool value, TextOrigin origin);
  static JinjaValue Int(int64_t value, TextOrigin origin);
  static JinjaValue Double(double value, TextOrigin origin);
  // An undefined value. `what` is the reason, for the error if it is used.
  static JinjaValue Undefined(std::string_view what);
  // Text that `safe` or `escape` made. Some operators would escape what is
  // added to it.
  static JinjaValue Markup(MarkedText text);
  static JinjaValue Sequence(SequenceType type, std::vector<JinjaValue> items);
  static JinjaValue DictOf(std::vector<Entry> entries);
  static JinjaValue Object(std::shared_ptr<JinjaObject> object);

  Kind kind() const { return kind_; }
  // Who wrote the text of a number, a truth value or None.
  TextOrigin origin() const { return origin_; }

  bool is_undefined() const { return kind_ == Kind::kUndefined; }
  bool is_none() const { return kind_ == Kind::kNone; }
  bool is_bool() const { return kind_ == Kind::kBool; }
  bool is_int() const { return kind_ == Kind::kInt; }
  bool is_large_int() const { return kind_ == Kind::kLargeInt; }
  bool is_double() const { return kind_ == Kind::kDouble; }
  bool is_number() const { return is_bool() || is_int() || is_double(); }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_markup() const { return is_string() && flag_ != 0; }
  bool is_sequence() const { return kind_ == Kind::kSequence; }
  bool is_sequence(SequenceType type) const {
    return is_sequence() && sequence_type() == type;
  }
  // A list, a tuple, a group or a range: what can be indexed.
  bool is_indexable() const {
    return is_sequence() && sequence_type() <= SequenceType::kRange;
  }
  bool is_dict() const { return kind_ == Kind::kDict; }
  bool is_object() const { return kind_ == Kind::kObject; }

  // Each function below needs the kind that it names.
  bool boolean() const { return integer_ != 0; }
  int64_t integer() const { return integer_; }  // also the 0 or 1 of a bool
  double real() const { return real_; }
  // The value of any number.
  double AsDouble() const {
    return is_double() ? real_ : static_cast<double>(integer_);
  }
  const MarkedText& marked() const {
    return *static_cast<const MarkedText*>(contents_.get());
  }
  const std::string& text() const { return marked().text(); }
  // The digits of a large integer.
  const MarkedText& digits() const { return marked(); }
  SequenceType sequence_type() const {
    return static_cast<SequenceType>(flag_);
  }
  const std::vector<JinjaValue>& items() const;
  const std::vector<Entry>& entries() const;
  // The reason that an undefined value carries.
  std::string WhatIsUndefined() const;
  JinjaObject& object() const;

  // The index of the next item of a generator, which all copies share.
  size_t& next() const;

  // The depth of lists and dicts within each other: 0 for other values.
  size_t nesting() const;

  // Whether both are the same contents, or the same number.
  bool SameAs(const JinjaValue& other) const;

  // The value of a key in a dict, or null. Equal keys are those of Python:
  // 1, 1.0 and True are the same key.
  const JinjaValue* Find(std::string_view key) const;
  const JinjaValue* Find(const JinjaValue& key) const;

  // The name of the value's type in Python: "str", "dict".
  std::string_view TypeName() const;

 private:
  struct Items;
  struct Entries;

  JinjaValue(Kind kind, TextOrigin origin) : kind_(kind), origin_(origin) {}

  Kind kind_ = Kind::kUndefined;
  TextOrigin origin_ = TextOrigin::kTemplate;
  uint8_t flag_ = 0;  // the type of a sequence; 1 for markup
  union {
    int64_t integer_ = 0;
    double real_;
  };
  std::shared_ptr<void> contents_;
};

// An entry of a dict. The key is a string, a number, a truth value, None or a
// tuple of these.
struct JinjaValue::Entry {
  JinjaValue key;
  JinjaValue value;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_VALUES_VALUE_H_

// Attributes, items and calls of values.

#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/run/interpreter.h"
#include "src/jinja/run/objects.h"
#include "src/jinja/values/characters.h"
#include "src/jinja/values/operations.h"
#include "src/jinja/values/text_of.h"

namespace gemma::internal {
namespace {

std::string OwnerName(const JinjaValue& object) {
  if (object.is_none()) return "'None'";
  return absl::StrCat("'", object.TypeName(), " object'");
}

JinjaValue NoAttribute(const JinjaValue& object, std::string_view name) {
  return JinjaValue::Undefined(
      absl::StrCat(OwnerName(object), " has no attribute ", Quoted(name)));
}

}  // namespace

absl::StatusOr<JinjaValue> Interpreter::Attribute(const JinjaValue& object,
                                                  std::string_view name) {
  if (object.is_undefined()) return UndefinedError(object);
  if (IsMutatingMethod(object, name)) {
    return JinjaValue::Undefined(absl::StrCat("access to attribute ",
                                              Quoted(name), " of ",
                                              OwnerName(object), " is unsafe"));
  }
  GEMMA_ASSIGN_OR_RETURN(const Builtin* method, FindMethod(object, name));
  if (method != nullptr) {
    return Own(std::make_unique<MethodObject>(object, *method));
  }
  if (object.is_dict()) {
    GEMMA_RETURN_IF_ERROR(meter_.Spend(object.entries().size() / 16));
    if (const JinjaValue* value = object.Find(name)) return *value;
  }
  if (object.is_sequence(JinjaValue::SequenceType::kGroup)) {
    if (name == "grouper") return object.items()[0];
    if (name == "list") return object.items()[1];
  }
  if (object.is_object()) {
    GEMMA_ASSIGN_OR_RETURN(std::optional<JinjaValue> value,
                           object.object().Attribute(*this, name));
    if (value.has_value()) return *std::move(value);
  }
  return NoAttribute(object, name);
}

absl::StatusOr<JinjaValue> Interpreter::Item(const JinjaValue& object,
                                             const JinjaValue& key) {
  if (object.is_undefined()) return UndefinedError(object);
  if (object.is_dict()) {
    GEMMA_RETURN_IF_ERROR(meter_.Spend(object.entries().size() / 16));
    if (const JinjaValue* value = object.Find(key)) return *value;
  } else if ((key.is_int() || key.is_bool()) &&
             (object.is_string() || object.is_indexable())) {
    GEMMA_ASSIGN_OR_RETURN(const int64_t size, LengthOf(object, meter_));
    int64_t index = key.integer();
    if (index < 0 && index >= -size) index += size;
    if (index >= 0 && index < size) {
      if (object.is_indexable()) {
        return object.items()[static_cast<size_t>(index)];
      }
      const std::string& text = object.text();
      const size_t begin = OffsetOfCharacter(text, static_cast<size_t>(index));
      return MakeString(
          object.marked().Substring(begin, CharacterEnd(text, begin)), meter_);
    }
  }
  if (key.is_string()) return Attribute(object, key.text());
  if (key.is_undefined()) return NoAttribute(object, "Undefined");
  MarkedText text;
  GEMMA_RETURN_IF_ERROR(AppendRepr(key, meter_, text));
  return JinjaValue::Undefined(absl::StrCat(
      OwnerName(object), " has no element ", Printable(text.text())));
}

absl::StatusOr<JinjaValue> Interpreter::Call(const JinjaValue& callee,
                                             CallArguments& arguments) {
  if (callee.is_undefined()) return UndefinedError(callee);
  if (!callee.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the template calls a '", callee.TypeName(), "'"));
  }
  return callee.object().Call(*this, arguments);
}

}  // namespace gemma::internal

// What a template can call, and other objects of the interpreter.

#ifndef GEMMA_SRC_JINJA_VALUES_OBJECT_H_
#define GEMMA_SRC_JINJA_VALUES_OBJECT_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/jinja/values/value.h"

namespace gemma::internal {

class Interpreter;

// The arguments of a call.
struct CallArguments {
  std::vector<JinjaValue> positional;
  std::vector<std::pair<std::string, JinjaValue>> named;

  // Removes and returns a named argument.
  std::optional<JinjaValue> TakeNamed(std::string_view name);

  // Assigns arguments to parameters, as Python does: values[i] is that of
  // names[i]. A parameter without an argument keeps its value; those before
  // `required` must have one. `callee` is for messages.
  absl::Status Bind(std::string_view callee,
                    absl::Span<const std::string_view> names, size_t required,
                    absl::Span<JinjaValue> values) const;

  // An error if there is an argument.
  absl::Status BindNone(std::string_view callee) const {
    return Bind(callee, {}, 0, {});
  }
};

// An object of the interpreter.
class JinjaObject {
 public:
  virtual ~JinjaObject() = default;

  virtual std::string_view TypeName() const = 0;

  // Whether a template may call it.
  virtual bool callable() const { return false; }
  virtual absl::StatusOr<JinjaValue> Call(Interpreter& interpreter,
                                          const CallArguments& arguments);

  // Returns an attribute, or nothing if it has no such name.
  virtual absl::StatusOr<std::optional<JinjaValue>> Attribute(
      Interpreter& interpreter, std::string_view name);
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_VALUES_OBJECT_H_

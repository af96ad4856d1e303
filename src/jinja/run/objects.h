// The objects that a template makes or gets.

#ifndef GEMMA_SRC_JINJA_RUN_OBJECTS_H_
#define GEMMA_SRC_JINJA_RUN_OBJECTS_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/jinja/builtins/builtins.h"
#include "src/jinja/run/interpreter.h"
#include "src/jinja/values/object.h"

namespace gemma::internal {

// The result of namespace(): attributes that {% set %} can change.
class NamespaceObject : public JinjaObject {
 public:
  std::string_view TypeName() const override { return "Namespace"; }
  absl::StatusOr<std::optional<JinjaValue>> Attribute(
      Interpreter& interpreter, std::string_view name) override;

  absl::Status Set(std::string_view name, const JinjaValue& value,
                   Meter& meter);

 private:
  std::vector<std::pair<std::string, JinjaValue>> attributes_;
};

// A macro, or the body of a call block.
class MacroObject : public JinjaObject {
 public:
  // `scope` is where the macro is defined.
  MacroObject(const MacroSyntax& syntax, std::shared_ptr<Scope> scope)
      : syntax_(syntax), scope_(std::move(scope)) {}

  std::string_view TypeName() const override { return "Macro"; }
  bool callable() const override { return true; }
  absl::StatusOr<JinjaValue> Call(Interpreter& interpreter,
                                  const CallArguments& arguments) override;

 private:
  const MacroSyntax& syntax_;
  std::shared_ptr<Scope> scope_;
};

// A method of a value, before it is called.
class MethodObject : public JinjaObject {
 public:
  MethodObject(JinjaValue subject, const Builtin& method)
      : subject_(std::move(subject)), method_(method) {}

  std::string_view TypeName() const override { return "method"; }
  bool callable() const override { return true; }
  absl::StatusOr<JinjaValue> Call(Interpreter& interpreter,
                                  const CallArguments& arguments) override;

 private:
  JinjaValue subject_;
  const Builtin& method_;
};

// The variable `loop`. It also holds what its loop visits.
class LoopObject : public JinjaObject {
 public:
  // `items` is a sequence. `scope` is where the loop stands. `depth0` counts
  // the calls of a recursive loop around it.
  LoopObject(const Statement& statement, JinjaValue items,
             std::shared_ptr<Scope> scope, int64_t depth0)
      : statement_(statement),
        items_(std::move(items)),
        scope_(std::move(scope)),
        depth0_(depth0) {}

  // Goes to the next item. Returns whether there is one.
  absl::StatusOr<bool> Advance(Interpreter& interpreter);
  const JinjaValue& current() const { return current_; }

  std::string_view TypeName() const override { return "LoopContext"; }
  bool callable() const override { return true; }
  // Runs a recursive loop for the items of the argument. Returns its text.
  absl::StatusOr<JinjaValue> Call(Interpreter& interpreter,
                                  const CallArguments& arguments) override;
  absl::StatusOr<std::optional<JinjaValue>> Attribute(
      Interpreter& interpreter, std::string_view name) override;

  // Functions of the loop: loop.cycle(a, b), loop.changed(a).
  absl::StatusOr<JinjaValue> Cycle(const CallArguments& arguments) const;
  absl::StatusOr<JinjaValue> Changed(Interpreter& interpreter,
                                     const CallArguments& arguments);

 private:
  // Finds one more item that passes the loop's condition. Returns whether
  // there is one. Conditions may depend on what the body did, so they are
  // evaluated as late as possible.
  absl::StatusOr<bool> FindNext(Interpreter& interpreter);
  absl::StatusOr<int64_t> Length(Interpreter& interpreter);

  const Statement& statement_;
  JinjaValue items_;
  std::shared_ptr<Scope> scope_;
  int64_t depth0_;
  size_t next_ = 0;               // of items_
  std::deque<JinjaValue> ahead_;  // items that passed and were not visited
  int64_t index0_ = -1;
  std::optional<JinjaValue> previous_;
  JinjaValue current_;
  std::optional<JinjaValue> last_changed_;  // arguments of changed()
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_RUN_OBJECTS_H_

// Functions whose results remember what they returned: joiner() and cycler().

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "src/base/status_macros.h"
#include "src/jinja/builtins/builtins.h"
#include "src/jinja/run/interpreter.h"

namespace gemma::internal {
namespace {

using ValueOr = absl::StatusOr<JinjaValue>;

// The result of joiner(): it returns an empty text, and then the separator.
class Joiner : public JinjaObject {
 public:
  explicit Joiner(JinjaValue separator) : separator_(std::move(separator)) {}

  std::string_view TypeName() const override { return "Joiner"; }
  bool callable() const override { return true; }
  ValueOr Call(Interpreter&, const CallArguments& arguments) override {
    GEMMA_RETURN_IF_ERROR(arguments.BindNone("joiner"));
    if (std::exchange(is_used_, true)) return separator_;
    return JinjaValue::String(MarkedText());
  }

 private:
  JinjaValue separator_;
  bool is_used_ = false;
};

// The result of cycler(): its method next() returns the items in turn.
class Cycler : public JinjaObject {
 public:
  explicit Cycler(std::vector<JinjaValue> items) : items_(std::move(items)) {}

  std::string_view TypeName() const override { return "Cycler"; }
  absl::StatusOr<std::optional<JinjaValue>> Attribute(
      Interpreter& interpreter, std::string_view name) override {
    if (name == "current") return items_[at_];
    if (name != "next" && name != "reset") return std::nullopt;
    return interpreter.Own(std::make_unique<Method>(*this, name == "next"));
  }

 private:
  // The interpreter owns both objects.
  class Method : public JinjaObject {
   public:
    Method(Cycler& cycler, bool next) : cycler_(cycler), next_(next) {}

    std::string_view TypeName() const override { return "method"; }
    bool callable() const override { return true; }
    ValueOr Call(Interpreter&, const CallArguments& arguments) override {
      GEMMA_RETURN_IF_ERROR(arguments.BindNone(next_ ? "next" : "reset"));
      const size_t at = cycler_.at_;
      cycler_.at_ = next_ ? (at + 1) % cycler_.items_.size() : 0;
      return next_ ? cycler_.items_[at]
                   : JinjaValue::None(TextOrigin::kTemplate);
    }

   private:
    Cycler& cycler_;
    bool next_;
  };

  std::vector<JinjaValue> items_;
  size_t at_ = 0;
};

}  // namespace

absl::StatusOr<JinjaValue> MakeJoiner(Interpreter& interpreter,
                                      const CallArguments& arguments) {
  JinjaValue separator = JinjaValue::String(", ", TextOrigin::kMessage);
  GEMMA_RETURN_IF_ERROR(arguments.Bind("joiner", {"sep"}, 0, {&separator, 1}));
  return interpreter.Own(std::make_unique<Joiner>(std::move(separator)));
}

absl::StatusOr<JinjaValue> MakeCycler(Interpreter& interpreter,
                                      const CallArguments& arguments) {
  if (arguments.positional.empty() || !arguments.named.empty()) {
    return absl::InvalidArgumentError("cycler() needs items without names");
  }
  GEMMA_RETURN_IF_ERROR(
      interpreter.meter().AllocateValues(arguments.positional.size()));
  return interpreter.Own(std::make_unique<Cycler>(arguments.positional));
}

}  // namespace gemma::internal

#include "src/jinja/run/objects.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/values/operations.h"

namespace gemma::internal {
namespace {

constexpr TextOrigin kObjectOrigin = TextOrigin::kTemplate;

// loop.cycle and loop.changed. The interpreter owns both objects.
class LoopFunction : public JinjaObject {
 public:
  LoopFunction(LoopObject& loop, bool cycle) : loop_(loop), cycle_(cycle) {}

  std::string_view TypeName() const override { return "method"; }
  bool callable() const override { return true; }
  absl::StatusOr<JinjaValue> Call(Interpreter& interpreter,
                                  const CallArguments& arguments) override {
    return cycle_ ? loop_.Cycle(arguments)
                  : loop_.Changed(interpreter, arguments);
  }

 private:
  LoopObject& loop_;
  bool cycle_;
};

}  // namespace

absl::StatusOr<std::optional<JinjaValue>> NamespaceObject::Attribute(
    Interpreter&, std::string_view name) {
  for (const auto& [key, value] : attributes_) {
    if (key == name) return value;
  }
  return std::nullopt;
}

absl::Status NamespaceObject::Set(std::string_view name,
                                  const JinjaValue& value, Meter& meter) {
  GEMMA_RETURN_IF_ERROR(meter.Spend(1 + attributes_.size() / 16));
  for (auto& [key, old] : attributes_) {
    if (key == name) {
      old = value;
      return absl::OkStatus();
    }
  }
  GEMMA_RETURN_IF_ERROR(meter.Allocate(64 + name.size()));
  attributes_.emplace_back(name, value);
  return absl::OkStatus();
}

absl::StatusOr<JinjaValue> MacroObject::Call(Interpreter& interpreter,
                                             const CallArguments& arguments) {
  const std::vector<uint32_t>& parameters = syntax_.parameters;
  const size_t num_positional = arguments.positional.size();
  if (num_positional > parameters.size() && !syntax_.uses_varargs) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the macro ", Quoted(syntax_.name), " has ", num_positional,
        " arguments, wanted at most ", parameters.size()));
  }
  CallArguments rest = arguments;
  auto scope = std::make_shared<Scope>(Scope{scope_, {}});
  const size_t first_default = parameters.size() - syntax_.defaults.size();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const std::string& name = interpreter.NameOf(parameters[i]);
    if (i < num_positional) {
      scope->Set(parameters[i], arguments.positional[i]);
    } else if (std::optional<JinjaValue> named = rest.TakeNamed(name)) {
      scope->Set(parameters[i], *std::move(named));
    } else if (i >= first_default) {
      GEMMA_ASSIGN_OR_RETURN(
          JinjaValue value,
          interpreter.EvaluateIn(scope, *syntax_.defaults[i - first_default]));
      scope->Set(parameters[i], std::move(value));
    } else {
      scope->Set(parameters[i],
                 JinjaValue::Undefined(absl::StrCat(
                     "the parameter ", Quoted(name), " was not provided")));
    }
  }
  if (syntax_.uses_caller) {
    std::optional<JinjaValue> caller = rest.TakeNamed("caller");
    interpreter.SetSpecial(
        "caller",
        caller.value_or(JinjaValue::Undefined("the macro has no caller")),
        *scope);
  }
  if (syntax_.uses_kwargs) {
    std::vector<JinjaValue::Entry> entries;
    for (auto& [name, value] : rest.named) {
      entries.push_back({JinjaValue::String(name, kObjectOrigin), value});
    }
    GEMMA_ASSIGN_OR_RETURN(JinjaValue kwargs,
                           MakeDict(std::move(entries), interpreter.meter()));
    interpreter.SetSpecial("kwargs", std::move(kwargs), *scope);
  } else if (!rest.named.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the macro ", Quoted(syntax_.name), " does not know an argument ",
        Quoted(rest.named.front().first)));
  }
  if (syntax_.uses_varargs) {
    std::vector<JinjaValue> items;
    for (size_t i = parameters.size(); i < num_positional; ++i) {
      items.push_back(arguments.positional[i]);
    }
    GEMMA_ASSIGN_OR_RETURN(JinjaValue varargs,
                           MakeSequence(JinjaValue::SequenceType::kTuple,
                                        std::move(items), interpreter.meter()));
    interpreter.SetSpecial("varargs", std::move(varargs), *scope);
  }
  GEMMA_ASSIGN_OR_RETURN(MarkedText text,
                         interpreter.RunMacro(syntax_, std::move(scope)));
  return MakeString(std::move(text), interpreter.meter());
}

absl::StatusOr<JinjaValue> MethodObject::Call(Interpreter& interpreter,
                                              const CallArguments& arguments) {
  CallArguments copy = arguments;
  return method_.function(interpreter, subject_, copy);
}

absl::StatusOr<bool> LoopObject::FindNext(Interpreter& interpreter) {
  while (next_ < items_.items().size()) {
    const JinjaValue& item = items_.items()[next_++];
    if (statement_.condition != nullptr) {
      auto scope = std::make_shared<Scope>(Scope{scope_, {}});
      GEMMA_RETURN_IF_ERROR(interpreter.meter().Spend(1));
      GEMMA_RETURN_IF_ERROR(
          interpreter.Assign(statement_.targets[0], item, *scope));
      GEMMA_ASSIGN_OR_RETURN(
          const JinjaValue passes,
          interpreter.EvaluateIn(scope, *statement_.condition));
      if (!IsTrue(passes)) continue;
    }
    ahead_.push_back(item);
    return true;
  }
  return false;
}

absl::StatusOr<bool> LoopObject::Advance(Interpreter& interpreter) {
  if (ahead_.empty()) {
    GEMMA_ASSIGN_OR_RETURN(const bool found, FindNext(interpreter));
    if (!found) return false;
  }
  if (index0_ >= 0) previous_ = std::move(current_);
  current_ = std::move(ahead_.front());
  ahead_.pop_front();
  ++index0_;
  return true;
}

absl::StatusOr<JinjaValue> LoopObject::Call(Interpreter& interpreter,
                                            const CallArguments& arguments) {
  if (!statement_.is_recursive) {
    return absl::InvalidArgumentError(
        "the template calls 'loop' in a loop that is not marked 'recursive'");
  }
  JinjaValue iterable;
  GEMMA_RETURN_IF_ERROR(
      arguments.Bind("loop", {"iterable"}, 1, {&iterable, 1}));
  GEMMA_ASSIGN_OR_RETURN(
      MarkedText text,
      interpreter.RunLoopAgain(statement_, iterable, depth0_ + 1, scope_));
  return MakeString(std::move(text), interpreter.meter());
}

absl::StatusOr<int64_t> LoopObject::Length(Interpreter& interpreter) {
  if (statement_.condition == nullptr) return items_.items().size();
  while (true) {
    GEMMA_ASSIGN_OR_RETURN(const bool found, FindNext(interpreter));
    if (!found) return index0_ + 1 + static_cast<int64_t>(ahead_.size());
  }
}

absl::StatusOr<std::optional<JinjaValue>> LoopObject::Attribute(
    Interpreter& interpreter, std::string_view name) {
  const auto number = [](int64_t value) {
    return JinjaValue::Int(value, kObjectOrigin);
  };
  if (name == "index0") return number(index0_);
  if (name == "index") return number(index0_ + 1);
  if (name == "first") return JinjaValue::Bool(index0_ == 0, kObjectOrigin);
  if (name == "depth0") return number(depth0_);
  if (name == "depth") return number(depth0_ + 1);
  if (name == "length" || name == "revindex" || name == "revindex0") {
    GEMMA_ASSIGN_OR_RETURN(const int64_t length, Length(interpreter));
    if (name == "length") return number(length);
    return number(length - index0_ - (name == "revindex" ? 0 : 1));
  }
  if (name == "last" || name == "nextitem") {
    if (ahead_.empty()) {
      GEMMA_RETURN_IF_ERROR(FindNext(interpreter).status());
    }
    if (name == "last") return JinjaValue::Bool(ahead_.empty(), kObjectOrigin);
    if (!ahead_.empty()) return ahead_.front();
    return JinjaValue::Undefined("there is no next item");
  }
  if (name == "previtem") {
    if (previous_.has_value()) return previous_;
    return JinjaValue::Undefined("there is no previous item");
  }
  if (name == "cycle" || name == "changed") {
    return interpreter.Own(
        std::make_unique<LoopFunction>(*this, name == "cycle"));
  }
  return std::nullopt;
}

absl::StatusOr<JinjaValue> LoopObject::Cycle(
    const CallArguments& arguments) const {
  if (arguments.positional.empty() || !arguments.named.empty()) {
    return absl::InvalidArgumentError("cycle() needs arguments without names");
  }
  const size_t count = arguments.positional.size();
  return arguments.positional[static_cast<size_t>(index0_) % count];
}

absl::StatusOr<JinjaValue> LoopObject::Changed(Interpreter& interpreter,
                                               const CallArguments& arguments) {
  GEMMA_RETURN_IF_ERROR(CallArguments{{}, arguments.named}.BindNone("changed"));
  GEMMA_ASSIGN_OR_RETURN(
      JinjaValue values,
      MakeSequence(JinjaValue::SequenceType::kTuple, arguments.positional,
                   interpreter.meter()));
  bool changed = true;
  if (last_changed_.has_value()) {
    GEMMA_ASSIGN_OR_RETURN(const bool equal, AreEqual(*last_changed_, values,
                                                      interpreter.meter()));
    changed = !equal;
  }
  last_changed_ = std::move(values);
  return JinjaValue::Bool(changed, kObjectOrigin);
}

}  // namespace gemma::internal

#include "src/jinja/run/interpreter.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "src/jinja/run/objects.h"
#include "src/jinja/values/operations.h"
#include "src/jinja/values/text_of.h"

namespace gemma::internal {
namespace {

// Leaves one level of depth when it is destroyed.
class Level {
 public:
  explicit Level(Meter& meter) : meter_(meter) {}
  ~Level() { meter_.Leave(); }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  Meter& meter_;
};

}  // namespace

const JinjaValue* Scope::Find(uint32_t variable) const {
  for (const Scope* scope = this; scope != nullptr;
       scope = scope->parent.get()) {
    for (const auto& [name, value] : scope->variables) {
      if (name == variable) return &value;
    }
  }
  return nullptr;
}

void Scope::Set(uint32_t variable, JinjaValue value) {
  for (auto& [name, old] : variables) {
    if (name == variable) {
      old = std::move(value);
      return;
    }
  }
  variables.emplace_back(variable, std::move(value));
}

absl::StatusOr<MarkedText> Interpreter::Run(const JinjaValue& variables) {
  if (!variables.is_dict()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the variables are a '", variables.TypeName(), "', wanted a dict"));
  }
  GEMMA_RETURN_IF_ERROR(meter_.CheckNesting(variables.nesting()));
  for (const std::string& name : syntax_.names) {
    for (Special& special : specials_) {
      if (special.name == name) {
        special.variable = static_cast<uint32_t>(globals_.size());
      }
    }
    const JinjaValue* value = variables.Find(name);
    globals_.push_back(value != nullptr ? *value : GlobalFunction(name));
  }
  if (const JinjaValue* time = variables.Find(kLocalTimeVariable)) {
    local_time_ = *time;
  }
  MarkedText text;
  out_ = &text;
  scope_ = NewScope();
  const absl::Status status = RunBody(syntax_.body).status();
  out_ = nullptr;
  if (status.ok()) return text;
  if (IsRaised(status)) return status;
  absl::Status with_line(status.code(),
                         absl::StrCat("line ", line_, ": ", status.message()));
  return with_line;
}

std::shared_ptr<Scope> Interpreter::NewScope() const {
  return std::make_shared<Scope>(Scope{scope_, {}});
}

absl::StatusOr<JinjaValue> Interpreter::Own(
    std::unique_ptr<JinjaObject> object) {
  GEMMA_RETURN_IF_ERROR(meter_.Allocate(256));
  JinjaObject* const pointer = object.get();
  objects_.push_back(std::move(object));
  // The value shares nothing: the interpreter owns the object.
  return JinjaValue::Object(
      std::shared_ptr<JinjaObject>(std::shared_ptr<void>(), pointer));
}

void Interpreter::SetSpecial(std::string_view name, JinjaValue value,
                             Scope& scope) const {
  for (const Special& special : specials_) {
    if (special.name == name && special.variable != kNoVariable) {
      scope.Set(special.variable, std::move(value));
      return;
    }
  }
}

Interpreter::FlowOr Interpreter::RunBody(const Body& body) {
  GEMMA_RETURN_IF_ERROR(meter_.Enter());
  const Level level(meter_);
  for (const Statement* statement : body) {
    GEMMA_RETURN_IF_ERROR(meter_.Spend(1));
    GEMMA_ASSIGN_OR_RETURN(const Flow flow, RunStatement(*statement));
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::FlowOr Interpreter::RunInScope(const Body& body,
                                            std::shared_ptr<Scope> scope) {
  std::shared_ptr<Scope> outer = std::exchange(scope_, std::move(scope));
  FlowOr flow = RunBody(body);
  scope_ = std::move(outer);
  return flow;
}

Interpreter::FlowOr Interpreter::RunStatement(const Statement& statement) {
  using Kind = Statement::Kind;
  switch (statement.kind) {
    case Kind::kText:
      out_->Append(statement.text, TextOrigin::kTemplate);
      GEMMA_RETURN_IF_ERROR(meter_.Spend(statement.text.size() / 64));
      GEMMA_RETURN_IF_ERROR(meter_.CheckOutput(out_->size()));
      return Flow::kNext;
    case Kind::kPrint: {
      GEMMA_ASSIGN_OR_RETURN(const JinjaValue value,
                             Evaluate(*statement.expression));
      GEMMA_RETURN_IF_ERROR(Print(value));
      return Flow::kNext;
    }
    case Kind::kSet: {
      GEMMA_ASSIGN_OR_RETURN(const JinjaValue value,
                             Evaluate(*statement.expression));
      GEMMA_RETURN_IF_ERROR(Assign(statement.targets[0], value, *scope_));
      return Flow::kNext;
    }
    case Kind::kSetBlock:
    case Kind::kFilter:
      return RunTextBlock(statement);
    case Kind::kFor:
      return RunFor(statement);
    case Kind::kIf:
      return RunIf(statement);
    case Kind::kWith:
      return RunWith(statement);
    case Kind::kMacro: {
      GEMMA_ASSIGN_OR_RETURN(JinjaValue macro, NewMacro(*statement.macro));
      scope_->Set(statement.targets[0].variable, std::move(macro));
      return Flow::kNext;
    }
    case Kind::kCall:
      GEMMA_RETURN_IF_ERROR(RunCallBlock(statement));
      return Flow::kNext;
    case Kind::kScope:
      return RunInScope(statement.body, NewScope());
    case Kind::kBreak:
      return Flow::kBreak;
    case Kind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

absl::Status Interpreter::Print(const JinjaValue& value) {
  if (value.is_string()) return PrintText(value.marked());
  GEMMA_RETURN_IF_ERROR(AppendStr(value, meter_, *out_));
  return meter_.CheckOutput(out_->size());
}

absl::Status Interpreter::PrintText(const MarkedText& text) {
  GEMMA_RETURN_IF_ERROR(
      meter_.Spend((text.size() + 16 * text.runs().size()) / 64));
  GEMMA_RETURN_IF_ERROR(meter_.CheckOutput(out_->size() + text.size()));
  out_->Append(text);
  return absl::OkStatus();
}

absl::StatusOr<MarkedText> Interpreter::Capture(const Body& body,
                                                std::shared_ptr<Scope> scope,
                                                Flow& flow) {
  MarkedText text;
  MarkedText* const outer = std::exchange(out_, &text);
  const FlowOr result = RunInScope(body, std::move(scope));
  out_ = outer;
  if (!result.ok()) return result.status();
  flow = *result;
  GEMMA_RETURN_IF_ERROR(meter_.Allocate(text.size() + 16 * text.runs().size()));
  return text;
}

absl::StatusOr<MarkedText> Interpreter::RunMacro(const MacroSyntax& macro,
                                                 std::shared_ptr<Scope> scope) {
  Flow flow = Flow::kNext;
  return Capture(macro.body, std::move(scope), flow);
}

Interpreter::ValueOr Interpreter::NewMacro(const MacroSyntax& macro) {
  return Own(std::make_unique<MacroObject>(macro, scope_));
}

Interpreter::FlowOr Interpreter::RunTextBlock(const Statement& statement) {
  Flow flow = Flow::kNext;
  GEMMA_ASSIGN_OR_RETURN(MarkedText text,
                         Capture(statement.body, NewScope(), flow));
  if (flow != Flow::kNext) return flow;
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue value,
                         ApplyFilters(statement.expression, std::move(text)));
  GEMMA_RETURN_IF_ERROR(statement.targets.empty()
                            ? Print(value)
                            : Assign(statement.targets[0], value, *scope_));
  return Flow::kNext;
}

absl::Status Interpreter::RunCallBlock(const Statement& statement) {
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue caller, NewMacro(*statement.macro));
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue value,
                         EvaluateCall(*statement.expression, &caller));
  return Print(value);
}

Interpreter::FlowOr Interpreter::RunIf(const Statement& statement) {
  for (size_t i = 0; i < statement.expressions.size(); ++i) {
    GEMMA_ASSIGN_OR_RETURN(const JinjaValue condition,
                           Evaluate(*statement.expressions[i]));
    if (IsTrue(condition)) return RunBody(statement.bodies[i]);
  }
  return RunBody(statement.other_body);
}

Interpreter::FlowOr Interpreter::RunWith(const Statement& statement) {
  std::shared_ptr<Scope> scope = NewScope();
  for (size_t i = 0; i < statement.targets.size(); ++i) {
    GEMMA_ASSIGN_OR_RETURN(const JinjaValue value,
                           Evaluate(*statement.expressions[i]));
    GEMMA_RETURN_IF_ERROR(Assign(statement.targets[i], value, *scope));
  }
  return RunInScope(statement.body, std::move(scope));
}

Interpreter::FlowOr Interpreter::RunFor(const Statement& statement) {
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue iterable,
                         Evaluate(*statement.expression));
  return RunLoop(statement, iterable, /*depth0=*/0);
}

absl::StatusOr<MarkedText> Interpreter::RunLoopAgain(
    const Statement& statement, const JinjaValue& iterable, int64_t depth0,
    std::shared_ptr<Scope> scope) {
  MarkedText text;
  MarkedText* const outer = std::exchange(out_, &text);
  std::shared_ptr<Scope> outer_scope = std::exchange(scope_, std::move(scope));
  const absl::Status status = RunLoop(statement, iterable, depth0).status();
  scope_ = std::move(outer_scope);
  out_ = outer;
  GEMMA_RETURN_IF_ERROR(status);
  GEMMA_RETURN_IF_ERROR(meter_.Allocate(text.size() + 16 * text.runs().size()));
  return text;
}

Interpreter::FlowOr Interpreter::RunLoop(const Statement& statement,
                                         const JinjaValue& iterable,
                                         int64_t depth0) {
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue items, ItemsOf(iterable, meter_));
  auto owned = std::make_unique<LoopObject>(statement, items, scope_, depth0);
  LoopObject& loop = *owned;
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue loop_value, Own(std::move(owned)));
  bool any = false;
  while (true) {
    // A scope costs more than an expression.
    GEMMA_RETURN_IF_ERROR(meter_.Spend(4));
    GEMMA_ASSIGN_OR_RETURN(const bool has_next, loop.Advance(*this));
    if (!has_next) break;
    any = true;
    std::shared_ptr<Scope> scope = NewScope();
    scope->variables.reserve(4);
    GEMMA_RETURN_IF_ERROR(Assign(statement.targets[0], loop.current(), *scope));
    SetSpecial("loop", loop_value, *scope);
    GEMMA_ASSIGN_OR_RETURN(const Flow flow,
                           RunInScope(statement.body, std::move(scope)));
    if (flow == Flow::kBreak) break;
  }
  if (any) return Flow::kNext;
  return RunInScope(statement.other_body, NewScope());
}

absl::Status Interpreter::Assign(const Target& target, const JinjaValue& value,
                                 Scope& scope) {
  switch (target.kind) {
    case Target::Kind::kName:
      scope.Set(target.variable, value);
      return absl::OkStatus();
    case Target::Kind::kNamespace: {
      const JinjaValue* found = scope.Find(target.variable);
      auto* names = found != nullptr && found->is_object()
                        ? dynamic_cast<NamespaceObject*>(&found->object())
                        : nullptr;
      if (names == nullptr) {
        return absl::InvalidArgumentError(absl::StrCat(
            "'", syntax_.names[target.variable], ".", target.attribute,
            "' is set, but '", syntax_.names[target.variable],
            "' is not a namespace"));
      }
      return names->Set(target.attribute, value, meter_);
    }
    case Target::Kind::kTuple: {
      GEMMA_ASSIGN_OR_RETURN(const JinjaValue items, ItemsOf(value, meter_));
      if (items.items().size() != target.parts.size()) {
        return absl::InvalidArgumentError(
            absl::StrCat(items.items().size(), " values are unpacked, wanted ",
                         target.parts.size()));
      }
      for (size_t i = 0; i < target.parts.size(); ++i) {
        GEMMA_RETURN_IF_ERROR(Assign(target.parts[i], items.items()[i], scope));
      }
      return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

}  // namespace gemma::internal

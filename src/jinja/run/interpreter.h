// Runs a parsed template.

#ifndef GEMMA_SRC_JINJA_RUN_INTERPRETER_H_
#define GEMMA_SRC_JINJA_RUN_INTERPRETER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/jinja/builtins/builtins.h"
#include "src/jinja/run/jinja_template.h"
#include "src/jinja/syntax/syntax.h"
#include "src/jinja/values/marked_text.h"
#include "src/jinja/values/meter.h"
#include "src/jinja/values/object.h"
#include "src/jinja/values/value.h"

namespace gemma::internal {

// The variables that a body sets. Those of its parents can be read.
struct Scope {
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<uint32_t, JinjaValue>> variables;

  const JinjaValue* Find(uint32_t variable) const;
  void Set(uint32_t variable, JinjaValue value);
};

// One run of a template. `syntax` must outlive it.
class Interpreter {
 public:
  using ValueOr = absl::StatusOr<JinjaValue>;

  Interpreter(const Syntax& syntax, const JinjaLimits& limits)
      : syntax_(syntax), meter_(limits) {}
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // Runs the template once and returns its text.
  absl::StatusOr<MarkedText> Run(const JinjaValue& variables);

  // The functions below are for builtins and objects.

  Meter& meter() { return meter_; }

  // Returns object.name, undefined if there is no such attribute.
  ValueOr Attribute(const JinjaValue& object, std::string_view name);
  // Returns object[key], undefined if there is no such item.
  ValueOr Item(const JinjaValue& object, const JinjaValue& key);
  // Returns callee(arguments).
  ValueOr Call(const JinjaValue& callee, CallArguments& arguments);

  // The local time, for strftime_now: an Int, or undefined.
  const JinjaValue& local_time() const { return local_time_; }

  // The name of a variable.
  const std::string& NameOf(uint32_t variable) const {
    return syntax_.names[variable];
  }
  // Sets one of the variables that loops and macros set: loop, caller, kwargs
  // or varargs. Does nothing if the template does not mention it.
  void SetSpecial(std::string_view name, JinjaValue value, Scope& scope) const;

  // Owns an object until the end of the run, so that objects may refer to each
  // other.
  absl::StatusOr<JinjaValue> Own(std::unique_ptr<JinjaObject> object);

  // Calls a macro whose parameters are set in `scope`. Returns its text.
  absl::StatusOr<MarkedText> RunMacro(const MacroSyntax& macro,
                                      std::shared_ptr<Scope> scope);
  // Runs a recursive loop for other items, `depth0` loops within the first.
  // `scope` is where the loop stands. Returns its text.
  absl::StatusOr<MarkedText> RunLoopAgain(const Statement& statement,
                                          const JinjaValue& iterable,
                                          int64_t depth0,
                                          std::shared_ptr<Scope> scope);
  // Evaluates an expression where the variables of `scope` can be read.
  ValueOr EvaluateIn(const std::shared_ptr<Scope>& scope,
                     const Expression& expression);
  absl::Status Assign(const Target& target, const JinjaValue& value,
                      Scope& scope);

 private:
  using Body = std::vector<const Statement*>;

  static constexpr uint32_t kNoVariable = UINT32_MAX;

  struct Special {
    std::string_view name;
    uint32_t variable = kNoVariable;
  };

  // What follows a statement.
  enum class Flow { kNext, kBreak, kContinue };
  using FlowOr = absl::StatusOr<Flow>;

  // Statements (interpreter.cc).
  FlowOr RunBody(const Body& body);
  FlowOr RunStatement(const Statement& statement);
  FlowOr RunInScope(const Body& body, std::shared_ptr<Scope> scope);
  FlowOr RunFor(const Statement& statement);
  FlowOr RunLoop(const Statement& statement, const JinjaValue& iterable,
                 int64_t depth0);
  FlowOr RunIf(const Statement& statement);
  FlowOr RunWith(const Statement& statement);
  // A block of set or filter: assigns the text of its body, or prints it.
  FlowOr RunTextBlock(const Statement& statement);
  absl::Status RunCallBlock(const Statement& statement);
  absl::Status Print(const JinjaValue& value);
  absl::Status PrintText(const MarkedText& text);
  // Runs a body in a scope of its own and returns what it prints. Its flow is
  // stored.
  absl::StatusOr<MarkedText> Capture(const Body& body,
                                     std::shared_ptr<Scope> scope, Flow& flow);
  std::shared_ptr<Scope> NewScope() const;
  ValueOr NewMacro(const MacroSyntax& macro);

  // Expressions (evaluate.cc).
  ValueOr Evaluate(const Expression& expression);
  ValueOr EvaluateKind(const Expression& expression);
  ValueOr EvaluateName(const Expression& expression);
  ValueOr EvaluateItems(const Expression& expression);
  ValueOr EvaluateDict(const Expression& expression);
  ValueOr EvaluateUnary(const Expression& expression);
  ValueOr EvaluateBinary(const Expression& expression);
  ValueOr EvaluateLogic(const Expression& expression);
  ValueOr EvaluateCompare(const Expression& expression);
  ValueOr EvaluateConcat(const Expression& expression);
  ValueOr EvaluateConditional(const Expression& expression);
  ValueOr EvaluateAttribute(const Expression& expression);
  ValueOr EvaluateItem(const Expression& expression);
  ValueOr EvaluateSlice(const Expression& expression);
  ValueOr EvaluateCall(const Expression& expression,
                       const JinjaValue* caller = nullptr);
  ValueOr EvaluateFilter(const Expression& expression);
  absl::Status EvaluateArguments(const Expression& expression,
                                 CallArguments& arguments);
  absl::Status EvaluateStars(const Expression& expression,
                             CallArguments& arguments);
  // Applies the filters of a block to its text.
  ValueOr ApplyFilters(const Expression* expression, MarkedText text);

  const Syntax& syntax_;
  Meter meter_;
  JinjaValue local_time_;
  std::vector<JinjaValue> globals_;  // the value of each of syntax_.names
  std::shared_ptr<Scope> scope_;     // of the statement that runs
  MarkedText* out_ = nullptr;        // what the statement prints to
  JinjaValue block_text_;            // the input of a block's filters
  Special specials_[4] = {{"loop"}, {"caller"}, {"kwargs"}, {"varargs"}};
  uint32_t line_ = 1;  // of the expression that is evaluated
  std::vector<std::unique_ptr<JinjaObject>> objects_;
};

// Returns a function that every template can call, or undefined.
JinjaValue GlobalFunction(std::string_view name);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_RUN_INTERPRETER_H_

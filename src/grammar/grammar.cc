#include "gemma/grammar.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/base/utf8.h"
#include "src/grammar/automaton.h"
#include "src/grammar/characters.h"
#include "src/grammar/grammar_impl.h"
#include "src/grammar/json_schema.h"
#include "src/grammar/json_values.h"
#include "src/grammar/regex.h"
#include "src/grammar/tool_answers.h"

namespace gemma {
namespace {

constexpr size_t kMaxChoiceBytes = size_t{1} << 20;  // of all choices together

// Completes the grammar. Fails if even the first state exceeds a limit.
absl::Status Finish(ExprId root, ByteGrammar& grammar) {
  GEMMA_RETURN_IF_ERROR(grammar.Finish(root));
  const Automaton automaton(grammar);
  if (!automaton.overflowed()) return absl::OkStatus();
  return absl::InvalidArgumentError(automaton.status().message());
}

absl::Status CheckChoices(absl::Span<const std::string> choices) {
  if (choices.empty()) {
    return absl::InvalidArgumentError("there are no choices, wanted 1 or more");
  }
  size_t bytes = 0;
  for (size_t i = 0; i < choices.size(); ++i) {
    bytes += choices[i].size();
    if (IsValidUtf8(choices[i])) continue;
    return absl::InvalidArgumentError(FormatText("choice %u is not UTF-8", i));
  }
  if (bytes > kMaxChoiceBytes) {
    return absl::InvalidArgumentError(
        FormatText("the choices have %u bytes, wanted at most %u", bytes,
                   kMaxChoiceBytes));
  }
  return absl::OkStatus();
}

}  // namespace

Grammar::Grammar(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Grammar::~Grammar() = default;
Grammar::Grammar(const Grammar&) noexcept = default;
Grammar& Grammar::operator=(const Grammar&) noexcept = default;
Grammar::Grammar(Grammar&&) noexcept = default;
Grammar& Grammar::operator=(Grammar&&) noexcept = default;

absl::StatusOr<Grammar> Grammar::FromRegex(std::string_view expression) {
  return NoThrow([&]() -> absl::StatusOr<Grammar> {
    auto impl = std::make_shared<Impl>();
    GEMMA_ASSIGN_OR_RETURN(
        const ExprId root,
        Regex(expression, RegexMatch::kAll, Writing::kPlain, impl->bytes));
    GEMMA_RETURN_IF_ERROR(Finish(root, impl->bytes));
    return Grammar(std::move(impl));
  });
}

absl::StatusOr<Grammar> Grammar::FromChoices(
    absl::Span<const std::string> choices) {
  return NoThrow([&]() -> absl::StatusOr<Grammar> {
    GEMMA_RETURN_IF_ERROR(CheckChoices(choices));
    std::vector<std::string> sorted(choices.begin(), choices.end());
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    auto impl = std::make_shared<Impl>();
    const ExprId root = OneOf(sorted, impl->bytes);
    GEMMA_RETURN_IF_ERROR(Finish(root, impl->bytes));
    return Grammar(std::move(impl));
  });
}

absl::StatusOr<Grammar> Grammar::FromJsonSchema(std::string_view schema) {
  return NoThrow([&]() -> absl::StatusOr<Grammar> {
    auto impl = std::make_shared<Impl>();
    GEMMA_ASSIGN_OR_RETURN(const ExprId root, JsonSchema(schema, impl->bytes));
    GEMMA_RETURN_IF_ERROR(Finish(root, impl->bytes));
    return Grammar(std::move(impl));
  });
}

Grammar Grammar::AnyJson() {
  auto impl = std::make_shared<Impl>();
  const ExprId root = JsonValues(impl->bytes).Any();
  impl->bytes.Finish(root).IgnoreError();  // small, has texts: cannot fail
  return Grammar(std::move(impl));
}

absl::StatusOr<Grammar> Grammar::FromTools(std::string_view tools,
                                           const ToolRules& rules) {
  return NoThrow([&]() -> absl::StatusOr<Grammar> {
    auto impl = std::make_shared<Impl>();
    GEMMA_ASSIGN_OR_RETURN(const ExprId root,
                           ToolAnswers(tools, rules, impl->bytes));
    GEMMA_RETURN_IF_ERROR(Finish(root, impl->bytes));
    impl->marks = MarkNames(rules.dialect);
    return Grammar(std::move(impl));
  });
}

absl::StatusOr<Grammar> Grammar::FromSource(const GrammarSource& source) {
  using Kind = GrammarSource::Kind;
  return NoThrow([&]() -> absl::StatusOr<Grammar> {
    const bool takes_text = source.kind == Kind::kJsonSchema ||
                            source.kind == Kind::kRegex ||
                            source.kind == Kind::kTools;
    if (!takes_text && !source.text.empty()) {
      return absl::InvalidArgumentError(
          "the source of a grammar has a text, wanted it only for a schema, an "
          "expression or tools");
    }
    if (source.kind != Kind::kTools && source.rules != ToolRules()) {
      return absl::InvalidArgumentError(
          "the source of a grammar has rules, wanted them only for kTools");
    }
    if (source.kind != Kind::kChoices && !source.choices.empty()) {
      return absl::InvalidArgumentError(
          "the source of a grammar has choices, wanted them only for kChoices");
    }
    switch (source.kind) {
      case Kind::kJsonSchema:
        return FromJsonSchema(source.text);
      case Kind::kRegex:
        return FromRegex(source.text);
      case Kind::kChoices:
        return FromChoices(source.choices);
      case Kind::kTools:
        return FromTools(source.text, source.rules);
      case Kind::kAnyJson:
        break;
    }
    return AnyJson();
  });
}

uint64_t Grammar::bytes() const { return sizeof(Impl) + impl_->bytes.bytes(); }

absl::StatusOr<bool> Grammar::Matches(std::string_view text) const {
  return NoThrow([&]() -> absl::StatusOr<bool> {
    Automaton automaton(impl_->bytes);
    Automaton::StateId state = automaton.start();
    for (const char c : text) {
      const auto byte = static_cast<uint8_t>(c);
      if (byte >= kFirstMarkByte) return false;
      state = automaton.Step(state, byte);
      GEMMA_RETURN_IF_ERROR(automaton.status());
      if (state == Automaton::kDead) return false;
      automaton.Trim(state);
    }
    return automaton.may_end(state);
  });
}

}  // namespace gemma

#include "src/grammar/regex_matcher.h"

#include "src/base/status_macros.h"
#include "src/grammar/regex.h"

namespace gemma::internal {
namespace {

// For short expressions and names, of which a file may have many.
constexpr Budget::Limits kBudget = {.steps = size_t{1} << 14,
                                    .bytes = size_t{1} << 20};
constexpr Automaton::Limits kMatcherLimits = {.ways = size_t{1} << 10,
                                              .steps = size_t{1} << 16,
                                              .bytes = size_t{1} << 22};

}  // namespace

absl::StatusOr<RegexMatcher> RegexMatcher::Create(std::string_view expression) {
  RegexMatcher matcher;
  matcher.grammar_ = std::make_unique<ByteGrammar>(kBudget);
  GEMMA_ASSIGN_OR_RETURN(
      const ExprId root,
      Regex(expression, RegexMatch::kAll, Writing::kPlain, *matcher.grammar_));
  GEMMA_RETURN_IF_ERROR(matcher.grammar_->Finish(root));
  matcher.automaton_ =
      std::make_unique<Automaton>(*matcher.grammar_, kMatcherLimits);
  return matcher;
}

absl::StatusOr<bool> RegexMatcher::Matches(std::string_view text) {
  Automaton::StateId state = automaton_->start();
  for (const char c : text) {
    state = automaton_->Step(state, static_cast<uint8_t>(c));
    if (automaton_->overflowed()) return automaton_->status();
    if (state == Automaton::kDead) return false;
  }
  return automaton_->may_end(state);
}

}  // namespace gemma::internal

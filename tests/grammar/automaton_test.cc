// The cost of following a grammar.

#include "src/grammar/automaton.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "gemma/grammar.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/grammar/grammar_impl.h"
#include "tests/support/error_of.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

// Small limits keep the tests short.
constexpr Automaton::Limits kLimits = {
    .ways = 1000, .steps = 1000000, .bytes = 4000000};

// Steps without Trim until a limit is exceeded. Every later state is dead.
std::string ErrorOfSteps(const std::string& expression, std::string_view text) {
  const auto grammar = Grammar::FromRegex(expression);
  EXPECT_EQ(ErrorOf(grammar), "OK");
  Automaton automaton(grammar->impl().bytes, kLimits);
  Automaton::StateId state = automaton.start();
  size_t bytes = 0;
  for (size_t i = 0; !automaton.overflowed() && i < 1000000; ++i) {
    state = automaton.Step(state, static_cast<uint8_t>(text[i % text.size()]));
    bytes = std::max(bytes, automaton.bytes());
  }
  EXPECT_EQ(state, Automaton::kDead);
  EXPECT_LT(bytes, kLimits.bytes + kLimits.bytes / 8);
  const size_t steps = automaton.steps();
  EXPECT_LT(steps, kLimits.steps + kLimits.steps / 8);
  // Later steps cost nothing.
  for (int byte = 0; byte < 256; ++byte) {
    automaton.Step(automaton.start(), static_cast<uint8_t>(byte));
  }
  EXPECT_EQ(automaton.steps(), steps);
  EXPECT_EQ(automaton.status().code(), absl::StatusCode::kResourceExhausted);
  return ErrorOf(automaton.status());
}

// `count` optional letters.
std::string Optional(size_t count) {
  std::string expression;
  for (size_t i = 0; i < count; ++i) {
    expression += {"abc"[i % 3], '?'};
  }
  return expression;
}

// The state after the text, with a Trim after each byte.
Automaton::StateId Follow(std::string_view text, Automaton& automaton) {
  Automaton::StateId state = automaton.start();
  for (const char c : text) {
    state = automaton.Step(state, static_cast<uint8_t>(c));
    automaton.Trim(state);
  }
  EXPECT_EQ(ErrorOf(automaton.status()), "OK");
  return state;
}

TEST(Automaton, StatesTakeBoundedBytes) {
  EXPECT_THAT(ErrorOfSteps("[a-z]{1000000}", "a"),
              HasSubstr("states take more than 4000000 bytes"));
}

TEST(Automaton, TokensTakeBoundedSteps) {
  EXPECT_THAT(ErrorOfSteps(Optional(900), "abc"),
              HasSubstr("takes more than 1000000 steps"));
}

TEST(Automaton, StatesHaveBoundedWays) {
  EXPECT_THAT(ErrorOfSteps("((ab?){1,900}c?){1,900}", "a"),
              HasSubstr("more than 1000 ways"));
}

TEST(Automaton, TrimCountsStepsAnew) {
  std::string text;
  for (size_t i = 0; i < 300; ++i) text += "abc";
  const auto grammar = Grammar::FromRegex(Optional(900));
  Automaton automaton(grammar->impl().bytes, kLimits);
  EXPECT_TRUE(automaton.must_end(Follow(text, automaton)));
}

TEST(Automaton, TrimKeepsPossibleWays) {
  const auto grammar = Grammar::FromRegex("(x[a-z]{1,50000}y?|x[a-c]{9,}z)!");
  Automaton automaton(grammar->impl().bytes, kLimits);
  Automaton::StateId state = Follow("x" + std::string(40000, 'b'), automaton);
  for (const char c : {'z', '!'}) {
    EXPECT_FALSE(automaton.may_end(state));
    state = automaton.Step(state, static_cast<uint8_t>(c));
  }
  EXPECT_TRUE(automaton.must_end(state));
}

// All ways to read a text share its unfinished part.
TEST(Automaton, DeepTextsFit) {
  const Grammar grammar = Grammar::AnyJson();
  Automaton automaton(grammar.impl().bytes, kLimits);
  const std::string open(10000, '[');
  const std::string close(9999, ']');
  const Automaton::StateId state = Follow(open + close, automaton);
  EXPECT_FALSE(automaton.may_end(state));
  EXPECT_TRUE(automaton.must_end(automaton.Step(state, ']')));
}

}  // namespace
}  // namespace gemma::internal

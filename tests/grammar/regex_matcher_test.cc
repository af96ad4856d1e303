#include "src/grammar/regex_matcher.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

bool Matches(std::string_view expression, std::string_view text) {
  absl::StatusOr<RegexMatcher> matcher = RegexMatcher::Create(expression);
  if (!matcher.ok()) return false;
  const absl::StatusOr<bool> matches = matcher->Matches(text);
  EXPECT_TRUE(matches.ok()) << matches.status();
  // Again, with the states of the first time.
  EXPECT_EQ(*matcher->Matches(text), *matches);
  return *matches;
}

TEST(RegexMatcher, MatchesWholeTexts) {
  EXPECT_TRUE(Matches("q_proj", "q_proj"));
  EXPECT_FALSE(Matches("q_proj", "self_attn.q_proj"));
  EXPECT_FALSE(Matches("q_proj", "q_proj."));
  EXPECT_TRUE(Matches(R"(layers\.(0|3)\..*up_proj)", "layers.3.mlp.up_proj"));
  EXPECT_FALSE(Matches(R"(layers\.(0|3)\..*up_proj)", "layers.2.mlp.up_proj"));
  EXPECT_TRUE(Matches("^a.c$", "abc"));
  EXPECT_TRUE(Matches("", ""));
}

TEST(RegexMatcher, RefusesOtherDialects) {
  for (const char* expression : {"(", "a(?!b)", R"(\bword)", "x^"}) {
    EXPECT_FALSE(RegexMatcher::Create(expression).ok()) << expression;
  }
}

// Hostile expressions end soon.
TEST(RegexMatcher, CostIsBounded) {
  EXPECT_FALSE(RegexMatcher::Create("((a{1000}){1000}){1000}").ok() &&
               RegexMatcher::Create(std::string(1 << 20, 'a')).ok());
  // Each text reaches states of its own, with up to 200 ways to go on.
  absl::StatusOr<RegexMatcher> matcher =
      RegexMatcher::Create("(a|b)*a(a|b){200}");
  ASSERT_TRUE(matcher.ok()) << matcher.status();
  std::string text;
  uint32_t random = 1;
  for (size_t i = 0; i < 2000; ++i) {
    random = random * 1664525 + 1013904223;
    text += (random >> 31) != 0 ? 'a' : 'b';
  }
  EXPECT_TRUE(absl::IsResourceExhausted(matcher->Matches(text).status()));
}

}  // namespace
}  // namespace gemma::internal

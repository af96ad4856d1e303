// Regular expressions and choices, compared with Python's, and hostile ones.

#include "gemma/grammar.h"

#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/grammar_texts.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

bool RegexMatches(std::string_view expression, std::string_view text) {
  const auto grammar = Grammar::FromRegex(expression);
  EXPECT_EQ(ErrorOf(grammar), "OK") << expression;
  return grammar.ok() && internal::Matches(*grammar, text);
}

std::string RegexError(std::string_view expression) {
  return ErrorOf(Grammar::FromRegex(expression));
}

// Expressions that mean the same in Python.
TEST(Regex, MatchesAsPythonDoes) {
  const std::vector<std::string> expressions = {"a",
                                                "abc|abd|x",
                                                "a*b+c?",
                                                "(a|b)*c",
                                                "(a|a)*b",
                                                "(?:ab){2,3}",
                                                "a{3}",
                                                "a{2,}",
                                                "(a?){5}",
                                                "(a*)*b",
                                                "((a{1,3}){2}b?)+",
                                                "[a-cx-z]+",
                                                "[^a-c\\n]",
                                                "[x\\]-]*",
                                                "\\d{2}-\\w+",
                                                "\\.\\*\\\\",
                                                "^a$",
                                                "^(a|b)$|c",
                                                "(^a|b$)",
                                                "(?P<n>ab)+",
                                                "a??b*?",
                                                "",
                                                "(|a)b",
                                                "\\x41\\u00e9",
                                                "[\\d_]+",
                                                "\u65e5[\u3040-\u309f]?",
                                                "[^\\x00-\\x7f]{1,2}",
                                                "(a|ab)(c|bc)",
                                                "(a{0,2}b){0,3}",
                                                "x{0}y",
                                                "(ab?c?){2,4}|[a-c]{7}",
                                                "(((a)))*",
                                                "\\t\\n\\r[\\b]",
                                                "a|b|",
                                                "[a\\-z]",
                                                "(a+)+",
                                                "(a|b?){3,4}"};
  std::mt19937_64 random(5);
  std::vector<std::string> texts = {"",     "a",   "b", "ab",
                                    "abab", "abc", "é", "日"};
  std::vector<Grammar> grammars;
  for (const std::string& expression : expressions) {
    auto grammar = Grammar::FromRegex(expression);
    ASSERT_EQ(ErrorOf(grammar), "OK") << expression;
    for (size_t i = 0; i < 40; ++i) {
      texts.push_back(RandomText(*grammar, random, 12));
    }
    grammars.push_back(*std::move(grammar));
  }
  for (size_t i = 0; i < 200; ++i) {
    std::string text;
    while (random() % 8 != 0) text.push_back("abcxy0-_\n"[random() % 9]);
    texts.push_back(text);
  }
  Validation validation;
  for (size_t i = 0; i < expressions.size(); ++i) {
    for (const std::string& text : texts) {
      validation.Add({{"regex", expressions[i]},
                      {"text", text},
                      {"matches", internal::Matches(grammars[i], text)},
                      {"exact", true},
                      {"valid", nullptr}});
    }
  }
  validation.Run();
}

TEST(Regex, DotMatchesWholeCharacters) {
  EXPECT_TRUE(RegexMatches(".", "\U0001F600"));
  EXPECT_FALSE(RegexMatches(".", "\xF0\x9F"));
  EXPECT_FALSE(RegexMatches("..", "\U0001F600"));
  EXPECT_FALSE(RegexMatches(".", "\n"));
  EXPECT_FALSE(RegexMatches(".", "\u2028"));
  EXPECT_FALSE(RegexMatches(".", "\xED\xA0\x80"));  // a surrogate
  EXPECT_FALSE(RegexMatches(".", "\xC0\x80"));      // overlong
  EXPECT_FALSE(RegexMatches(".", "\xF4\x90\x80\x80"));
  EXPECT_TRUE(RegexMatches("[^a]", "\n"));
  EXPECT_TRUE(RegexMatches("\\D", "\u0663"));
  EXPECT_TRUE(RegexMatches("\\s", "\u00a0"));
  EXPECT_FALSE(RegexMatches("\\S", "\u3000"));
  EXPECT_TRUE(RegexMatches("[\\s\\S]", std::string_view("\0", 1)));
  EXPECT_TRUE(RegexMatches("\\u{1F600}", "\U0001F600"));
  EXPECT_FALSE(RegexMatches("[\\ud7ff-\\ue000]", "\xED\xA0\x80"));
}

TEST(Regex, NamesUnsupportedSyntax) {
  struct Case {
    const char* expression;
    const char* error;
  };
  const Case cases[] = {
      {"a(?=b)", "byte 1 of the expression: look-ahead"},
      {"(?!b)", "look-ahead"},
      {"(?<=b)", "look-behind"},
      {"(?<!b)", "look-behind"},
      {"(a)\\1", "byte 3 of the expression: back-references"},
      {"(?<n>a)\\k<n>", "back-references"},
      {"(?P=n)", "back-references"},
      {"\\bword", "word boundaries"},
      {"(?i)a", "flags"},
      {"(?>a)", "extensions of groups"},
      {"a*+", "possessive"},
      {"a**", "repetition of a repetition"},
      {"\\p{L}", "properties"},
      {"[[:alpha:]]", "named classes"},
      {"\\q", "unknown escape"},
      {"\\", "at the end"},
      {"\\x4", "hexadecimal"},
      {"\\u{}", "hexadecimal"},
      {"\\u{110000}", "not a character"},
      {"\\ud800", "not a character"},
      {"\\01", "octal"},
      {"*a", "nothing to repeat"},
      {"a|*", "nothing to repeat"},
      {"(a", "byte 0 of the expression: '(' without"},
      {"a)", "')' without"},
      {"[a", "'[' without"},
      {"[a-", "'[' without"},
      {"[]a]", "']' begins a class"},
      {"[b-a]", "wrong order"},
      {"[\\d-z]", "from or to a class"},
      {"a{", "not a count"},
      {"a{x}", "not a count"},
      {"{2}", "not a count"},
      {"a{3,2}", "wrong order"},
      {"a{1000001}", "above 1000000"},
      {"a{99999999999999999999}", "above 1000000"},
      {"^*", "anchor cannot be repeated"},
      {"a^b", "where it never holds"},
      {"a$b", "where it never holds"},
      {"(?<n", "no '>'"},
      {"\xFF", "not UTF-8"},
      {"[^\\s\\S]", "no text is allowed"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(RegexError(c.expression), HasSubstr(c.error)) << c.expression;
  }
}

TEST(Regex, TimeIsBounded) {
  EXPECT_THAT(RegexError(std::string(100000, 'a')), HasSubstr("65536"));
  EXPECT_THAT(RegexError(std::string(50000, '(')), HasSubstr("deeper"));
  EXPECT_EQ(RegexError(std::string(100, '(') + std::string(100, ')')), "OK");
  // The same text can be read in many ways.
  EXPECT_TRUE(RegexMatches("(a|a)*b", std::string(5000, 'a') + "b"));
  EXPECT_TRUE(RegexMatches("(a*)*b", std::string(5000, 'a') + "b"));
  EXPECT_TRUE(RegexMatches("((a|aa)+)+b", std::string(5000, 'a') + "b"));
  EXPECT_TRUE(RegexMatches("((a{100}){100}){100}", std::string(1000000, 'a')));
  EXPECT_TRUE(RegexMatches("(.*.*.*.*x)*y", std::string(2000, 'x') + "y"));
  EXPECT_FALSE(RegexMatches("(x?){500}x{500}", std::string(499, 'x')));
  EXPECT_TRUE(RegexMatches("(x?){500}x{500}", std::string(700, 'x')));
  // More ways than the limit.
  EXPECT_THAT(ErrorOf(Grammar::FromRegex("((ab?){1,900}c?){1,900}")
                          ->Matches(std::string(3000, 'a'))),
              HasSubstr("more than 16384 ways"));
  std::string words;
  for (int i = 0; i < 5000; ++i) words += "w" + std::to_string(i) + "|";
  EXPECT_TRUE(RegexMatches(words, "w4999"));
  std::string more;
  for (int i = 0; i < 20000; ++i) more += "ab|";
  EXPECT_THAT(RegexError(more), HasSubstr("too ambiguous"));
  std::string optional;
  for (int i = 0; i < 30000; ++i) optional += "a?";
  EXPECT_THAT(RegexError("(" + optional + ")*"), HasSubstr("more than"));
  std::string classes;
  for (int i = 0; i < 6000; ++i) {
    classes += std::string("[") + static_cast<char>('a' + i % 20) + "-" +
               static_cast<char>('a' + i % 20 + i % 5) + "é]?";
  }
  EXPECT_EQ(RegexError(classes), "OK");
  std::string nested = "a?";
  for (int i = 0; i < 40; ++i) nested = "(" + nested + "){0,1000}b?";
  EXPECT_NE(RegexError(nested), "");
}

TEST(Regex, SurvivesCutsAndChanges) {
  const std::string expression =
      "^(?:[a-z\\d]{2,5}|\u65e5\\u{1F600}+(?<n>x*?|[^\\]\"]){3})\\.\\x41$";
  ASSERT_EQ(RegexError(expression), "OK");
  std::mt19937_64 random(6);
  for (size_t i = 0; i < expression.size(); ++i) {
    std::vector<std::string> changed = {expression.substr(0, i),
                                        expression.substr(i)};
    for (const char c : {'(', ')', '{', '\\', '*', '\xE6', '\0'}) {
      changed.push_back(expression);
      changed.back()[i] = c;
    }
    for (const std::string& text : changed) {
      const auto grammar = Grammar::FromRegex(text);
      if (!grammar.ok()) continue;
      EXPECT_TRUE(internal::Matches(*grammar, RandomText(*grammar, random, 40)))
          << text;
    }
  }
}

TEST(Choices, MatchOnlyThemselves) {
  const std::vector<std::string> choices = {"yes", "no", "nope", "",
                                            "n",   "no", "日本", "日"};
  const auto grammar = Grammar::FromChoices(choices);
  ASSERT_EQ(ErrorOf(grammar), "OK");
  for (const std::string& choice : choices) {
    EXPECT_TRUE(internal::Matches(*grammar, choice)) << choice;
  }
  for (const char* text : {"y", "yess", "nop", "non", "\xE6", "日本日"}) {
    EXPECT_FALSE(internal::Matches(*grammar, text)) << text;
  }
}

TEST(Choices, RefuseInvalidTexts) {
  EXPECT_THAT(ErrorOf(Grammar::FromChoices({})), HasSubstr("no choices"));
  EXPECT_THAT(ErrorOf(Grammar::FromChoices({"a", "\xFF"})),
              HasSubstr("choice 1 is not UTF-8"));
  EXPECT_THAT(ErrorOf(Grammar::FromChoices({std::string(2000000, 'a')})),
              HasSubstr("1048576"));
  // Each text begins with the previous one.
  std::vector<std::string> nested;
  for (size_t size = 1; size < 1400; ++size) nested.emplace_back(size, 'a');
  const auto grammar = Grammar::FromChoices(nested);
  ASSERT_EQ(ErrorOf(grammar), "OK");
  EXPECT_TRUE(internal::Matches(*grammar, nested.back()));
  EXPECT_FALSE(internal::Matches(*grammar, nested.back() + "a"));
}

}  // namespace
}  // namespace gemma::internal

// Compares the allowed tokens with the result of trying each token.

#include "src/grammar/allowed_tokens.h"

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/grammar/grammar_impl.h"
#include "tests/support/error_of.h"
#include "tests/support/grammar_texts.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

constexpr TokenId kStop = 1;

// Two control tokens, all bytes, and pieces like those of texts.
std::vector<Vocabulary::Piece> Pieces() {
  std::vector<Vocabulary::Piece> pieces = {{"<bos>", 0, PieceType::kControl},
                                           {"<eos>", 0, PieceType::kControl}};
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    snprintf(text, sizeof(text), "<0x%02X>", byte);
    pieces.push_back({text, 0, PieceType::kByte});
  }
  for (const char* text :
       {"{\"",  "\":",  "\",", "\":\u2581\"", "true",    "tru",
        "null", "},",   "]}",  "10",          "1",       ",\u2581",
        "ab",   "abc",  "a",   "\u2581",      "\u2581a", "日",
        "本",   "日本", "\\n", "\\u",         "00",      "\"}",
        "[{\"", "name", "e+",  ".5",          "\n"}) {
    pieces.push_back({text, 0, PieceType::kNormal});
  }
  return pieces;
}

// Tests tokens by the bytes that the stream decoder turns into text.
class AllowedTokensTest : public ::testing::Test {
 protected:
  AllowedTokensTest() : trie_(Pieces()) {}

  // Follows `text` in random tokens and checks the allowed tokens at each step.
  void Follow(const Grammar& grammar, const std::string& text) {
    const std::vector<TokenId> stops = {kStop};
    AllowedTokens allowed(grammar.impl().bytes, trie_, stops);
    std::string so_far;
    while (true) {
      Check(grammar, so_far, allowed);
      if (so_far.size() == text.size()) break;
      std::vector<TokenId> next;
      for (size_t token = 0; token < trie_.num_tokens(); ++token) {
        const std::string_view bytes = trie_.bytes(static_cast<TokenId>(token));
        if (!bytes.empty() &&
            text.compare(so_far.size(), bytes.size(), bytes) == 0) {
          next.push_back(static_cast<TokenId>(token));
        }
      }
      const TokenId token = next[random_() % next.size()];
      EXPECT_TRUE(allowed.Contains(token)) << so_far << "|" << token;
      allowed.Accept(token);
      so_far += trie_.bytes(token);
    }
    EXPECT_EQ(ErrorOf(allowed.status()), "OK");
    EXPECT_TRUE(allowed.Contains(kStop));
  }

  void Check(const Grammar& grammar, const std::string& so_far,
             AllowedTokens& allowed) {
    SCOPED_TRACE(so_far);
    std::vector<TokenId> expected;
    for (size_t i = 0; i < trie_.num_tokens(); ++i) {
      const auto token = static_cast<TokenId>(i);
      const std::string bytes(trie_.bytes(token));
      const bool wanted =
          token == kStop ? Matches(grammar, so_far)
                         : !bytes.empty() && Begins(grammar, so_far + bytes);
      EXPECT_EQ(allowed.Contains(token), wanted) << token;
      if (wanted) expected.push_back(token);
    }
    ASSERT_NE(allowed.Few(), nullptr);
    EXPECT_EQ(*allowed.Few(), expected);
    const std::vector<bool>& all = allowed.All();
    for (size_t i = 0; i < trie_.num_tokens(); ++i) {
      EXPECT_EQ(all[i], std::count(expected.begin(), expected.end(),
                                   static_cast<TokenId>(i)) == 1);
    }
    EXPECT_EQ(allowed.must_end(), expected == std::vector<TokenId>{kStop});
  }

  // Whether `text` begins a text of the grammar.
  static bool Begins(const Grammar& grammar, const std::string& text) {
    Automaton automaton(grammar.impl().bytes);
    Automaton::StateId state = automaton.start();
    for (const char c : text) {
      state = automaton.Step(state, static_cast<uint8_t>(c));
    }
    return state != Automaton::kDead;
  }

  TokenTrie trie_;
  std::mt19937_64 random_{1};
};

TEST_F(AllowedTokensTest, AreValidContinuations) {
  std::vector<Grammar> grammars;
  grammars.push_back(Grammar::AnyJson());
  grammars.push_back(*Grammar::FromRegex("(ab?c|日本?|10{1,3})*,?"));
  grammars.push_back(*Grammar::FromChoices({"abc", "ab", "true", "日本", ""}));
  grammars.push_back(*Grammar::FromJsonSchema(
      R"({"type":"object","properties":{"name":{"type":"string",)"
      R"("maxLength":5},"n":{"type":"number","maximum":10.5}},)"
      R"("required":["name"],"additionalProperties":false})"));
  for (const Grammar& grammar : grammars) {
    for (int i = 0; i < 8; ++i)
      Follow(grammar, RandomText(grammar, random_, 25));
  }
}

TEST_F(AllowedTokensTest, ManyAreNotListed) {
  std::vector<Vocabulary::Piece> pieces = Pieces();
  for (size_t i = 0; i < 3000; ++i) {
    pieces.push_back({"x" + std::to_string(i), 0, PieceType::kNormal});
  }
  const TokenTrie trie(pieces);
  const auto grammar = Grammar::FromRegex("x?[0-9]{2,90}");
  const std::vector<TokenId> stops = {kStop};
  AllowedTokens allowed(grammar->impl().bytes, trie, stops);
  EXPECT_EQ(allowed.Few(), nullptr);
  EXPECT_EQ(std::count(allowed.All().begin(), allowed.All().end(), true),
            1 + 10 + 3 + 3000);
  allowed.Accept(static_cast<TokenId>(pieces.size() - 1));
  ASSERT_NE(allowed.Few(), nullptr);
  EXPECT_EQ(allowed.Few()->size(),
            10u + 3 + 1);  // digits, "1", "10", "00", stop
}

// Each repetition makes a new state.
TEST_F(AllowedTokensTest, AnswersTakeBoundedMemory) {
  const auto grammar = Grammar::FromRegex("[a-z]{10,1000000}");
  const std::vector<TokenId> stops = {kStop};
  AllowedTokens allowed(grammar->impl().bytes, trie_, stops);
  const TokenId a = 2 + 'a';
  for (size_t i = 0; i < 300000; ++i) {
    ASSERT_TRUE(allowed.Contains(a));
    ASSERT_EQ(allowed.Contains(kStop), i >= 10);
    if (i % 1000 == 0) allowed.All();
    allowed.Accept(a);
  }
  EXPECT_EQ(ErrorOf(allowed.status()), "OK");
}

TEST_F(AllowedTokensTest, ReportsTooManyWays) {
  const auto grammar = Grammar::FromRegex("((ab?){1,900}c?){1,900}");
  ASSERT_TRUE(grammar.ok());
  const std::vector<TokenId> stops = {kStop};
  AllowedTokens allowed(grammar->impl().bytes, trie_, stops);
  const TokenId a = 2 + 'a';
  size_t count = 0;
  while (allowed.status().ok() && count < 2000) {
    if (allowed.Contains(a)) allowed.Accept(a);
    ++count;
  }
  EXPECT_LT(count, 2000u);
  EXPECT_EQ(allowed.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(ErrorOf(allowed.status()), HasSubstr("more than 16384 ways"));
}

// Every state in which an answer may end lists the stop token.
TEST_F(AllowedTokensTest, ListsTakeBoundedMemory) {
  const auto grammar = Grammar::FromRegex("a{0,1000}");
  std::vector<TokenId> stops;
  for (TokenId token = 1000; token < 101000; ++token) stops.push_back(token);
  AllowedTokens allowed(grammar->impl().bytes, trie_, stops);
  for (size_t i = 0; i < 100; ++i) {
    const std::vector<TokenId>* few = allowed.Few();
    ASSERT_NE(few, nullptr);
    EXPECT_EQ(few->size(), 100000u + 2);  // with "a" twice
    EXPECT_EQ(allowed.Few(), few);
    EXPECT_LT(allowed.list_bytes(), size_t{1} << 23);
    allowed.Accept(2 + 'a');
  }
}

}  // namespace
}  // namespace gemma::internal

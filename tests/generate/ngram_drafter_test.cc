#include "src/generate/ngram_drafter.h"

#include <algorithm>
#include <cstddef>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

using Tokens = std::vector<TokenId>;

NgramIndex IndexOf(const Tokens& tokens, size_t expected_tokens = 1024) {
  NgramIndex index(expected_tokens);
  for (const TokenId token : tokens) index.Append(token);
  return index;
}

Tokens Foretold(const NgramIndex& index, size_t count) {
  Tokens out;
  const NgramIndex::Match match = index.FindEnd();
  for (size_t i = 0; i < count; ++i) out.push_back(index.Foretold(match, i));
  return out;
}

// Compares the tokens before `next` with the last ones, and returns how many
// agree, at most kMaxMatch.
size_t Agreeing(const Tokens& tokens, size_t next) {
  size_t length = 0;
  while (length < std::min(next, NgramIndex::kMaxMatch) &&
         tokens[next - 1 - length] == tokens[tokens.size() - 1 - length]) {
    ++length;
  }
  return length;
}

TEST(NgramIndex, NewTextMatchesNothing) {
  EXPECT_EQ(IndexOf({}).FindEnd().length, 0u);
  EXPECT_EQ(IndexOf({5}).FindEnd().length, 0u);
  EXPECT_EQ(IndexOf({5, 5}).FindEnd().length, 0u);
  EXPECT_EQ(IndexOf({5, 6, 7, 8, 9, 7}).FindEnd().length, 0u);
}

TEST(NgramIndex, ForetellsWhatFollowed) {
  const NgramIndex index = IndexOf({1, 2, 3, 4, 5, 6, 2, 3});
  EXPECT_EQ(index.FindEnd().length, 2u);
  EXPECT_EQ(index.FindEnd().next, 3u);
  EXPECT_EQ(Foretold(index, 3), Tokens({4, 5, 6}));
}

TEST(NgramIndex, TheLatestPlaceCounts) {
  EXPECT_EQ(Foretold(IndexOf({2, 3, 7, 2, 3, 8, 2, 3}), 1), Tokens({8}));
}

TEST(NgramIndex, TheLongestNgramCounts) {
  // "2 3" came last before 8, but "1 2 3" before 7.
  const NgramIndex index = IndexOf({1, 2, 3, 7, 5, 2, 3, 8, 1, 2, 3});
  EXPECT_EQ(index.FindEnd().length, 3u);
  EXPECT_EQ(Foretold(index, 1), Tokens({7}));
}

TEST(NgramIndex, LengthOfWholeMatch) {
  for (size_t length = 2; length <= 40; ++length) {
    Tokens tokens = {1000};
    for (size_t i = 0; i < length; ++i) tokens.push_back(i);
    tokens.push_back(2000);
    for (size_t i = 0; i < length; ++i) tokens.push_back(i);
    const NgramIndex::Match match = IndexOf(tokens).FindEnd();
    EXPECT_EQ(match.length, std::min(length, NgramIndex::kMaxMatch));
    EXPECT_EQ(match.next, length + 1);
  }
}

TEST(NgramIndex, ForetellsEndlessRepetition) {
  EXPECT_EQ(Foretold(IndexOf({9, 1, 2, 3, 1, 2}), 8),
            Tokens({3, 1, 2, 3, 1, 2, 3, 1}));
  EXPECT_EQ(Foretold(IndexOf({4, 4, 4}), 3), Tokens({4, 4, 4}));
}

// With random tokens, every match found is true. A match is missed only if
// another n-gram overwrote its slot.
TEST(NgramIndex, NeverWrongSeldomMisses) {
  std::mt19937 random(1);
  for (const int vocabulary : {2, 5, 40, 1000}) {
    Tokens tokens;
    NgramIndex index(2000);
    size_t found = 0, missed = 0;
    for (size_t i = 0; i < 2000; ++i) {
      tokens.push_back(static_cast<TokenId>(random() % vocabulary));
      index.Append(tokens.back());
      const NgramIndex::Match match = index.FindEnd();
      if (match.length > 0) {
        ASSERT_LT(match.next, tokens.size());
        ASSERT_EQ(match.length, Agreeing(tokens, match.next));
        ASSERT_GE(match.length, NgramIndex::kMinMatch);
        ++found;
        continue;
      }
      for (size_t next = 2; next + 1 < tokens.size(); ++next) {
        if (Agreeing(tokens, next) < NgramIndex::kMinMatch) continue;
        ++missed;
        break;
      }
    }
    EXPECT_LE(missed, found / 4) << vocabulary;
  }
}

TEST(NgramIndex, LongerThanExpected) {
  std::mt19937 random(2);
  Tokens tokens;
  for (size_t i = 0; i < 50000; ++i) {
    tokens.push_back(static_cast<TokenId>(random() % 262144));
  }
  // Repeat tokens near the end: their places were entered last.
  for (size_t i = 49990; i < 49998; ++i) tokens.push_back(tokens[i]);
  const NgramIndex index = IndexOf(tokens, 1);
  EXPECT_EQ(index.FindEnd().length, 8u);
  EXPECT_EQ(Foretold(index, 2), Tokens({tokens[49998], tokens[49999]}));
}

}  // namespace
}  // namespace gemma::internal

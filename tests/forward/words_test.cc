// Lists of words, and the hashes of rows.

#include "gemma/words.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "src/forward/word_view.h"
#include "tests/support/error_of.h"

namespace gemma::internal {
namespace {

constexpr RowMask kCausal = RowMask::kCausal;
constexpr RowMask kBidirectional = RowMask::kBidirectional;

// Rows of two values each, which count up from `first`.
InputRows MakeRows(size_t count, RowMask mask, float first = 1.0f) {
  std::vector<float> values(2 * count);
  for (size_t i = 0; i < values.size(); ++i) values[i] = first + i;
  return *InputRows::Create(std::move(values), 2, mask);
}

std::string Hex(const RowHash& hash) {
  return absl::StrFormat("%016x%016x", hash.high, hash.low);
}

TEST(InputRows, RefusesBadValues) {
  const auto error = [](std::vector<float> values, size_t model_dim) {
    return ErrorOf(InputRows::Create(std::move(values), model_dim));
  };
  EXPECT_EQ(error({}, 2),
            "rows have 0 values, wanted a multiple of model_dim, which is 2");
  EXPECT_EQ(error({1, 2, 3}, 2),
            "rows have 3 values, wanted a multiple of model_dim, which is 2");
  EXPECT_EQ(error({1}, 0), "model_dim is 0, wanted 1 or more");
  EXPECT_EQ(error({1, 2, 3, NAN}, 2),
            "value 1 of row 1 is nan, wanted a finite number");
  EXPECT_EQ(error({INFINITY, 2}, 2),
            "value 0 of row 0 is inf, wanted a finite number");
  EXPECT_EQ(error({1, 2, 3, 4}, 2), "OK");
}

// Computed with Python's hashlib and struct, from the description in the
// header.
TEST(InputRows, HashesAreThoseDocumented) {
  const InputRows causal = MakeRows(2, kCausal);
  EXPECT_EQ(Hex(causal.hashes()[0]), "75664b4da1c08de9e8fad52303cc458b");
  EXPECT_EQ(Hex(causal.hashes()[1]), "39bc282db03ccd9f646528eb185674b6");
  const InputRows both = MakeRows(2, kBidirectional);
  EXPECT_EQ(Hex(both.hashes()[0]), "87c8e507bd068a7859bbb78bbad8a8e8");
  EXPECT_EQ(Hex(both.hashes()[1]), "913552619b967303d705ce1b3fb4a107");
}

// The hash of a causal row does not depend on other rows; that of a
// bidirectional row depends on all rows with it.
TEST(InputRows, HashesCoverVisibleRows) {
  const InputRows two = MakeRows(2, kCausal);
  const InputRows three = MakeRows(3, kCausal);
  EXPECT_EQ(two.hashes(), three.hashes().first(2));
  EXPECT_NE(two.hashes()[0], two.hashes()[1]);
  EXPECT_NE(two.hashes()[0], MakeRows(2, kCausal, -1).hashes()[0]);

  const InputRows both = MakeRows(2, kBidirectional);
  EXPECT_EQ(both.hashes(), MakeRows(2, kBidirectional).hashes());
  EXPECT_NE(both.hashes()[0], two.hashes()[0]);
  EXPECT_NE(both.hashes()[0], MakeRows(3, kBidirectional).hashes()[0]);
  const InputRows equal = *InputRows::Create({1, 2, 1, 2}, 2, kBidirectional);
  EXPECT_NE(equal.hashes()[0], equal.hashes()[1]);
}

TEST(Words, InterleaveTokensAndRows) {
  const InputRows rows = MakeRows(2, kCausal);
  Words words(std::vector<TokenId>{5, 6});
  words.Append(rows);
  words.Append({7});
  EXPECT_EQ(words.size(), 5u);
  EXPECT_EQ(words.tokens(),
            absl::MakeConstSpan({5, 6, kRowToken, kRowToken, 7}));
  ASSERT_EQ(words.rows().size(), 1u);
  EXPECT_EQ(words.rows()[0].begin, 2u);
  EXPECT_EQ(words.rows()[0].end, 4u);
  EXPECT_EQ(words[1], (Word{6, {}}));
  EXPECT_EQ(words[3], (Word{kRowToken, rows.hashes()[1]}));
  EXPECT_EQ(words[4], (Word{7, {}}));
}

TEST(Words, EqualWhereWordsAre) {
  Words apart(std::vector<TokenId>{5});
  apart.Append(MakeRows(1, kCausal, 1));
  apart.Append(MakeRows(2, kCausal, 3));
  Words together(std::vector<TokenId>{5});
  together.Append(MakeRows(3, kCausal, 1));
  EXPECT_EQ(apart, together);
  EXPECT_EQ(CommonPrefix(apart, together), 4u);
  together.Append({6});
  EXPECT_FALSE(apart == together);
  EXPECT_EQ(CommonPrefix(apart, together), 4u);
}

TEST(Words, CommonPrefixComparesRows) {
  Words words(std::vector<TokenId>{5, 6});
  words.Append(MakeRows(4, kCausal));
  // The third row differs.
  Words other(std::vector<TokenId>{5, 6});
  other.Append(MakeRows(2, kCausal));
  other.Append(MakeRows(2, kCausal, 100));
  EXPECT_EQ(CommonPrefix(words, other), 4u);
  EXPECT_EQ(CommonPrefix(other, words), 4u);
  // A token in place of a row.
  const Words tokens(std::vector<TokenId>{5, 6, 7, 7, 7, 7});
  EXPECT_EQ(CommonPrefix(words, tokens), 2u);
  // Tokens that only look like rows.
  const Words invalid(std::vector<TokenId>(6, kRowToken));
  EXPECT_EQ(CommonPrefix(invalid, words), 0u);
  // Bidirectional rows that differ anywhere share no word.
  Words image;
  image.Append(MakeRows(4, kBidirectional));
  Words longer;
  longer.Append(MakeRows(5, kBidirectional));
  EXPECT_EQ(CommonPrefix(image, longer), 0u);
  EXPECT_EQ(CommonPrefix(image, image), 4u);
}

TEST(Words, TruncateKeepsRowsWhole) {
  for (const RowMask mask : {kCausal, kBidirectional}) {
    Words words(std::vector<TokenId>{5, 6});
    words.Append(MakeRows(4, mask));
    words.Append({7});
    for (size_t size = 0; size <= 7; ++size) {
      const bool inside = size > 2 && size < 6;
      const size_t whole = inside && mask == kBidirectional ? 2 : size;
      EXPECT_EQ(words.Whole(size), whole);
      Words cut = words;
      cut.Truncate(size);
      EXPECT_EQ(cut.size(), whole);
      EXPECT_EQ(CommonPrefix(cut, words), whole);
    }
  }
}

TEST(WordView, PartsMakeTheWhole) {
  Words words(std::vector<TokenId>{5});
  words.Append(MakeRows(3, kCausal));
  words.Append({6, 7});
  words.Append(MakeRows(2, kCausal, 50));
  for (size_t a = 0; a <= words.size(); ++a) {
    for (size_t b = a; b <= words.size(); ++b) {
      const WordView all(words);
      Words again;
      all.First(a).AppendTo(again);
      all.From(a).First(b - a).AppendTo(again);
      all.From(b).AppendTo(again);
      EXPECT_EQ(again, words) << a << " " << b;
      // Rows that were appended in pieces become one PlacedRows.
      EXPECT_EQ(again.rows().size(), 2u) << a << " " << b;
    }
  }
}

TEST(WordView, BidirectionalRowsStayWhole) {
  Words words(std::vector<TokenId>{5, 6});
  words.Append(MakeRows(3, kBidirectional));      // [2, 5)
  words.Append(MakeRows(2, kBidirectional, 90));  // [5, 7)
  words.Append(MakeRows(3, kCausal));             // [7, 10)
  const WordView all(words);
  const size_t expected[] = {0, 1, 2, 2, 2, 5, 5, 7, 8, 9, 10, 10};
  for (size_t wanted = 1; wanted < 12; ++wanted) {
    EXPECT_EQ(all.PassSize(wanted, 12), expected[wanted]) << wanted;
  }
  // Bidirectional rows that come first are taken alone, if they fit.
  EXPECT_EQ(all.From(2).PassSize(1, 3), 3u);
  EXPECT_EQ(all.From(2).PassSize(2, 2), 0u);
  EXPECT_EQ(all.From(2).PassSize(4, 4), 3u);
  EXPECT_EQ(all.From(7).PassSize(1, 1), 1u);
}

TEST(CheckWords, NamesWhatIsWrong) {
  ModelConfig config;
  config.vocab_size = 10;
  config.model_dim = 2;
  const auto error = [&](const Words& words, size_t max_rows) {
    return std::string(CheckWords(words, config, max_rows, "F").message());
  };
  Words words(std::vector<TokenId>{5});
  words.Append(MakeRows(4, kBidirectional));
  EXPECT_EQ(error(words, 4), "");
  EXPECT_EQ(error(words, 3),
            "word 1 of F begins 4 bidirectional rows, wanted at most 3 "
            "(LoadOptions::prefill_chunk)");
  words.Append({10});
  EXPECT_EQ(error(words, 4), "token 5 of F is 10, wanted 0 to 9");
  EXPECT_EQ(error(Words(std::vector<TokenId>{kRowToken}), 4),
            "token 0 of F is -1, wanted 0 to 9");
  Words causal;
  causal.Append(MakeRows(4, kCausal));
  EXPECT_EQ(error(causal, 1), "");
  config.model_dim = 3;
  EXPECT_EQ(error(causal, 1),
            "word 0 of F is a row of 2 values, wanted model_dim, which is 3");
  config.model_dim = 2;
  causal.Append(*InputRows::Create({1, 2, 3}, 3));
  EXPECT_EQ(error(causal, 1),
            "word 4 of F is a row of 3 values, wanted model_dim, which is 2");
}

}  // namespace
}  // namespace gemma::internal

#include "src/generate/prompt_pieces.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "gtest/gtest.h"
#include "src/forward/word_view.h"

namespace gemma::internal {
namespace {

constexpr size_t kFew = 31;

// A prompt of `size` tokens.
Words Prompt(size_t size) { return Words(std::vector<TokenId>(size)); }

// Returns the ends of passes of `rows` rows.
std::vector<size_t> PassEnds(size_t prompt, size_t rows) {
  std::vector<size_t> ends;
  for (size_t begin = 0; begin < prompt; begin += rows) {
    ends.push_back(std::min(begin + rows, prompt));
  }
  return ends;
}

TEST(PromptPieces, EqualPassesOfGenerate) {
  for (const bool scored : {false, true}) {
    for (const size_t max_rows : {32, 100, 256, 300}) {
      for (const size_t prompt : {1, 31, 32, 33, 255, 256, 257, 700}) {
        const PromptPieces pieces(Prompt(prompt), scored, kFew, max_rows);
        std::vector<size_t> ends;
        for (size_t at = 0; at < prompt; at = ends.back()) {
          ends.push_back(pieces.End(at));
          for (size_t token = at; token < ends.back(); ++token) {
            EXPECT_EQ(pieces.End(token), ends.back());
            EXPECT_EQ(pieces.Many(token), ends.back() - at > kFew);
          }
        }
        EXPECT_EQ(ends, PassEnds(prompt, scored ? 32 : max_rows));
        EXPECT_EQ(pieces.End(prompt), prompt + 1);
        EXPECT_FALSE(pieces.Many(prompt));
      }
    }
  }
}

TEST(PromptPieces, AnyDivisionKeepsKinds) {
  for (const size_t prompt : {20, 256, 280, 300, 512}) {
    const PromptPieces pieces(Prompt(prompt), false, kFew, 256);
    for (size_t position = 0; position < prompt; ++position) {
      const size_t at = pieces.Resumable(position);
      EXPECT_LE(at, position);
      EXPECT_EQ(pieces.Resumable(at), at);
      EXPECT_EQ(pieces.End(at), pieces.End(position));
      EXPECT_EQ(pieces.End(at) - at > kFew, pieces.Many(position));
      // No farther position is possible.
      if (at < position) {
        EXPECT_LE(pieces.End(at) - (at + 1), kFew);
      }
      for (size_t begin = position / 256 * 256; begin < position; ++begin) {
        if (!pieces.MayCut(begin, position)) continue;
        EXPECT_EQ(position - begin > kFew, pieces.Many(begin));
        EXPECT_EQ(pieces.End(position) - position > kFew, pieces.Many(begin));
      }
    }
  }
}

TEST(PromptPieces, ShareEqualPasses) {
  const auto shared = [](size_t prompt, size_t other, size_t common) {
    return PromptPieces(Prompt(prompt), false, kFew, 256)
        .Shared(PromptPieces(Prompt(other), false, kFew, 256), common);
  };
  EXPECT_EQ(shared(600, 600, 500), 480u);  // leaves 32 rows until 512
  EXPECT_EQ(shared(600, 600, 470), 470u);
  EXPECT_EQ(shared(600, 300, 300), 300u);  // 44 rows are many, too
  EXPECT_EQ(shared(600, 270, 270), 256u);  // 14 rows are few
  EXPECT_EQ(shared(270, 270, 269), 269u);
  EXPECT_EQ(shared(275, 270, 275), 275u);  // tokens of an answer: few, too
  EXPECT_EQ(shared(400, 300, 350), 300u);
  EXPECT_EQ(shared(20, 600, 20), 0u);
  // With one kind of passes, all tokens are shared.
  const PromptPieces pieces(Prompt(20), false, 256, 256);
  EXPECT_EQ(pieces.Shared(PromptPieces(Prompt(600), false, 256, 256), 19), 19u);
  EXPECT_EQ(pieces.Resumable(7), 7u);
  EXPECT_TRUE(pieces.MayCut(3, 4));
}

// 50 tokens, then groups of `counts` bidirectional rows with 3 tokens after
// each, then 100 tokens.
Words PromptOfRows(const std::vector<size_t>& counts) {
  Words words = Prompt(50);
  for (const size_t count : counts) {
    words.Append(*InputRows::Create(std::vector<float>(count), 1,
                                    RowMask::kBidirectional));
    words.Append({1, 2, 3});
  }
  words.Append(std::vector<TokenId>(100));
  return words;
}

TEST(PromptPieces, PassesDivideNoRows) {
  for (const std::vector<size_t>& counts :
       {std::vector<size_t>{14}, {64}, {40, 20}, {10, 10, 60, 1}, {61, 61}}) {
    const Words prompt = PromptOfRows(counts);
    for (const bool scored : {false, true}) {
      for (const size_t max_rows : {64, 70, 100, 300}) {
        const PromptPieces pieces(prompt, scored, kFew, max_rows);
        const size_t rows = scored ? 32 : max_rows;
        for (size_t begin = 0, end = 0; begin < prompt.size(); begin = end) {
          end = begin + WordView(prompt).From(begin).PassSize(rows, max_rows);
          for (size_t at = begin; at < end; ++at) {
            ASSERT_EQ(pieces.End(at), end) << at;
            EXPECT_EQ(pieces.Many(at), end - begin > kFew) << at;
          }
        }
      }
    }
  }
}

TEST(PromptPieces, ResumeAtRowEnds) {
  const Words prompt = PromptOfRows({40, 20});
  for (const size_t few : {size_t{31}, size_t{100}}) {
    const PromptPieces pieces(prompt, false, few, 100);
    for (size_t position = 0; position < prompt.size(); ++position) {
      const size_t at = pieces.Resumable(position);
      EXPECT_LE(at, position);
      EXPECT_EQ(prompt.Whole(at), at);
      EXPECT_EQ(pieces.Resumable(at), at);
      EXPECT_EQ(pieces.End(at), pieces.End(position));
      if (position > 0 && pieces.MayCut(0, position)) {
        EXPECT_EQ(prompt.Whole(position), position);
      }
      EXPECT_EQ(prompt.Whole(pieces.Shared(pieces, position)),
                pieces.Shared(pieces, position));
    }
  }
}

}  // namespace
}  // namespace gemma::internal

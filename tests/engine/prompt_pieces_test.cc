#include "src/engine/prompt_pieces.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "gtest/gtest.h"

namespace gemma {
namespace {

constexpr size_t kFew = 31;

// Of passes of so many rows.
std::vector<size_t> PassEnds(size_t prompt, size_t rows) {
  std::vector<size_t> ends;
  for (size_t begin = 0; begin < prompt; begin += rows) {
    ends.push_back(std::min(begin + rows, prompt));
  }
  return ends;
}

TEST(PromptPieces, AreThePassesOfGenerate) {
  for (const bool scored : {false, true}) {
    for (const size_t max_rows : {32, 100, 256, 300}) {
      for (const size_t prompt : {1, 31, 32, 33, 255, 256, 257, 700}) {
        const PromptPieces pieces(prompt, scored, kFew, max_rows);
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
    const PromptPieces pieces(prompt, false, kFew, 256);
    for (size_t position = 0; position < prompt; ++position) {
      const size_t at = pieces.Resumable(position);
      EXPECT_LE(at, position);
      EXPECT_EQ(pieces.Resumable(at), at);
      EXPECT_EQ(pieces.End(at), pieces.End(position));
      EXPECT_EQ(pieces.End(at) - at > kFew, pieces.Many(position));
      // It is the farthest.
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

TEST(PromptPieces, ShareTokensOfEqualPasses) {
  const auto shared = [](size_t prompt, size_t other, size_t common) {
    return PromptPieces(prompt, false, kFew, 256)
        .Shared(PromptPieces(other, false, kFew, 256), common);
  };
  EXPECT_EQ(shared(600, 600, 500), 480u);  // 32 rows are left until 512
  EXPECT_EQ(shared(600, 600, 470), 470u);
  EXPECT_EQ(shared(600, 300, 300), 300u);  // 44 rows are many, too
  EXPECT_EQ(shared(600, 270, 270), 256u);  // 14 rows are few
  EXPECT_EQ(shared(270, 270, 269), 269u);
  EXPECT_EQ(shared(275, 270, 275), 275u);  // tokens of an answer: few, too
  EXPECT_EQ(shared(400, 300, 350), 300u);
  EXPECT_EQ(shared(20, 600, 20), 0u);
  // Where rows do not matter, all.
  const PromptPieces pieces(20, false, 256, 256);
  EXPECT_EQ(pieces.Shared(PromptPieces(600, false, 256, 256), 19), 19u);
  EXPECT_EQ(pieces.Resumable(7), 7u);
  EXPECT_TRUE(pieces.MayCut(3, 4));
}

}  // namespace
}  // namespace gemma

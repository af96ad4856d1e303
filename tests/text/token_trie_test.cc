#include "src/text/tokenizer/token_trie.h"

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

using Piece = Vocabulary::Piece;

// Returns the tokens in the order of a walk. Checks that the bytes on the path
// to each token are the token's bytes.
std::vector<TokenId> Walk(const TokenTrie& trie) {
  std::vector<TokenId> tokens;
  std::string path;
  std::vector<size_t> ends;
  for (size_t node = 0; node < trie.nodes().size(); ++node) {
    while (!ends.empty() && node >= ends.back()) {
      ends.pop_back();
      path.pop_back();
    }
    path.push_back(static_cast<char>(trie.nodes()[node].byte));
    ends.push_back(trie.nodes()[node].next);
    EXPECT_GT(ends.back(), node);
    for (const TokenId token : trie.tokens(node)) {
      EXPECT_EQ(trie.bytes(token), path);
      tokens.push_back(token);
    }
  }
  return tokens;
}

TEST(TokenTrie, BytesMatchStreamDecoder) {
  const TokenTrie trie({{"<bos>", 0, PieceType::kControl},
                        {"<unk>", 0, PieceType::kUnknown},
                        {"<0x0A>", 0, PieceType::kByte},
                        {"\n", 0, PieceType::kUserDefined},
                        {"\u2581a", 0, PieceType::kNormal},
                        {"\u2581a\u2581", 0, PieceType::kNormal},
                        {"", 0, PieceType::kUnused},
                        {"<unused1>", 0, PieceType::kUnused},
                        {"<0xE2>", 0, PieceType::kByte}});
  EXPECT_EQ(trie.num_tokens(), 9u);
  EXPECT_EQ(trie.bytes(0), "");
  EXPECT_EQ(trie.bytes(1), "");
  EXPECT_EQ(trie.bytes(2), "\n");
  EXPECT_EQ(trie.bytes(3), "\n");
  EXPECT_EQ(trie.bytes(4), " a");
  EXPECT_EQ(trie.bytes(5), " a ");
  EXPECT_EQ(trie.bytes(6), "");
  EXPECT_EQ(trie.bytes(7), "<unused1>");
  EXPECT_EQ(trie.bytes(8), "\xE2");
  EXPECT_EQ(Walk(trie), (std::vector<TokenId>{2, 3, 4, 5, 7, 8}));
}

TEST(TokenTrie, WalksInByteOrder) {
  std::mt19937_64 random(1);
  std::vector<Piece> pieces;
  for (size_t i = 0; i < 3000; ++i) {
    std::string text;
    // Some texts are longer than the sort key.
    for (size_t n = 1 + random() % 14; n > 0; --n) {
      text.push_back("abz\x7f"[random() % 4]);
    }
    pieces.push_back({text, 0, PieceType::kNormal});
  }
  const TokenTrie trie(pieces);
  std::vector<TokenId> expected(pieces.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    expected[i] = static_cast<TokenId>(i);
  }
  std::stable_sort(expected.begin(), expected.end(), [&](TokenId a, TokenId b) {
    return pieces[a].text < pieces[b].text;
  });
  EXPECT_EQ(Walk(trie), expected);
}

TEST(TokenTrie, MayBeEmpty) {
  EXPECT_TRUE(TokenTrie({}).nodes().empty());
  EXPECT_TRUE(TokenTrie({{"<bos>", 0, PieceType::kControl}}).nodes().empty());
}

}  // namespace
}  // namespace gemma::internal

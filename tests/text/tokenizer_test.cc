#include "gemma/tokenizer.h"

#include <sentencepiece_processor.h>

#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/text/tokenizer/tokenizer_impl.h"
#include "tests/support/model_proto.h"
#include "tests/support/toy_vocab.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Tokens = std::vector<TokenId>;

constexpr std::string_view kPath = "toy.file";

absl::Span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// The pieces that every vocabulary has.
Vocabulary ByteVocabulary() {
  Vocabulary vocabulary;
  vocabulary.pieces = {{"<unk>", 0.0f, PieceType::kUnknown},
                       {"<bos>", 0.0f, PieceType::kControl},
                       {"<eos>", 0.0f, PieceType::kControl}};
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.pieces.push_back(
        {absl::StrFormat("<0x%02X>", byte), 0.0f, PieceType::kByte});
  }
  vocabulary.unk = 0;
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  return vocabulary;
}

// One tokenizer from each container.
class TokenizerTest : public testing::Test {
 protected:
  static Tokenizer Make(absl::StatusOr<Vocabulary> vocabulary) {
    EXPECT_TRUE(vocabulary.ok()) << vocabulary.status();
    absl::StatusOr<Tokenizer> tokenizer =
        MakeTokenizer(*std::move(vocabulary), kPath);
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
    return *std::move(tokenizer);
  }

  TokenId Id(std::string_view piece) const { return gguf_.Find(piece).value(); }

  const VocabularyForms forms_ = ToyVocabulary();
  const Tokenizer gguf_ = Make(VocabularyFromGguf(forms_.gguf(), kPath));
  const Tokenizer proto_ =
      Make(VocabularyFromModelProto(AsBytes(forms_.model_proto), kPath));
  const Tokenizer hf_ = Make(VocabularyFromHf(forms_.hf, kPath));
};

TEST_F(TokenizerTest, SourcesAgree) {
  const std::string_view texts[] = {
      "",
      " ",
      "the capital of germany",
      " Hello",
      "a  b   c",
      "\n\n\nabc",
      "\t\tif x:",
      "<h1>Hi</h1>",
      "I don't know.",
      "\u65E5\u672C\u8A9E",
      "\u00E9 e\u0301",
      "\U00013000",
      "x = 12345",
      "<start_of_turn>user\nhi<end_of_turn>\n",
      "\u2581the \u2581 the",
      "bad \xFF\xC3 bytes",
  };
  for (std::string_view text : texts) {
    for (ControlTokens control :
         {ControlTokens::kAsText, ControlTokens::kParse}) {
      const Tokens expected = *gguf_.Encode(text, control);
      EXPECT_EQ(*proto_.Encode(text, control), expected) << text;
      EXPECT_EQ(*hf_.Encode(text, control), expected) << text;
    }
  }
}

TEST_F(TokenizerTest, SourcesAgreeWhenFuzzed) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const std::string text = FuzzedText(seed, 24);
    for (ControlTokens control :
         {ControlTokens::kAsText, ControlTokens::kParse}) {
      const Tokens expected = *gguf_.Encode(text, control);
      ASSERT_EQ(*proto_.Encode(text, control), expected) << seed;
      ASSERT_EQ(*hf_.Encode(text, control), expected) << seed;
    }
  }
}

// sentencepiece reads the same file. It also matches names of control tokens in
// a text, so texts with such names are left out.
TEST_F(TokenizerTest, EqualsSentencepiece) {
  sentencepiece::SentencePieceProcessor processor;
  ASSERT_TRUE(processor.LoadFromSerializedProto(forms_.model_proto).ok());
  int num_compared = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const std::string text = FuzzedText(seed, 12);
    const Tokens tokens = *proto_.Encode(text, ControlTokens::kParse);
    bool has_control = false;
    for (TokenId token : tokens) has_control |= proto_.IsControl(token);
    if (has_control) continue;
    std::vector<int> expected;
    ASSERT_TRUE(processor.Encode(text, &expected).ok());
    ASSERT_EQ(tokens, expected) << seed;

    std::string decoded;
    ASSERT_TRUE(processor.Decode(expected, &decoded).ok());
    ASSERT_EQ(proto_.Decode(tokens), decoded) << seed;
    ++num_compared;
  }
  EXPECT_GT(num_compared, 500);
}

// Pieces of two letters and a blank in all lengths, types and orders, with many
// equal scores. Tests the order of merges, the splitting of unused pieces and
// pieces inside user-defined ones.
TEST(RandomVocabularies, EncodeAsInSentencepiece) {
  constexpr std::string_view kLetters[] = {"a", "b", "\u2581", "\u00E9"};
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    const auto letters = [&](size_t max_size) {
      std::string text;
      for (size_t n = 1 + random() % max_size; n > 0; --n) {
        text += kLetters[random() % std::size(kLetters)];
      }
      return text;
    };
    Vocabulary vocabulary = ByteVocabulary();
    vocabulary.add_space_prefix = seed % 4 == 0;
    std::set<std::string> pieces;
    while (pieces.size() < 40) pieces.insert(letters(5));
    for (const std::string& piece : pieces) {
      const uint64_t kind = random() % 12;
      const PieceType type = kind == 0   ? PieceType::kUserDefined
                             : kind <= 3 ? PieceType::kUnused
                                         : PieceType::kNormal;
      vocabulary.pieces.push_back(
          {piece, -static_cast<float>(random() % 8), type});
    }
    sentencepiece::SentencePieceProcessor processor;
    ASSERT_TRUE(
        processor.LoadFromSerializedProto(SerializeModelProto(vocabulary))
            .ok());
    const absl::StatusOr<Tokenizer> tokenizer =
        MakeTokenizer(vocabulary, kPath);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    for (int i = 0; i < 50; ++i) {
      std::string text = letters(30);
      if (i % 5 == 0) text[random() % text.size()] = '\xE2';
      if (i % 7 == 0) text += ' ';
      std::vector<int> expected;
      ASSERT_TRUE(processor.Encode(text, &expected).ok());
      ASSERT_EQ(*tokenizer->Encode(text), expected) << seed << ": " << text;
    }
  }
}

TEST_F(TokenizerTest, Encodes) {
  EXPECT_THAT(*gguf_.Encode(""), IsEmpty());
  EXPECT_THAT(*gguf_.Encode(" the user"),
              ElementsAre(Id("\u2581the"), Id("\u2581user")));
  EXPECT_THAT(*gguf_.Encode("\n\n\n<h1>"),
              ElementsAre(Id("\n\n\n"), Id("<h1>")));
  // Runs are matched from the left, the longest first.
  EXPECT_THAT(*gguf_.Encode("\n\n\n\n\n\n\n\n"),
              ElementsAre(Id("\n\n\n\n\n\n"), Id("\n\n")));
  EXPECT_THAT(*gguf_.Encode("1  2"),
              ElementsAre(Id("1"), Id("\u2581\u2581"), Id("2")));
  EXPECT_THAT(*gguf_.Encode("\u00FC"), ElementsAre(Id("<0xC3>"), Id("<0xBC>")));
}

TEST_F(TokenizerTest, ReplacesInvalidUtf8) {
  const Tokens one = {Id("<0xEF>"), Id("<0xBF>"), Id("<0xBD>")};
  EXPECT_EQ(*gguf_.Encode("\uFFFD"), one);
  EXPECT_EQ(*gguf_.Encode("\xFF"), one);
  EXPECT_EQ(*gguf_.Encode("\xE2\x96")->begin(), one[0]);
  EXPECT_EQ(gguf_.Encode("\xE2\x96")->size(), 6u);
  EXPECT_EQ(*gguf_.Encode(std::string_view("\0", 1)), Tokens{Id("<0x00>")});
}

TEST_F(TokenizerTest, ParsesControlTokens) {
  const std::string_view text = "<start_of_turn>user\n<bos>x<end_of_turn>\n";
  const Tokens expected = {
      Id("<start_of_turn>"), Id("user"), Id("\n"), Id("<bos>"), Id("x"),
      Id("<end_of_turn>"),   Id("\n")};
  EXPECT_EQ(*gguf_.Encode(text, ControlTokens::kParse), expected);
  const Tokens as_text = *gguf_.Encode(text);
  for (TokenId token : as_text) {
    EXPECT_FALSE(gguf_.IsControl(token)) << gguf_.Piece(token);
  }
  for (size_t i = 0; i < gguf_.vocab_size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    if (!gguf_.IsControl(token)) continue;
    EXPECT_THAT(*gguf_.Encode(gguf_.Piece(token), ControlTokens::kParse),
                ElementsAre(token));
  }
}

// The longest of the names that begin leftmost is taken.
TEST_F(TokenizerTest, LongestControlTokenWins) {
  Vocabulary vocabulary = *VocabularyFromGguf(forms_.gguf(), kPath);
  const auto end = static_cast<TokenId>(vocabulary.pieces.size());
  vocabulary.pieces.push_back({"<|a", 0.0f, PieceType::kControl});
  vocabulary.pieces.push_back({"<|a|b|>", 0.0f, PieceType::kControl});
  vocabulary.pieces.push_back({"a|", 0.0f, PieceType::kControl});
  const Tokenizer tokenizer = Make(vocabulary);
  const auto parse = [&](std::string_view text) {
    return *tokenizer.Encode(text, ControlTokens::kParse);
  };
  EXPECT_THAT(parse("<|a|b|>"), ElementsAre(end + 1));
  EXPECT_THAT(parse("<|a|b|"), ElementsAre(end, Id("|"), Id("b"), Id("|")));
  EXPECT_THAT(parse("a|a|b|>"),
              ElementsAre(end + 2, end + 2, Id("b"), Id("|"), Id(">")));
}

// No text opens or closes a turn.
TEST_F(TokenizerTest, TextNeverBecomesControl) {
  std::vector<std::string> texts;
  std::vector<std::string_view> names;
  for (size_t i = 0; i < gguf_.vocab_size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    if (gguf_.IsControl(token)) names.push_back(gguf_.Piece(token));
  }
  EXPECT_GT(names.size(), 15u);
  for (std::string_view name : names) {
    const std::string text(name);
    for (const std::string& variant :
         {text, " " + text, text + text, "\n" + text + "\n", "<h1>" + text,
          text.substr(1), text.substr(0, text.size() - 1) + "\xFF>",
          "<" + text + ">", std::string("\0", 1) + text, "\u2581" + text,
          "\xE2\x96" + text}) {
      texts.push_back(variant);
    }
    for (size_t i = 0; i <= text.size(); ++i) {  // names nested in each other
      texts.push_back(text.substr(0, i) + text + text.substr(i));
    }
  }
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    texts.push_back(FuzzedText(seed, 30, names));
  }
  for (const Tokenizer* tokenizer : {&gguf_, &proto_, &hf_}) {
    for (const std::string& text : texts) {
      const Tokens tokens = *tokenizer->Encode(text, ControlTokens::kAsText);
      for (TokenId token : tokens) {
        ASSERT_FALSE(tokenizer->IsControl(token))
            << tokenizer->Piece(token) << " in " << text;
      }
    }
  }
}

TEST_F(TokenizerTest, HonoursTheSpacePrefix) {
  Vocabulary vocabulary = *VocabularyFromGguf(forms_.gguf(), kPath);
  vocabulary.add_space_prefix = true;
  const Tokenizer tokenizer = Make(vocabulary);
  EXPECT_EQ(*tokenizer.Encode("the"), Tokens{Id("\u2581the")});
  EXPECT_EQ(tokenizer.Decode(*tokenizer.Encode("the")), " the");
}

TEST_F(TokenizerTest, Decodes) {
  EXPECT_EQ(gguf_.Decode({}), "");
  EXPECT_EQ(gguf_.Decode({Id("\u2581the"), Id("\u2581user")}), " the user");
  EXPECT_EQ(gguf_.Decode({Id("\u2581\u2581"), Id("\n\n"), Id("<h1>")}),
            "  \n\n<h1>");
  EXPECT_EQ(gguf_.Decode({gguf_.bos(), Id("<start_of_turn>"), Id("user"),
                          Id("<unk>"), Id("<|fim_prefix|>"), gguf_.eos()}),
            "user");
  EXPECT_EQ(gguf_.Decode({-1, 1 << 30, Id("user"),
                          static_cast<TokenId>(gguf_.vocab_size())}),
            "user");
  EXPECT_EQ(gguf_.Decode({Id("<0xC3>"), Id("<0xA9>")}), "\u00E9");
  EXPECT_EQ(gguf_.Decode({Id("<0x00>")}), std::string_view("\0", 1));
  // Each byte outside a valid character becomes U+FFFD. So do the bytes of a
  // character if another token comes between them.
  EXPECT_EQ(gguf_.Decode({Id("<0xC3>")}), "\uFFFD");
  EXPECT_EQ(gguf_.Decode({Id("<0xE2>"), Id("<0x96>")}), "\uFFFD\uFFFD");
  EXPECT_EQ(gguf_.Decode({Id("<0xC3>"), gguf_.eos(), Id("<0xA9>")}),
            "\uFFFD\uFFFD");
  EXPECT_EQ(gguf_.Decode({Id("<0xC3>"), Id("the"), Id("<0xA9>")}),
            "\uFFFDthe\uFFFD");
}

TEST_F(TokenizerTest, TextComesBack) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const std::string text = FuzzedText(seed, 24);
    std::string expected;  // after U+FFFD, U+2581 to blank
    ASSERT_TRUE(gguf_.Encode(text).ok());
    expected = gguf_.Decode(*gguf_.Encode(text));
    EXPECT_EQ(gguf_.Decode(*gguf_.Encode(expected)), expected) << seed;
  }
  const std::string_view text = "  the \u00FC \U0001F600\n\n\t<h1> x\n ";
  EXPECT_EQ(gguf_.Decode(*gguf_.Encode(text)), text);
}

TEST_F(TokenizerTest, FindsPieces) {
  EXPECT_EQ(gguf_.bos(), 2);
  EXPECT_EQ(gguf_.eos(), 1);
  EXPECT_EQ(gguf_.vocab_size(), forms_.tokens.size());
  for (size_t i = 0; i < gguf_.vocab_size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    EXPECT_EQ(gguf_.Find(gguf_.Piece(token)), token) << i;
  }
  EXPECT_EQ(gguf_.Find("no such piece"), std::nullopt);
  EXPECT_EQ(gguf_.Find(""), std::nullopt);
  EXPECT_EQ(gguf_.Find("<unk>"), 3);
  EXPECT_EQ(gguf_.Piece(-1), "");
  EXPECT_EQ(gguf_.Piece(static_cast<TokenId>(gguf_.vocab_size())), "");
  EXPECT_FALSE(gguf_.IsControl(-1));
  EXPECT_FALSE(gguf_.IsControl(1 << 30));
}

// Long texts are cut after a run of newlines.
TEST_F(TokenizerTest, LongTextsMatchSentencepiece) {
  sentencepiece::SentencePieceProcessor processor;
  ASSERT_TRUE(processor
                  .LoadFromSerializedProto(SerializeModelProto(
                      *VocabularyFromGguf(forms_.gguf(), kPath)))
                  .ok());
  const auto expect_as_one = [&](const std::string& text) {
    std::vector<int> expected;
    ASSERT_TRUE(processor.Encode(text, &expected).ok());
    ASSERT_EQ(*gguf_.Encode(text), expected);
  };
  for (uint64_t seed = 0; seed < 2; ++seed) {
    expect_as_one(FuzzedText(seed, 30000));
  }
  for (size_t size = 32766; size < 32771; ++size) {
    const std::string text(size, 'x');
    expect_as_one(text);
    expect_as_one(text + "\n");
    expect_as_one(text + "\n\n\n\n\n\n\n\nthe");
    expect_as_one(text + "\n" + text + "\n\xE2\x96");
  }
  expect_as_one(std::string(70000, '\n'));
}

TEST_F(TokenizerTest, NeverCutsMergingNewlines) {
  Vocabulary vocabulary = *VocabularyFromGguf(forms_.gguf(), kPath);
  vocabulary.pieces.push_back({"\nthe", 0.0f, PieceType::kUserDefined});
  const Tokenizer tokenizer = Make(vocabulary);
  const Tokens tokens = *tokenizer.Encode(std::string(40000, '1') + "\nthe");
  EXPECT_EQ(tokens.size(), 40001u);
  EXPECT_EQ(tokenizer.Piece(tokens.back()), "\nthe");
}

TEST_F(TokenizerTest, RejectsLongLines) {
  const std::string text((size_t{1} << 25) + 1, 'x');
  EXPECT_THAT(gguf_.Encode(text).status().message(),
              HasSubstr("33554433 bytes without a newline"));
}

// Files may name tokens that have no row in the embedding table.
TEST_F(TokenizerTest, TokensBeyondTheTable) {
  Vocabulary vocabulary = *VocabularyFromGguf(forms_.gguf(), kPath);
  const size_t rows = vocabulary.pieces.size();
  vocabulary.pieces.push_back({"zyzzyva", 0.0f, PieceType::kUserDefined});
  vocabulary.pieces.push_back({"<image>", 0.0f, PieceType::kControl});
  const Tokenizer tokenizer = *MakeTokenizer(vocabulary, kPath, rows);
  const auto error = [&](std::string_view text) {
    return std::string(
        tokenizer.Encode(text, ControlTokens::kParse).status().message());
  };
  EXPECT_THAT(error("the zyzzyva"),
              HasSubstr(absl::StrCat("contains 'zyzzyva', token ", rows)));
  EXPECT_THAT(error("x<image>"), HasSubstr("contains '<image>', token "));
  EXPECT_EQ(*tokenizer.Encode("the <image>"), *gguf_.Encode("the <image>"));
  EXPECT_FALSE(tokenizer.Encode("zyzzyva").ok());
  EXPECT_EQ(tokenizer.impl().trie().num_tokens(), rows);  // for grammars
}

TEST_F(TokenizerTest, ServesManyThreads) {
  const std::string text = FuzzedText(1, 400);
  const Tokens expected = *gguf_.Encode(text);
  std::vector<Tokens> results(4);
  std::vector<std::thread> threads;
  for (Tokens& result : results) {
    threads.emplace_back([this, &text, &result] {
      for (int i = 0; i < 20; ++i) {
        result = *gguf_.Encode(text, ControlTokens::kAsText);
        gguf_.Decode(result);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Tokens& result : results) EXPECT_EQ(result, expected);
}

TEST_F(TokenizerTest, Moves) {
  Tokenizer first = Make(VocabularyFromGguf(forms_.gguf(), kPath));
  Tokenizer second = std::move(first);
  EXPECT_EQ(second.vocab_size(), forms_.tokens.size());
  first = std::move(second);
  EXPECT_EQ(first.Decode(*first.Encode("the")), "the");
}

}  // namespace
}  // namespace gemma::internal

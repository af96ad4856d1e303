#include <sentencepiece_processor.h>

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "src/base/utf8.h"
#include "src/text/tokenizer/tokenizer_impl.h"
#include "tests/support/model_proto.h"
#include "tests/support/toy_vocab.h"

namespace gemma::internal {
namespace {

class StreamDecoderTest : public testing::Test {
 protected:
  TokenId Byte(int byte) const {
    return static_cast<TokenId>(*tokenizer_.Find("<0x00>") + byte);
  }

  const VocabularyForms forms_ = ToyVocabulary();
  const Tokenizer tokenizer_ =
      *MakeTokenizer(*VocabularyFromGguf(forms_.gguf(), "toy"), "toy");
};

TEST_F(StreamDecoderTest, HoldsBackPartialCharacters) {
  StreamDecoder decoder(tokenizer_);
  EXPECT_EQ(decoder.Append(Byte(0xF0)), "");
  EXPECT_EQ(decoder.Append(Byte(0x9F)), "");
  EXPECT_EQ(decoder.Append(Byte(0x98)), "");
  EXPECT_EQ(decoder.Append(Byte(0x80)), "\U0001F600");
  EXPECT_EQ(decoder.Append(Byte('a')), "a");
  EXPECT_EQ(decoder.Finish(), "");
}

TEST_F(StreamDecoderTest, ReplacesWrongBytesImmediately) {
  StreamDecoder decoder(tokenizer_);
  EXPECT_EQ(decoder.Append(Byte(0x80)), "\uFFFD");
  EXPECT_EQ(decoder.Append(Byte(0xFF)), "\uFFFD");
  EXPECT_EQ(decoder.Append(Byte(0xC0)), "\uFFFD");
  EXPECT_EQ(decoder.Append(Byte(0xE2)), "");
  EXPECT_EQ(decoder.Append(Byte(0x96)), "");
  EXPECT_EQ(decoder.Append(Byte('a')), "\uFFFD\uFFFDa");
  EXPECT_EQ(decoder.Append(Byte(0xED)), "");  // a surrogate
  EXPECT_EQ(decoder.Append(Byte(0xA0)), "\uFFFD\uFFFD");
  EXPECT_EQ(decoder.Append(Byte(0xF4)), "");  // above U+10FFFF
  EXPECT_EQ(decoder.Append(Byte(0x90)), "\uFFFD\uFFFD");
  EXPECT_EQ(decoder.Append(Byte(0xC3)), "");
  EXPECT_EQ(decoder.Append(Byte(0xC3)), "\uFFFD");
  EXPECT_EQ(decoder.Append(Byte(0xA9)), "\u00E9");
}

TEST_F(StreamDecoderTest, FinishesAndStartsAgain) {
  StreamDecoder decoder(tokenizer_);
  EXPECT_EQ(decoder.Append(Byte(0xE2)), "");
  EXPECT_EQ(decoder.Append(Byte(0x96)), "");
  EXPECT_EQ(decoder.Finish(), "\uFFFD\uFFFD");
  EXPECT_EQ(decoder.Finish(), "");
  EXPECT_EQ(decoder.Append(Byte(0x81)), "\uFFFD");
  EXPECT_EQ(decoder.Append(*tokenizer_.Find("\u2581the")), " the");
}

TEST_F(StreamDecoderTest, OtherTokensEndCharacter) {
  StreamDecoder decoder(tokenizer_);
  EXPECT_EQ(decoder.Append(Byte(0xC3)), "");
  EXPECT_EQ(decoder.Append(tokenizer_.eos()), "\uFFFD");
  EXPECT_EQ(decoder.Append(Byte(0xC3)), "");
  EXPECT_EQ(decoder.Append(*tokenizer_.Find("the")), "\uFFFDthe");
  EXPECT_EQ(decoder.Append(Byte(0xC3)), "");
  EXPECT_EQ(decoder.Append(-5), "\uFFFD");
}

// sentencepiece's decoder is the reference. Each call must return whole
// characters, and together they must equal the reference's text.
TEST_F(StreamDecoderTest, RandomTokensEqualSentencepiece) {
  sentencepiece::SentencePieceProcessor processor;
  ASSERT_TRUE(processor
                  .LoadFromSerializedProto(SerializeModelProto(
                      *VocabularyFromGguf(forms_.gguf(), "toy")))
                  .ok());
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    const bool valid_only = round % 2 == 0;
    std::vector<TokenId> tokens;
    for (size_t n = random() % 40; n > 0; --n) {
      const uint32_t kind = random() % 4;
      TokenId token = static_cast<TokenId>(random() % tokenizer_.vocab_size());
      if (kind == 1) token = Byte(0x80 + static_cast<int>(random() % 0x80));
      if (kind == 2) {  // bytes near the limits of UTF-8
        constexpr int kBytes[] = {0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0,
                                  0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xE2,
                                  0xED, 0xEF, 0xF0, 0xF3, 0xF4, 0xF5};
        token = Byte(kBytes[random() % std::size(kBytes)]);
      }
      if (!valid_only && random() % 10 == 0) {
        token = static_cast<TokenId>(random()) % 1000;
      }
      if (token == 3) continue;  // sentencepiece prints the unknown token
      tokens.push_back(token);
    }

    StreamDecoder decoder(tokenizer_);
    std::string streamed;
    for (TokenId token : tokens) {
      const std::string part = decoder.Append(token);
      EXPECT_TRUE(IsValidUtf8(part));
      streamed += part;
    }
    streamed += decoder.Finish();
    ASSERT_TRUE(IsValidUtf8(streamed));
    ASSERT_EQ(streamed, tokenizer_.Decode(tokens));
    if (valid_only) {
      std::string expected;
      ASSERT_TRUE(
          processor
              .Decode(std::vector<int>(tokens.begin(), tokens.end()), &expected)
              .ok());
      ASSERT_EQ(streamed, expected) << round;
    }
  }
}

}  // namespace
}  // namespace gemma::internal

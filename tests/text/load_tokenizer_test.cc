#include "src/text/load_tokenizer.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "src/text/tokenizer_impl.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/model_proto.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_vocab.h"

namespace gemma::internal {
namespace {

using ::nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr TokenId kFree = 6;  // <unused0>

// A directory with the toy vocabulary as tokenizer.model, and these
// added_tokens_decoder.
absl::StatusOr<Tokenizer> LoadWith(const json& added) {
  const std::string directory = TestDirectory();
  WriteTinyDirectory(directory, TinyConfig("gemma"), TinyHfTensors("gemma"));
  WriteFile(directory + "/tokenizer.model", ToyVocabulary().model_proto);
  WriteFile(directory + "/tokenizer_config.json",
            json{{"added_tokens_decoder", added}}.dump());
  return Tokenizer::Load(directory);
}

json Named(std::string_view name, bool special = true) {
  return {{"content", name}, {"special", special}};
}

TEST(LoadTokenizer, FreePiecesGetNames) {
  const auto plain = LoadWith(json::object());
  ASSERT_EQ(ErrorOf(plain), "OK");
  ASSERT_EQ(plain->Piece(kFree), "<unused0>");
  ASSERT_EQ(plain->Piece(kFree + 1), "<unused1>");

  const auto named =
      LoadWith({{"6", Named("<|call|>")}, {"7", Named("two words", false)}});
  ASSERT_EQ(ErrorOf(named), "OK");
  EXPECT_EQ(named->Find("<|call|>"), kFree);
  EXPECT_TRUE(named->IsControl(kFree));
  EXPECT_EQ(*named->Encode("<|call|>", ControlTokens::kParse),
            std::vector<TokenId>{kFree});
  EXPECT_EQ(*named->Encode("two words"), std::vector<TokenId>{kFree + 1});
  EXPECT_EQ(named->Decode({kFree, kFree + 1}), "two words");
}

TEST(LoadTokenizer, OtherPiecesKeepNames) {
  const auto tokenizer = LoadWith({{"2", Named("<s>")},
                                   {"8", Named("<|other|>")},
                                   {"-1", Named("a")},
                                   {"99999999999", Named("b")},
                                   {"six", Named("c")},
                                   {"600", Named("d")}});
  ASSERT_EQ(ErrorOf(tokenizer), "OK");
  EXPECT_EQ(tokenizer->Piece(2), "<bos>");
  EXPECT_EQ(tokenizer->Piece(8), "<|fim_prefix|>");
}

TEST(LoadTokenizer, RefusesInvalidNames) {
  EXPECT_THAT(ErrorOf(LoadWith({{"6", Named("<bos>")}})),
              AllOf(HasSubstr("tokenizer.model"), HasSubstr("'<bos>'")));
  EXPECT_THAT(ErrorOf(LoadWith({{"6", Named("")}})),
              HasSubstr("at least one character"));
  EXPECT_THAT(ErrorOf(LoadWith({{"6", 7}})),
              HasSubstr("tokenizer_config.json"));
  EXPECT_THAT(ErrorOf(LoadWith({{"6", {{"content", 7}}}})),
              HasSubstr("content"));
  EXPECT_THAT(ErrorOf(LoadWith(json::array())),
              HasSubstr("added_tokens_decoder"));
}

}  // namespace
}  // namespace gemma::internal

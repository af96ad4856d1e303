// TOKEN=BIAS on the command line.

#include "tools/gemma/cli/logit_bias.h"

#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::tools {
namespace {

TEST(LogitBias, TakesIdOrPiece) {
  const NamedBias id = ParseLogitBias("017=-1.5").value();
  EXPECT_EQ(id.piece, "");
  EXPECT_EQ(id.token, 17);
  EXPECT_EQ(id.bias, -1.5f);
  EXPECT_EQ(ParseLogitBias("0=-inf").value().bias, -INFINITY);
  const NamedBias piece = ParseLogitBias("\"a=b\"=2e1").value();
  EXPECT_EQ(piece.piece, "a=b");
  EXPECT_EQ(piece.bias, 20.0f);
  EXPECT_EQ(ParseLogitBias("\"\"\"=1").value().piece, "\"");
}

TEST(LogitBias, NamesWhatIsWrong) {
  const auto error = [](const std::string& text) {
    return std::string(ParseLogitBias(text).status().message());
  };
  EXPECT_EQ(error("17"), "--logit-bias 17: '17' is not TOKEN=BIAS");
  EXPECT_EQ(error("the=1"),
            "--logit-bias the=1: 'the' is neither an id nor a piece in double "
            "quotes");
  EXPECT_EQ(error("5=much"),
            "--logit-bias 5=much: 'much' is neither a number nor -inf");
  for (const char* bad :
       {"", "=", "=1", "5=", "5=nan", "5=inf", "5=1e99", "-5=1", "+5=1", " 5=1",
        "5 =1", "5.0=1", "\"\"=1", "\"=1", "2147483648=1"}) {
    EXPECT_FALSE(ParseLogitBias(bad).ok()) << bad;
  }
}

TEST(LogitBias, FindsTokensInModel) {
  const std::string path = TestDirectory() + "/m.gguf";
  WriteFile(path, ScriptedModel({"\u2581two\u2581words", "a b", "="}, {}));
  const Model model = LoadOrDie(path, {.num_threads = 1});
  const auto find = [&](const std::vector<std::string>& texts) {
    return FindLogitBiases(texts, model);
  };
  const auto found = find({"\" two words\"=1", "\"a b\"=2", "\"=\"=3",
                           "\"\u2581two words\"=4", "\"<eos>\"=5", "9=6"});
  ASSERT_TRUE(found.ok()) << found.status();
  const TokenId expected[] = {
      kFirstPiece, kFirstPiece + 1, kFirstPiece + 2, kFirstPiece, 1, 9};
  ASSERT_EQ(found->size(), std::size(expected));
  for (size_t i = 0; i < found->size(); ++i) {
    EXPECT_EQ((*found)[i].token, expected[i]);
    EXPECT_EQ((*found)[i].bias, static_cast<float>(i + 1));
  }
  EXPECT_EQ(find({"\"two\"=1"}).status().message(),
            "--logit-bias \"two\"=1: 'two' is not a piece of the model's "
            "vocabulary");
  EXPECT_EQ(find({"9=1", "9999=1"}).status().message(),
            "--logit-bias 9999=1: '9999' is not a token from 0 to 262");
}

}  // namespace
}  // namespace gemma::tools

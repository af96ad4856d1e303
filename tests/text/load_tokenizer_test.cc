#include "src/text/tokenizer/load_tokenizer.h"

#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "src/text/tokenizer/tokenizer_impl.h"
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

// Also those of control tokens and of pieces that Gemma uses.
TEST(LoadTokenizer, IdsGiveNames) {
  const auto tokenizer = LoadWith({{"12", Named("<|im_start|>")},
                                   {"13", Named("<|im_end|>")},
                                   {"2", Named("<s>")},
                                   {"600", Named("beyond", false)}});
  ASSERT_EQ(ErrorOf(tokenizer), "OK");
  EXPECT_EQ(
      *tokenizer->Encode("<|im_start|>user<|im_end|>", ControlTokens::kParse),
      (std::vector<TokenId>{12, *tokenizer->Find("user"), 13}));
  EXPECT_EQ(tokenizer->Find("<start_of_turn>"), std::nullopt);
  EXPECT_EQ(tokenizer->Piece(2), "<s>");
  EXPECT_EQ(tokenizer->bos(), 2);
  EXPECT_TRUE(tokenizer->IsControl(2));
  EXPECT_EQ(tokenizer->vocab_size(), 601u);
  EXPECT_EQ(*tokenizer->Encode("beyond"), std::vector<TokenId>{600});
  EXPECT_EQ(tokenizer->Piece(599), "");
}

// The vocabulary of a directory with these files beside the weights.
absl::StatusOr<Tokenizer> LoadFiles(
    const std::vector<std::pair<std::string, std::string>>& files) {
  const std::string directory = TestDirectory();
  WriteTinyDirectory(directory, TinyConfig("gemma"), TinyHfTensors("gemma"));
  for (const auto& [name, text] : files) {
    WriteFile(directory + "/" + name, text);
  }
  return Tokenizer::Load(directory);
}

// The toy vocabulary as a tokenizer.json with these tokens added.
json ToyJson(const json& more) {
  const HfTokenizerData hf = ToyVocabulary().hf;
  json added = json::array();
  for (const AddedToken& token : hf.added) {
    added.push_back({{"content", token.content},
                     {"id", token.id},
                     {"special", token.special},
                     {"normalized", false}});
  }
  for (const json& token : more) added.push_back(token);
  json vocab = json::object();
  for (const auto& [piece, id] : hf.vocab) vocab[piece] = id;
  json merges = json::array();
  for (const auto& [left, right] : hf.merges) {
    merges.push_back({left, right});
  }
  return {{"added_tokens", added},
          {"normalizer",
           {{"type", "Replace"},
            {"pattern", {{"String", " "}}},
            {"content", "\u2581"}}},
          {"model",
           {{"type", "BPE"},
            {"byte_fallback", true},
            {"vocab", vocab},
            {"merges", merges}}}};
}

TokenId ToySize() {
  return static_cast<TokenId>(ToyVocabulary().tokens.size());
}

TEST(LoadTokenizer, JsonAddsToModel) {
  const TokenId end = ToySize();
  const json added = {
      {{"content", "zyzzyva"}, {"id", end + 2}},
      {{"content", "<|im_start|>"}, {"id", 12}, {"special", true}}};
  json fields = ToyJson(added);
  for (json& token : fields["added_tokens"]) {  // one name for each id
    if (token["content"] == "<start_of_turn>") token = added[1];
  }
  fields["model"]["vocab"].erase("<start_of_turn>");
  fields["model"]["vocab"]["<|im_start|>"] = 12;
  const std::string text = fields.dump();
  const auto both = LoadFiles({{"tokenizer.model", ToyVocabulary().model_proto},
                               {"tokenizer.json", text}});
  const auto alone = LoadFiles({{"tokenizer.json", text}});
  for (const auto& tokenizer : {both, alone}) {
    ASSERT_EQ(ErrorOf(tokenizer), "OK");
    EXPECT_EQ(tokenizer->vocab_size(), static_cast<size_t>(end) + 3);
    EXPECT_EQ(tokenizer->Encode("the zyzzyva")->back(), end + 2);
    EXPECT_EQ(*tokenizer->Encode("<|im_start|>", ControlTokens::kParse),
              std::vector<TokenId>{12});
    EXPECT_GT(tokenizer->Encode("<|im_start|>")->size(), 1u);
  }
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const std::string input = FuzzedText(seed, 20, {"zyzzyva", "<|im_start|>"});
    ASSERT_EQ(*both->Encode(input), *alone->Encode(input)) << input;
  }
}

// As in transformers, tokenizer.json counts, also where it has other pieces.
TEST(LoadTokenizer, JsonCountsBesideModel) {
  const std::string proto = ToyVocabulary().model_proto;
  json fields = ToyJson(json::array());
  const TokenId user = fields["model"]["vocab"]["user"];
  std::vector<json> kept;
  for (const json& merge : fields["model"]["merges"]) {
    const std::string product =
        merge[0].get<std::string>() + merge[1].get<std::string>();
    if (product.find("user") == std::string::npos) kept.push_back(merge);
  }
  fields["model"]["merges"] = kept;
  fields["model"]["vocab"].erase("user");
  fields["model"]["vocab"]["USER"] = user;
  const auto tokenizer = LoadFiles(
      {{"tokenizer.model", proto}, {"tokenizer.json", fields.dump()}});
  ASSERT_EQ(ErrorOf(tokenizer), "OK");
  EXPECT_EQ(tokenizer->Piece(user), "USER");

  fields["normalizer"] = {{"type", "NFC"}};
  EXPECT_THAT(ErrorOf(LoadFiles({{"tokenizer.model", proto},
                                 {"tokenizer.json", fields.dump()}})),
              HasSubstr("'normalizer.type' is the string 'NFC'"));
}

TEST(LoadTokenizer, ReadsAddedTokensJson) {
  const TokenId end = ToySize();
  const json added = {{"zyzzyva", end}, {"[turn]", end + 1}};
  const json config = {{"additional_special_tokens", {"[turn]"}},
                       {"eos_token", "[turn]"}};
  const auto tokenizer =
      LoadFiles({{"tokenizer.model", ToyVocabulary().model_proto},
                 {"added_tokens.json", added.dump()},
                 {"tokenizer_config.json", config.dump()}});
  ASSERT_EQ(ErrorOf(tokenizer), "OK");
  EXPECT_EQ(*tokenizer->Encode("zyzzyva"), std::vector<TokenId>{end});
  EXPECT_TRUE(tokenizer->IsControl(end + 1));
  EXPECT_EQ(tokenizer->eos(), end + 1);
  EXPECT_THAT(
      ErrorOf(LoadFiles({{"tokenizer.model", ToyVocabulary().model_proto},
                         {"added_tokens.json", R"({"x": -1})"}})),
      HasSubstr("added_tokens.json: the added token 'x' has the id -1"));
}

// A token of a tokenizer.model can have the flags of tokenizers, too.
TEST(LoadTokenizer, ModelHonoursFlags) {
  json word = Named("the", false);
  word["single_word"] = true;
  const std::string id = std::to_string(ToySize());
  json left = Named("<|l|>");
  left["lstrip"] = true;
  const TokenId the = *LoadWith(json::object())->Find("the");
  const auto tokenizer = LoadWith({{std::to_string(the), word}, {id, left}});
  ASSERT_EQ(ErrorOf(tokenizer), "OK");
  EXPECT_EQ(*tokenizer->Encode("user.the"),
            (std::vector<TokenId>{*tokenizer->Find("user"),
                                  *tokenizer->Find("."), the}));
  EXPECT_EQ(*tokenizer->Encode("user  <|l|>", ControlTokens::kParse),
            (std::vector<TokenId>{*tokenizer->Find("user"), ToySize()}));
}

TEST(LoadTokenizer, RefusesInvalidNames) {
  EXPECT_THAT(ErrorOf(LoadWith({{"6", Named("<bos>")}})),
              AllOf(HasSubstr("tokenizer.model"), HasSubstr("'<bos>'")));
  EXPECT_THAT(ErrorOf(LoadWith({{"6", Named("")}})),
              HasSubstr("wanted a text and an id"));
  EXPECT_THAT(ErrorOf(LoadWith({{"-1", Named("a")}})), HasSubstr("id -1"));
  EXPECT_THAT(ErrorOf(LoadWith({{"99999999999", Named("a")}})),
              HasSubstr("id 99999999999, wanted"));
  EXPECT_THAT(ErrorOf(LoadWith({{"six", Named("a")}})),
              HasSubstr("has the key 'six', wanted the id of a token"));
  EXPECT_THAT(ErrorOf(LoadWith({{"40", Named("a")}})),
              HasSubstr("belongs to the byte piece '<0x"));
  EXPECT_THAT(ErrorOf(LoadWith({{"6", 7}})),
              HasSubstr("tokenizer_config.json"));
  EXPECT_THAT(ErrorOf(LoadWith({{"6", {{"content", 7}}}})),
              HasSubstr("content"));
  EXPECT_THAT(ErrorOf(LoadWith(json::array())),
              HasSubstr("added_tokens_decoder"));
}

// Gemma's sentencepiece models put no blank before a text, so files without the
// key mean none. llama.cpp's default is one.
TEST(LoadTokenizer, MissingPrefixMeansNone) {
  const std::string blank = "\u2581";
  const std::vector<std::string> pieces = {"a",   "b",          "ab",
                                           blank, blank + "ab", "<|user|>"};
  constexpr TokenId kWord = kFirstPiece + 2;
  constexpr TokenId kBlankAndWord = kFirstPiece + 4;
  constexpr TokenId kUser = kFirstPiece + 5;
  for (const char* architecture : kArchitectures) {
    const auto load = [&](std::optional<bool> add_space_prefix) {
      GgufWriter gguf = TinyGgufKeys(architecture);
      AddTokenizer(pieces, gguf, add_space_prefix);
      TinyTensors tensors = TinyGgufTensors(architecture);
      Find(tensors, "token_embd.weight") =
          MakeTensor("token_embd.weight", {kFirstPiece + pieces.size(), 8});
      AddTensors(tensors, gguf);
      const std::string path = TestDirectory() + "/m.gguf";
      WriteFile(path, gguf.Finish());
      return Tokenizer::Load(path);
    };
    for (const std::optional<bool> key : {std::optional<bool>(), {false}}) {
      const auto tokenizer = load(key);
      ASSERT_EQ(ErrorOf(tokenizer), "OK") << architecture;
      EXPECT_EQ(*tokenizer->Encode("ab"), std::vector<TokenId>{kWord});
      // As between the turns of a chat.
      EXPECT_EQ(*tokenizer->Encode("<|user|>ab ab", ControlTokens::kParse),
                (std::vector<TokenId>{kUser, kWord, kBlankAndWord}));
    }
    EXPECT_EQ(*load(true)->Encode("ab"), std::vector<TokenId>{kBlankAndWord});
  }
}

// tools/reference/gemma4_chat.py writes the tokens that tokenizers gives.
TEST(LoadTokenizer, Gemma4FormsAgree) {
  const std::string testdata = GEMMA_TESTDATA_DIR;
  const std::string folder = testdata + "/models/gemma4_chat";
  const json texts = json::parse(std::ifstream(folder + "/texts.json"));
  const auto from_json = Tokenizer::Load(folder);
  const auto from_gguf = Tokenizer::Load(testdata + "/gguf/gemma4_chat.gguf");
  ASSERT_EQ(ErrorOf(from_json), "OK");
  ASSERT_EQ(ErrorOf(from_gguf), "OK");
  for (const Tokenizer& tokenizer : {*from_json, *from_gguf}) {
    for (const json& text : texts) {
      EXPECT_EQ(*tokenizer.Encode(text[0].get<std::string>()),
                text[1].get<std::vector<TokenId>>())
          << text[0];
    }
    // Also the tokens that GGUF files call user-defined are control tokens.
    const auto parsed = tokenizer.Encode(
        "<|channel>thought\n<channel|>x<turn|>", ControlTokens::kParse);
    EXPECT_TRUE(tokenizer.IsControl((*parsed)[0]));
    EXPECT_EQ((*parsed)[0], *tokenizer.Find("<|channel>"));
    EXPECT_EQ(tokenizer.Decode(*parsed), "<|channel>thought\n<channel|>x");
    EXPECT_EQ(tokenizer.Decode({*tokenizer.Find("</b>")}), "</b>");
  }
  EXPECT_EQ(from_json->impl().vocabulary().pieces,
            from_gguf->impl().vocabulary().pieces);
}

}  // namespace
}  // namespace gemma::internal

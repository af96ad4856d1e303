// Binding of the files' tensors to the model, and the effects of LoadOptions.

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/config_text.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

absl::StatusOr<Model> Load(const std::string& path) {
  return Model::Load(path, {.num_threads = 1, .prefill_chunk = 4});
}

std::string WeightsError(const std::string& path) {
  return ErrorOf(Load(path).status());
}

std::string HfError(const json& config, const TinyTensors& tensors) {
  const std::string directory = TestDirectory();
  WriteTinyDirectory(directory, config, tensors);
  const std::string error = WeightsError(directory);
  if (error != "OK") {
    EXPECT_THAT(error, StartsWith(directory));
  }
  return error;
}

std::string GgufError(const std::string& architecture,
                      const TinyTensors& tensors) {
  GgufWriter gguf = TinyGgufKeys(architecture);
  AddTensors(tensors, gguf);
  const std::string path = TestDirectory() + "/m.gguf";
  WriteFile(path, gguf.Finish());
  const std::string error = WeightsError(path);
  if (error != "OK") {
    EXPECT_THAT(error, StartsWith(path));
  }
  return error;
}

const std::vector<TokenId> kThreeTokens = {2, 5, 3};

std::vector<float> HfLogits(const json& config, const TinyTensors& tensors) {
  const std::string directory = TestDirectory();
  WriteTinyDirectory(directory, config, tensors);
  return AllLogits(LoadOrDie(directory, {.num_threads = 1}), kThreeTokens);
}

TEST(Weights, EveryTensorIsNeeded) {
  for (const char* type : kModelTypes) {
    const TinyTensors all = TinyHfTensors(type);
    for (size_t i = 0; i < all.size(); ++i) {
      TinyTensors some = all;
      some.erase(some.begin() + i);
      EXPECT_THAT(HfError(TinyConfig(type), some),
                  HasSubstr("no tensor '" + all[i].name + "'"))
          << type;
      // A slightly wrong name.
      some = all;
      some[i].name += "s";
      EXPECT_THAT(HfError(TinyConfig(type), some),
                  HasSubstr("no tensor '" + all[i].name + "'"))
          << type;
    }
  }
  for (const char* architecture : kArchitectures) {
    const TinyTensors all = TinyGgufTensors(architecture);
    for (size_t i = 0; i < all.size(); ++i) {
      TinyTensors some = all;
      some.erase(some.begin() + i);
      EXPECT_THAT(GgufError(architecture, some),
                  HasSubstr("no tensor '" + all[i].name + "'"))
          << architecture;
    }
  }
}

// A tensor with one more row, or with the same number of values in another
// shape.
TEST(Weights, EveryShapeIsChecked) {
  for (const char* type : kModelTypes) {
    const TinyTensors all = TinyHfTensors(type);
    for (size_t i = 0; i < all.size(); ++i) {
      std::vector<uint64_t> larger = all[i].shape;
      ++larger.front();
      std::vector<uint64_t> longer = all[i].shape;
      longer.push_back(2);
      for (const auto& shape : {larger, longer}) {
        TinyTensors changed = all;
        changed[i] = MakeTensor(all[i].name, shape);
        EXPECT_THAT(HfError(TinyConfig(type), changed),
                    AllOf(HasSubstr("/model.safetensors: tensor '" +
                                    all[i].name + "' is ["),
                          HasSubstr("], the configuration needs [")))
            << type;
      }
    }
  }
}

TEST(Weights, MessageNamesBothShapes) {
  TinyTensors tensors = TinyHfTensors("gemma");
  const std::string name = "model.layers.1.mlp.down_proj.weight";
  Find(tensors, name) = MakeTensor(name, {6, 8});
  EXPECT_THAT(HfError(TinyConfig("gemma"), tensors),
              HasSubstr("/model.safetensors: tensor '" + name +
                        "' is [6, 8], the configuration needs [8, 6]"));
  tensors = TinyGgufTensors("recurrentgemma");
  Find(tensors, "blk.0.rec_gate_in.weight") =
      MakeTensor("blk.0.rec_gate_in.weight", {4, 4, 2});
  EXPECT_THAT(GgufError("recurrentgemma", tensors),
              HasSubstr("m.gguf: tensor 'blk.0.rec_gate_in.weight' is "
                        "[4, 4, 2], the configuration needs [2, 4, 4]"));
}

TEST(Weights, OtherTensorsAreIgnored) {
  for (const char* type : kModelTypes) {
    TinyTensors tensors = TinyHfTensors(type);
    const std::vector<float> expected = HfLogits(TinyConfig(type), tensors);
    tensors.push_back(MakeTensor("vision_tower.patch_embed.weight", {3, 5}));
    tensors.push_back(MakeTensor("model.layers.2.norm.weight", {8}));
    tensors.push_back(MakeTensor("scalar", {}));
    EXPECT_EQ(HfLogits(TinyConfig(type), tensors), expected) << type;
  }
}

TEST(Weights, NamePrefixesSameLogits) {
  const TinyTensors tensors = TinyHfTensors("gemma3_text");
  const json config = TinyConfig("gemma3_text");
  const std::vector<float> expected = HfLogits(config, tensors);
  for (const std::string prefix :
       {"", "language_model.model.", "model.language_model."}) {
    TinyTensors renamed = tensors;
    for (TinyTensor& tensor : renamed) {
      tensor.name = prefix + tensor.name.substr(std::string("model.").size());
    }
    EXPECT_EQ(HfLogits(config, renamed), expected) << prefix;
  }
}

// The notes of a model with these files.
std::vector<std::string> HfNotes(const json& config,
                                 const TinyTensors& tensors) {
  const std::string directory = TestDirectory();
  WriteTinyDirectory(directory, config, tensors);
  return LoadOrDie(directory, {.num_threads = 1}).notes();
}

// transformers uses a head with other values even if the configuration says
// that it is the embedding, and warns.
TEST(Weights, OtherHeadIsUsed) {
  json config = TinyConfig("gemma3_text");
  const TinyTensors tensors = TinyHfTensors("gemma3_text");
  const std::vector<float> tied = HfLogits(config, tensors);
  std::vector<float> twice = tied;
  for (float& logit : twice) logit *= -2.0f;
  for (const std::string name :
       {"lm_head.weight", "language_model.lm_head.weight",
        "model.language_model.lm_head.weight", "model.lm_head.weight"}) {
    TinyTensors with_head = tensors;
    TinyTensor head = Find(with_head, "model.embed_tokens.weight");
    head.name = name;
    with_head.push_back(head);
    config.erase("tie_word_embeddings");
    EXPECT_EQ(HfLogits(config, with_head), tied) << name;
    EXPECT_THAT(HfNotes(config, with_head), IsEmpty()) << name;

    for (float& value : with_head.back().values) value *= -2.0f;
    EXPECT_EQ(HfLogits(config, with_head), twice) << name;
    config["tie_word_embeddings"] = true;
    EXPECT_EQ(HfLogits(config, with_head), twice) << name;
    EXPECT_THAT(HfNotes(config, with_head),
                ElementsAre(HasSubstr(
                    "'" + name +
                    "' differs from 'model.embed_tokens.weight' and is used as "
                    "the head, although tie_word_embeddings is true")));
    config["tie_word_embeddings"] = false;
    EXPECT_EQ(HfLogits(config, with_head), twice) << name;
    EXPECT_THAT(HfNotes(config, with_head), IsEmpty()) << name;
  }
}

TEST(Weights, OneValueMakesHead) {
  TinyTensors tensors = TinyHfTensors("gemma");
  TinyTensor head = Find(tensors, "model.embed_tokens.weight");
  head.name = "lm_head.weight";
  head.values.back() += 1.0f;
  tensors.push_back(head);
  EXPECT_THAT(HfNotes(TinyConfig("gemma"), tensors),
              ElementsAre(HasSubstr("differs from")));
}

// A file of tied weights may hold them under the head's name only.
TEST(Weights, HeadAloneIsTied) {
  for (const char* type : kModelTypes) {
    TinyTensors tensors = TinyHfTensors(type);
    const std::vector<float> expected = HfLogits(TinyConfig(type), tensors);
    TinyTensor& table = Find(tensors, "model.embed_tokens.weight");
    for (const char* name : {"lm_head.weight", "model.lm_head.weight"}) {
      table.name = name;
      EXPECT_EQ(HfLogits(TinyConfig(type), tensors), expected) << type;
      EXPECT_THAT(HfNotes(TinyConfig(type), tensors), IsEmpty()) << type;
    }
    json untied = TinyConfig(type);
    untied["tie_word_embeddings"] = false;
    EXPECT_THAT(HfError(untied, tensors),
                HasSubstr("no tensor 'model.embed_tokens.weight'"));
  }
  TinyTensors tensors = TinyGgufTensors("gemma3");
  Find(tensors, "token_embd.weight").name = "output.weight";
  EXPECT_EQ(GgufError("gemma3", tensors), "OK");
}

TEST(Weights, UnusedTensorsAreNoted) {
  TinyTensors tensors = TinyHfTensors("gemma2");
  tensors.push_back(MakeTensor("vision_tower.patch_embed.weight", {3, 5}));
  tensors.push_back(MakeTensor("model.rotary_emb.inv_freq", {4}));
  EXPECT_THAT(HfNotes(TinyConfig("gemma2"), tensors), IsEmpty());
  tensors.push_back(MakeTensor("model.layers.0.self_attn.q_proj.bias", {8}));
  EXPECT_THAT(HfNotes(TinyConfig("gemma2"), tensors),
              ElementsAre(HasSubstr("1 tensors have no use in this model, for "
                                    "example 'model.layers.0.self_attn.q_proj."
                                    "bias'")));
  // Ollama's files hold the vision tower too.
  GgufWriter gguf = TinyGgufKeys("gemma3");
  TinyTensors both = TinyGgufTensors("gemma3");
  both.push_back(MakeTensor("v.patch_embedding.weight", {4, 8}));
  both.push_back(MakeTensor("mm.input_projection.weight", {4, 8}));
  AddTensors(both, gguf);
  const std::string path = TestDirectory() + "/m.gguf";
  WriteFile(path, gguf.Finish());
  EXPECT_THAT(
      LoadOrDie(path, {.num_threads = 1}).notes(),
      ElementsAre(path + ": skips towers for images or sound (2 tensors)"));
}

TEST(Weights, MissingHeadIsRefused) {
  json config = TinyConfig("gemma");
  config["tie_word_embeddings"] = false;
  EXPECT_THAT(HfError(config, TinyHfTensors("gemma")),
              HasSubstr("no tensor 'lm_head.weight'"));
}

TEST(Weights, HeadShapeEqualsTable) {
  json config = TinyConfig("gemma");
  config["tie_word_embeddings"] = false;
  TinyTensors tensors = TinyHfTensors("gemma");
  tensors.push_back(MakeTensor("lm_head.weight", {9, 8}));
  EXPECT_THAT(HfError(config, tensors),
              HasSubstr("'lm_head.weight' is [9, 8], the configuration needs "
                        "[8, 8]"));
  tensors = TinyGgufTensors("gemma3");
  tensors.push_back(MakeTensor("output.weight", {7, 8}));
  EXPECT_THAT(GgufError("gemma3", tensors),
              HasSubstr("'output.weight' is [7, 8]"));
}

TEST(Weights, VocabularyMustFitTable) {
  for (const int size : {7, 9}) {
    json config = TinyConfig("gemma");
    config["vocab_size"] = size;
    EXPECT_THAT(HfError(config, TinyHfTensors("gemma")),
                HasSubstr("'model.embed_tokens.weight' is [8, 8], the "
                          "configuration needs [" +
                          std::to_string(size) + ", 8]"));
  }
}

TEST(Weights, TokenizerMustFitTable) {
  GgufWriter gguf = TinyGgufKeys("gemma");
  AddTokenizer({"a", "b"}, gguf);  // 262 pieces
  TinyTensors tensors = TinyGgufTensors("gemma");
  const std::string path = TestDirectory() + "/m.gguf";
  for (const uint64_t rows : {260, 261, 262, 263}) {
    GgufWriter file = gguf;
    Find(tensors, "token_embd.weight") =
        MakeTensor("token_embd.weight", {rows, 8});
    AddTensors(tensors, file);
    WriteFile(path, file.Finish());
    if (rows >= 262) {
      EXPECT_EQ(WeightsError(path), "OK");
    } else {
      EXPECT_THAT(WeightsError(path),
                  StartsWith(path +
                             ": the tokenizer has 262 tokens, the embedding "
                             "table only " +
                             std::to_string(rows) + ", and token "));
    }
  }
}

// Such as <image_soft_token>, which files name one past the table.
TEST(Weights, AddedTokensBeyondTable) {
  GgufWriter gguf = TinyGgufKeys("gemma");
  AddTokenizer({"<image_soft_token>"}, gguf);  // 261 pieces
  TinyTensors tensors = TinyGgufTensors("gemma");
  Find(tensors, "token_embd.weight") =
      MakeTensor("token_embd.weight", {260, 8});
  AddTensors(tensors, gguf);
  const std::string path = TestDirectory() + "/m.gguf";
  WriteFile(path, gguf.Finish());
  const absl::StatusOr<Model> model = Load(path);
  ASSERT_EQ(ErrorOf(model.status()), "OK");
  EXPECT_EQ(AllLogits(*model, {2, 7, 4}).size(), 3u * 260);
  const Tokenizer& tokenizer = **model->tokenizer();
  EXPECT_EQ(tokenizer.vocab_size(), 261u);
  EXPECT_THAT(
      ErrorOf(tokenizer.Encode("<image_soft_token>", ControlTokens::kParse)),
      HasSubstr("contains '<image_soft_token>', token 260"));
  EXPECT_EQ(ErrorOf(tokenizer.Encode("<image_soft_token>")), "OK");
}

// A Gemma 3 whose table has a row for each of 264 pieces: those of AddTokenizer
// before kFirstPiece, a blank, "a", "b" and "ab".
struct HfPieces {
  static constexpr TokenId kBlank = kFirstPiece;
  static constexpr TokenId kB = kFirstPiece + 2;
  static constexpr TokenId kAB = kFirstPiece + 3;
  static constexpr TokenId kEnd = kFirstPiece + 4;

  HfPieces() {
    config["vocab_size"] = kEnd;
    Find(tensors, "model.embed_tokens.weight") =
        MakeTensor("model.embed_tokens.weight", {uint64_t{kEnd}, 8});
  }

  // Writes the model, with `more` tokens after those of the table: transformers
  // writes such files after training Gemma 3 270M, 1B or EmbeddingGemma.
  std::string Write(const json& more) const {
    json added = json::array();
    json vocab;
    for (const char* name : {"<pad>", "<eos>", "<bos>", "<unk>"}) {
      added.push_back(
          {{"id", added.size()}, {"content", name}, {"special", true}});
      vocab[name] = vocab.size();
    }
    added.insert(added.end(), more.begin(), more.end());
    for (int byte = 0; byte < 256; ++byte) {
      vocab[absl::StrFormat("<0x%02X>", byte)] = vocab.size();
    }
    for (const char* piece : {"\u2581", "a", "b", "ab"}) {
      vocab[piece] = vocab.size();
    }
    const json tokenizer = {
        {"added_tokens", added},
        {"normalizer",
         {{"type", "Replace"},
          {"pattern", {{"String", " "}}},
          {"content", "\u2581"}}},
        {"model",
         {{"type", "BPE"},
          {"unk_token", "<unk>"},
          {"byte_fallback", true},
          {"vocab", vocab},
          {"merges", json::array({json::array({"a", "b"})})}}}};
    const std::string directory = TestDirectory();
    WriteTinyDirectory(directory, config, tensors);
    WriteFile(directory + "/tokenizer.json", tokenizer.dump());
    return directory;
  }

  json config = TinyConfig("gemma3_text");
  TinyTensors tensors = TinyHfTensors("gemma3_text");
};

const json kImageToken = {{"id", HfPieces::kEnd},
                          {"content", "<image_soft_token>"},
                          {"special", true}};

TEST(Weights, FolderTokensBeyondTable) {
  const HfPieces files;
  const std::vector<float> expected = HfLogits(files.config, files.tensors);
  const json plain = {{"id", HfPieces::kEnd + 1}, {"content", "beyond"}};
  const Model model =
      LoadOrDie(files.Write(json::array({kImageToken, plain})), {});
  EXPECT_EQ(AllLogits(model, kThreeTokens), expected);
  const Tokenizer& tokenizer = **model.tokenizer();
  EXPECT_EQ(tokenizer.vocab_size(), 266u);
  EXPECT_EQ(
      *tokenizer.Encode("ab b"),
      (std::vector<TokenId>{HfPieces::kAB, HfPieces::kBlank, HfPieces::kB}));
  const auto error = [&](std::string_view text) {
    return ErrorOf(tokenizer.Encode(text, ControlTokens::kParse));
  };
  EXPECT_EQ(error("ab<image_soft_token>"),
            "the text contains '<image_soft_token>', token 264: the embedding "
            "table has rows only for tokens 0 to 263");
  EXPECT_THAT(error("a beyond"), HasSubstr("contains 'beyond', token 265: "));
}

TEST(Weights, EmbedderTokensBeyondTable) {
  HfPieces files;
  files.config["use_bidirectional_attention"] = true;
  const auto vector = [&](const json& more) {
    const Model model = LoadOrDie(files.Write(more), {});
    EXPECT_EQ((*model.tokenizer())->vocab_size(), 264 + more.size());
    return Embedder::Create(model)->Embed({"ab b"})->values;
  };
  const std::vector<float> expected = vector(json::array());
  EXPECT_EQ(expected.size(), 8u);
  EXPECT_EQ(vector(json::array({kImageToken})), expected);
}

// A model with this vocabulary (AddTokenizer), as the bytes of its file.
std::string ModelWithPieces(const std::vector<std::string>& pieces) {
  GgufWriter gguf = TinyGgufKeys("gemma");
  AddTokenizer(pieces, gguf);
  TinyTensors tensors = TinyGgufTensors("gemma");
  Find(tensors, "token_embd.weight") =
      MakeTensor("token_embd.weight", {260 + pieces.size(), 8});
  AddTensors(tensors, gguf);
  const Bytes bytes = gguf.Finish();
  return std::string(bytes.begin(), bytes.end());
}

// Replaces four bytes, `offset` bytes after the type of a key.
void SetNumber(std::string_view key, size_t offset, uint32_t value,
               std::string& file) {
  const size_t at = file.find(key) + key.size() + 4 + offset;
  file.replace(at, 4, reinterpret_cast<const char*>(&value), 4);
}

// Ids that mean "none" in some files, and others that no token has.
TEST(Weights, BadSpecialIdsNoted) {
  const std::string path = TestDirectory() + "/m.gguf";
  const std::string good = ModelWithPieces({"a", "b"});
  for (const std::string role : {"bos", "eos", "unknown", "padding"}) {
    for (const uint32_t id : {uint32_t{0xFFFFFFFF}, uint32_t{262}}) {
      const std::string key = "tokenizer.ggml." + role + "_token_id";
      std::string file = good;
      SetNumber(key, 0, id, file);
      WriteFile(path, file);
      const absl::StatusOr<Model> model = Load(path);
      ASSERT_EQ(ErrorOf(model.status()), "OK");
      EXPECT_THAT(model->notes(),
                  testing::ElementsAre(HasSubstr(
                      key + " is " + std::to_string(id) + ", wanted")));
      EXPECT_EQ(model->config().bos_token, 2);
      EXPECT_EQ((*model->tokenizer())->bos(), 2);
      EXPECT_THAT(model->config().stop_tokens, Contains(1));
    }
  }
}

// The control token that ends the turns of ChatML ends an answer.
TEST(Weights, ChatMlEndStops) {
  const std::string path = TestDirectory() + "/m.gguf";
  std::string file = ModelWithPieces({"<|im_end|>"});
  // The type of the last token: after the array's type and size.
  SetNumber("tokenizer.ggml.token_type", 12 + 4 * 260, 1, file);
  WriteFile(path, file);
  EXPECT_THAT(LoadOrDie(path, {}).config().stop_tokens,
              testing::Not(Contains(kFirstPiece)));
  SetNumber("tokenizer.ggml.token_type", 12 + 4 * 260, 3, file);
  WriteFile(path, file);
  EXPECT_THAT(LoadOrDie(path, {}).config().stop_tokens, Contains(kFirstPiece));
}

TEST(Weights, BrokenTokenizerIsRefused) {
  const std::string directory = TestDirectory();
  WriteTinyDirectory(directory, TinyConfig("gemma"), TinyHfTensors("gemma"));
  for (const char* name : {"tokenizer.json", "tokenizer.model"}) {
    for (const char* text : {"", "{}", "\x01\x02\x03"}) {
      WriteFile(directory + "/" + name, text);
      EXPECT_THAT(WeightsError(directory), StartsWith(directory + "/" + name));
      std::filesystem::remove(directory + "/" + name);
    }
  }
}

TEST(Weights, ModelWithoutTokenizerComputes) {
  const std::string directory = TestDirectory();
  WriteTinyDirectory(directory, TinyConfig("gemma"), TinyHfTensors("gemma"));
  const std::string file = directory + "/m.gguf";
  WriteFile(file, TinyGgufModel("gemma"));
  for (const auto& [path, wanted] :
       {std::pair<std::string, std::string>{directory, "tokenizer.model"},
        {file, "tokenizer.ggml.tokens"}}) {
    const absl::StatusOr<Model> model = Load(path);
    ASSERT_EQ(ErrorOf(model.status()), "OK");
    EXPECT_EQ(AllLogits(*model, kThreeTokens).size(), 24u);
    EXPECT_TRUE(absl::IsFailedPrecondition(model->tokenizer().status()));
    EXPECT_THAT(ErrorOf(model->tokenizer().status()),
                AllOf(StartsWith(path), HasSubstr(wanted)));
    EXPECT_TRUE(absl::IsFailedPrecondition(model->chat_template().status()));
    EXPECT_FALSE(model->is_instruction_tuned());
  }
}

TEST(Weights, MissingShardIsNamed) {
  const std::string directory = TestDirectory();
  const std::string source = ToyPath("gemma2_sharded");
  for (const char* name : {"config.json", "model.safetensors.index.json",
                           "model-00001-of-00002.safetensors"}) {
    std::filesystem::copy_file(source + "/" + name, directory + "/" + name);
  }
  EXPECT_THAT(WeightsError(directory),
              StartsWith(directory + "/model-00002-of-00002.safetensors: "));
  const std::string gguf = std::string(GEMMA_TESTDATA_DIR) + "/gguf/";
  for (const char* part : {"1", "3"}) {
    const std::string name =
        std::string("/gemma_mha-0000") + part + "-of-00003.gguf";
    std::filesystem::copy_file(gguf + name, directory + name);
  }
  EXPECT_THAT(WeightsError(directory + "/gemma_mha-00001-of-00003.gguf"),
              StartsWith(directory + "/gemma_mha-00002-of-00003.gguf: "));
}

TEST(Weights, OtherFilesAreRefused) {
  const std::string directory = TestDirectory();
  EXPECT_THAT(WeightsError(directory), StartsWith(directory + ": not a"));
  EXPECT_THAT(WeightsError(directory + "/none"),
              StartsWith(directory + "/none"));
  WriteFile(directory + "/m.gguf", "GGML");
  EXPECT_THAT(WeightsError(directory + "/m.gguf"),
              StartsWith(directory + "/m.gguf: not a"));
}

// ---------------------------------------------------------------------------
// Dimensions of size 1, which shapes may leave out

// A model of width 1; `norm` is the shape of its norms.
json NarrowConfig() {
  json config = TinyConfig("gemma");
  config["hidden_size"] = 1;
  config["intermediate_size"] = 32;
  return config;
}

TinyTensors NarrowTensors(const std::vector<uint64_t>& norm) {
  TinyTensors tensors = TinyHfTensors("gemma");
  for (TinyTensor& tensor : tensors) {
    std::vector<uint64_t> shape = tensor.shape;
    if (shape.size() == 1) {
      shape = norm;
    } else {
      for (uint64_t& size : shape) size = size == 6 ? 32 : size;
      // o_proj and down_proj output the residual stream, others read it.
      const bool gives = tensor.name.find("o_proj") != std::string::npos ||
                         tensor.name.find("down_proj") != std::string::npos;
      shape[gives ? 0 : 1] = 1;
    }
    tensor = MakeTensor(tensor.name, shape);
  }
  return tensors;
}

TEST(Weights, WidthOfOneLoads) {
  EXPECT_EQ(HfLogits(NarrowConfig(), NarrowTensors({1})).size(), 24u);
  EXPECT_EQ(HfLogits(NarrowConfig(), NarrowTensors({1, 1})).size(), 24u);
}

TEST(Weights, ShapelessNormIsRefused) {
  EXPECT_THAT(HfError(NarrowConfig(), NarrowTensors({})),
              HasSubstr("'model.norm.weight' is [], the configuration needs"));
}

TEST(Weights, ShapelessTableIsRefused) {
  json config = NarrowConfig();
  config["vocab_size"] = 0;
  TinyTensors tensors = NarrowTensors({1});
  const std::string name = "model.embed_tokens.weight";
  Find(tensors, name) = MakeTensor(name, {});
  EXPECT_NE(HfError(config, tensors), "OK");
}

// A row cannot hold one quantized value: blocks have 32.
TEST(Weights, RowsNeedWholeBlocks) {
  const auto key = [](const char* name) {
    return std::string("gemma.") + name;
  };
  GgufWriter gguf;
  gguf.String("general.architecture", "gemma")
      .Uint32(key("embedding_length"), 1)
      .Uint32(key("block_count"), 1)
      .Uint32(key("feed_forward_length"), 32)
      .Uint32(key("attention.head_count"), 2)
      .Uint32(key("attention.head_count_kv"), 1)
      .Uint32(key("attention.key_length"), 4);
  const TinyTensors tensors = {
      MakeTensor("token_embd.weight", {8, 1}),
      MakeTensor("output_norm.weight", {1}),
      MakeTensor("blk.0.attn_norm.weight", {1}),
      MakeTensor("blk.0.ffn_norm.weight", {1}),
      MakeTensor("blk.0.attn_q.weight", {8, 1}),
      MakeTensor("blk.0.attn_k.weight", {4, 1}),
      MakeTensor("blk.0.attn_v.weight", {4, 1}),
      MakeTensor("blk.0.attn_output.weight", {1, 8}),
      MakeTensor("blk.0.ffn_up.weight", {32, 1}),
      MakeTensor("blk.0.ffn_down.weight", {1, 32}),
  };
  AddTensors(tensors, gguf);
  // [1, 32] where the configuration needs [32, 1].
  gguf.Tensor("blk.0.ffn_gate.weight", {32, 1}, /*type: Q8_0*/ 8, Pattern(34));
  const std::string path = TestDirectory() + "/m.gguf";
  WriteFile(path, gguf.Finish());
  EXPECT_THAT(WeightsError(path), HasSubstr("'blk.0.ffn_gate.weight'"));
}

// If several tasks find bad rows, the error names the first row.
TEST(Weights, NamesFirstBadRow) {
  constexpr uint64_t kManyRows = 100000;  // about three tasks
  TinyTensors tensors = TinyGgufTensors("gemma");
  TinyTensor& table = Find(tensors, "token_embd.weight");
  table = MakeTensor("token_embd.weight", {kManyRows, 8});
  for (const size_t row : {size_t{7}, size_t{50000}, size_t{kManyRows - 1}}) {
    table.values[row * 8] = NAN;
  }
  GgufWriter gguf = TinyGgufKeys("gemma");
  AddTensors(tensors, gguf);
  const std::string path = TestDirectory() + "/m.gguf";
  WriteFile(path, gguf.Finish());
  LoadOptions options;
  options.quantize = WeightType::kBF16;
  for (const size_t threads : {1, 3}) {
    options.num_threads = threads;
    EXPECT_EQ(ErrorOf(Model::Load(path, options)),
              path +
                  ": tensor 'token_embd.weight' has a value in row 7 that is "
                  "not finite, and cannot be quantized");
  }
}

// As RowsNeedWholeBlocks, for gates: 32 strips of one channel.
TEST(Weights, GatesNeedWholeBlocks) {
  TinyTensors tensors = TinyGgufTensors("recurrentgemma");
  std::erase_if(tensors, [](const TinyTensor& t) {
    return t.name == "blk.0.rec_gate_in.weight";
  });
  const auto resize = [&](const std::string& name,
                          std::vector<uint64_t> shape) {
    Find(tensors, name) = MakeTensor(name, std::move(shape));
  };
  resize("blk.0.rec_x.weight", {32, 8});
  resize("blk.0.rec_y.weight", {32, 8});
  resize("blk.0.rec_out.weight", {8, 32});
  for (const char* name : {"blk.0.rec_x.bias", "blk.0.rec_y.bias",
                           "blk.0.rec_conv.bias", "blk.0.rec_a_param.weight"}) {
    resize(name, {32});
  }
  resize("blk.0.rec_conv.weight", {32, 4});
  resize("blk.0.rec_gate_a.weight", {32, 1, 1});
  resize("blk.0.rec_gate_in.bias", {32, 1});
  resize("blk.0.rec_gate_a.bias", {32, 1});
  resize("blk.1.attn_q.weight", {128, 8});
  resize("blk.1.attn_output.weight", {8, 128});
  GgufWriter gguf;
  gguf.String("general.architecture", "recurrentgemma")
      .Uint32("recurrentgemma.embedding_length", 8)
      .Uint32("recurrentgemma.block_count", 2)
      .Uint32("recurrentgemma.feed_forward_length", 6)
      .Uint32("recurrentgemma.attention.head_count", 32)
      .Uint32("recurrentgemma.attention.head_count_kv", 1)
      .Uint32("recurrentgemma.attention.key_length", 4)
      .Uint32("recurrentgemma.recurrent.lru_width", 32)
      .Strings("recurrentgemma.recurrent.block_types",
               {"recurrent", "attention"});
  AddTensors(tensors, gguf);
  const std::string path = TestDirectory() + "/m.gguf";
  GgufWriter whole = gguf;
  AddTensors({MakeTensor("blk.0.rec_gate_in.weight", {32, 1, 1})}, whole);
  WriteFile(path, whole.Finish());
  EXPECT_EQ(WeightsError(path), "OK");
  gguf.Tensor("blk.0.rec_gate_in.weight", {32}, /*type: Q8_0*/ 8, Pattern(34));
  WriteFile(path, gguf.Finish());
  EXPECT_THAT(WeightsError(path), HasSubstr("'blk.0.rec_gate_in.weight'"));
}

// ---------------------------------------------------------------------------
// Options

TEST(LoadOptions, ProgressReachesTotal) {
  for (const char* folder : {"gemma3", "recurrent_gemma", "gemma2_sharded"}) {
    std::vector<LoadProgress> reports;
    LoadOptions options;
    options.progress = [&](const LoadProgress& progress) {
      reports.push_back(progress);
      return true;
    };
    const Model model = LoadOrDie(ToyPath(folder), options);
    uint64_t total = 0;
    for (const TensorSummary& tensor : model.tensors()) total += tensor.bytes;
    ASSERT_FALSE(reports.empty());
    uint64_t last = 0;
    for (const LoadProgress& report : reports) {
      EXPECT_EQ(report.total_bytes, total);
      EXPECT_GE(report.done_bytes, last);
      EXPECT_LE(report.done_bytes, total);
      last = report.done_bytes;
    }
    EXPECT_EQ(last, total) << folder;
  }
}

TEST(LoadOptions, FalseFromProgressCancels) {
  size_t total = 0;
  LoadOptions options;
  options.progress = [&](const LoadProgress&) { return ++total != 0; };
  LoadOrDie(ToyPath("gemma"), options);
  for (const size_t last : {size_t{1}, size_t{5}, total}) {
    size_t calls = 0;
    options.progress = [&](const LoadProgress&) { return ++calls < last; };
    EXPECT_TRUE(
        absl::IsCancelled(Model::Load(ToyPath("gemma"), options).status()));
    EXPECT_EQ(calls, last);
  }
}

TEST(LoadOptions, OutlineEqualsLoadedModel) {
  for (const Toy& toy : AllToys()) {
    const Model loaded = LoadOrDie(ToyPath(toy.folder), {.num_threads = 2});
    LoadOptions options = {.num_threads = 2};
    options.skip_weights = true;
    options.progress = [](const LoadProgress&) { return false; };  // not called
    const Model outline = LoadOrDie(ToyPath(toy.folder), options);
    EXPECT_TRUE(outline.config().layers == loaded.config().layers);
    EXPECT_EQ(outline.config().embedding_scale,
              loaded.config().embedding_scale);
    EXPECT_EQ(outline.config().vocab_size, loaded.config().vocab_size);
    EXPECT_EQ(outline.config().stop_tokens, loaded.config().stop_tokens);
    EXPECT_EQ(outline.tensors().size(), loaded.tensors().size());
    EXPECT_EQ(outline.tokenizer().ok(), loaded.tokenizer().ok());
    for (const size_t tokens : {1, 1000}) {
      const MemoryUse found = outline.MemoryFor({.max_tokens = tokens});
      const MemoryUse want = loaded.MemoryFor({.max_tokens = tokens});
      EXPECT_GT(found.weights, 0u);
      EXPECT_EQ(found.weights, want.weights) << toy.folder;
      EXPECT_EQ(found.weights_per_token, want.weights_per_token) << toy.folder;
      EXPECT_EQ(found.cache, want.cache) << toy.folder;
      EXPECT_EQ(found.scratch, want.scratch) << toy.folder;
    }
  }
}

TEST(LoadOptions, OutlineHasNoSessions) {
  LoadOptions options;
  options.skip_weights = true;
  const Model outline = LoadOrDie(ToyPath("gemma"), options);
  EXPECT_TRUE(absl::IsFailedPrecondition(
      Session::Create(outline, {.max_tokens = 4}).status()));
}

TEST(LoadOptions, BeforeWeightsMayRefuse) {
  LoadOptions options;
  size_t calls = 0;
  uint64_t weights = 0;
  options.before_weights = [&](const Model& model) {
    ++calls;
    weights = model.MemoryFor({.max_tokens = 1}).weights;
    return absl::OkStatus();
  };
  const Model loaded = LoadOrDie(ToyPath("gemma"), options);
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(weights, loaded.MemoryFor({.max_tokens = 1}).weights);
  bool began = false;
  options.progress = [&](const LoadProgress&) { return began = true; };
  options.before_weights = [](const Model&) {
    return absl::ResourceExhaustedError("too large");
  };
  EXPECT_EQ(Model::Load(ToyPath("gemma"), options).status(),
            absl::ResourceExhaustedError("too large"));
  EXPECT_FALSE(began);
}

// The configuration includes the tokens that end a text, one of which only the
// tokenizer knows.

TEST(LoadOptions, BeforeWeightsFinalConfig) {
  const std::string path = TestDirectory() + "/m.gguf";
  WriteFile(path, ScriptedModel({"<end_of_turn>"}, {}));
  std::string seen;
  LoadOptions options;
  options.before_weights = [&](const Model& model) {
    seen = ConfigText(model.config());
    EXPECT_TRUE(model.tokenizer().ok());
    return absl::OkStatus();
  };
  const Model model = LoadOrDie(path, options);
  EXPECT_EQ(seen, ConfigText(model.config()));
  EXPECT_THAT(model.config().stop_tokens, Contains(kFirstPiece));
}

TEST(LoadOptions, RefusesOutOfRange) {
  const auto error = [](size_t threads, size_t chunk) {
    return ErrorOf(Model::Load(ToyPath("gemma"),
                               {.num_threads = threads, .prefill_chunk = chunk})
                       .status());
  };
  EXPECT_EQ(error(1025, 256), "num_threads is 1025, wanted 0 (all) to 1024");
  EXPECT_EQ(error(1, 0), "prefill_chunk is 0, wanted 1 to 8192");
  EXPECT_EQ(error(1, 8193), "prefill_chunk is 8193, wanted 1 to 8192");
  EXPECT_EQ(error(1, 1), "OK");
  EXPECT_EQ(error(3, 8192), "OK");
}

TEST(LoadOptions, UsesRequestedThreads) {
  EXPECT_EQ(LoadOrDie(ToyPath("gemma"), {.num_threads = 3}).num_threads(), 3u);
  EXPECT_GE(LoadOrDie(ToyPath("gemma"), {}).num_threads(), 1u);
}

}  // namespace
}  // namespace gemma::internal

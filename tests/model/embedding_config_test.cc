// Configurations of models that embed texts: config.json and module folders of
// sentence-transformers, and GGUF files.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "src/formats/checkpoint.h"
#include "src/model/config/read_config.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

// A copy of the toy that tests change.
class ModulesTest : public ::testing::Test {
 protected:
  ModulesTest() {
    fs::copy(ToyPath("embedding_gemma"), directory_,
             fs::copy_options::recursive);
  }

  std::string Path(const std::string& name) const {
    return directory_ + "/" + name;
  }
  json ReadJson(const std::string& name) const {
    return json::parse(std::ifstream(Path(name)));
  }
  void WriteJson(const std::string& name, const json& value) const {
    WriteFile(Path(name), value.dump());
  }
  // Changes one member of an object in a file.
  void Set(const std::string& file, const std::string& key, const json& value) {
    json object = ReadJson(file);
    object[key] = value;
    WriteJson(file, object);
  }
  void SetModule(size_t index, const std::string& key, const json& value) {
    json modules = ReadJson("modules.json");
    modules[index][key] = value;
    WriteJson("modules.json", modules);
  }

  absl::StatusOr<Model> Load() const { return Model::Load(directory_); }
  std::string Error() const { return ErrorOf(Load()); }

  const std::string directory_ = TestDirectory();
};

TEST_F(ModulesTest, AreRead) {
  const Model model = LoadOrDie(directory_, {});
  const ModelConfig& config = model.config();
  EXPECT_EQ(config.architecture, "gemma-embedding");
  EXPECT_TRUE(config.bidirectional);
  EXPECT_EQ(config.pooling, Pooling::kMean);
  // 8 / 2 to each side, plus the position itself.
  EXPECT_EQ(config.layers[0].sliding_window, 5u);
  EXPECT_EQ(config.dense_dims, (std::vector<size_t>{80, 40}));
  EXPECT_EQ(config.embedding_dim(), 40u);
  EXPECT_EQ(config.max_context, 256u);  // from sentence_bert_config.json
}

TEST_F(ModulesTest, MayBeMissing) {
  fs::remove(Path("modules.json"));
  fs::remove(Path("sentence_bert_config.json"));
  const Model model = LoadOrDie(directory_, {});
  EXPECT_EQ(model.config().pooling, Pooling::kMean);
  EXPECT_TRUE(model.config().dense_dims.empty());
  EXPECT_EQ(model.config().embedding_dim(), 48u);
  EXPECT_EQ(model.config().max_context, 512u);
}

TEST_F(ModulesTest, NewPoolingKeys) {
  WriteJson("1_Pooling/config.json",
            {{"embedding_dimension", 48}, {"pooling_mode", "mean"}});
  EXPECT_EQ(Error(), "OK");
  Set("1_Pooling/config.json", "pooling_mode", "lasttoken");
  EXPECT_THAT(Error(), AllOf(HasSubstr("1_Pooling/config.json"),
                             HasSubstr("'pooling_mode'"),
                             HasSubstr("'lasttoken', wanted 'mean'")));
}

TEST_F(ModulesTest, AreNowhereElse) {
  for (const char* path : {"../2_Dense", "/etc", "..", ".", "a/b", "a\\b",
                           "2_Dense\n", "./2_Dense", "2_Dense/"}) {
    SetModule(2, "path", path);
    EXPECT_THAT(Error(),
                AllOf(HasSubstr("modules.json"), HasSubstr("[2].path"),
                      HasSubstr("wanted the name of a folder in the same "
                                "directory")))
        << path;
  }
}

TEST_F(ModulesTest, MissingFoldersAreNamed) {
  fs::remove_all(Path("2_Dense"));
  EXPECT_THAT(Error(), HasSubstr("no 2_Dense/config.json, which modules.json "
                                 "wants for its Dense"));
}

TEST_F(ModulesTest, MissingWeightsAreNamed) {
  fs::remove(Path("3_Dense/model.safetensors"));
  EXPECT_THAT(Error(), HasSubstr("no tensor '3_Dense/linear.weight', which the "
                                 "configuration needs"));
}

TEST_F(ModulesTest, WrongListsAreRefused) {
  for (const json& list :
       std::vector<json>{json::object(),
                         json::array({1}),
                         json::array({json::object()}),
                         {{{"type", 3}}},
                         {{{"type", "a.Dense"}, {"path", 4}}}}) {
    WriteJson("modules.json", list);
    EXPECT_THAT(Error(), HasSubstr("modules.json")) << list;
  }
  WriteJson("modules.json", json(std::vector<json>(33, {{"type", "Dense"}})));
  EXPECT_THAT(Error(), HasSubstr("lists 33 modules, wanted at most 32"));
}

TEST_F(ModulesTest, OtherModulesAreRefused) {
  SetModule(4, "type", "sentence_transformers.models.LSTM");
  EXPECT_THAT(Error(), HasSubstr("lists 'LSTM', wanted Transformer, Pooling, "
                                 "Dense and Normalize in this order"));
  SetModule(4, "type", "sentence_transformers.models.Pooling");
  EXPECT_THAT(Error(), HasSubstr("lists 'Pooling', wanted"));
}

TEST_F(ModulesTest, MissingModulesAreRefused) {
  json modules = ReadJson("modules.json");
  modules.erase(1);
  WriteJson("modules.json", modules);
  EXPECT_THAT(Error(), HasSubstr("must list one Transformer"));
  modules.erase(0);
  WriteJson("modules.json", modules);
  EXPECT_THAT(Error(), HasSubstr("must list one Transformer"));
}

TEST_F(ModulesTest, TransformerFolderIsRefused) {
  SetModule(0, "path", "0_Transformer");
  EXPECT_THAT(Error(), HasSubstr("one Transformer, with path ''"));
}

TEST_F(ModulesTest, UnsupportedFeaturesAreRefused) {
  const struct {
    const char* file;
    const char* key;
    json value;
    const char* wanted;
  } cases[] = {
      {"1_Pooling/config.json", "pooling_mode_cls_token", true,
       "'pooling_mode_cls_token' is true, wanted false"},
      {"1_Pooling/config.json", "pooling_mode_mean_tokens", false,
       "'pooling_mode_mean_tokens' is false, wanted true"},
      {"1_Pooling/config.json", "pooling_mode_max_tokens", 1,
       "'pooling_mode_max_tokens' is 1"},
      {"1_Pooling/config.json", "include_prompt", false,
       "'include_prompt' is false, wanted true"},
      {"1_Pooling/config.json", "word_embedding_dimension", 47,
       "'word_embedding_dimension' is 47, wanted hidden_size 48"},
      {"2_Dense/config.json", "activation_function",
       "torch.nn.modules.activation.Tanh",
       "wanted 'torch.nn.modules.linear.Identity'"},
      {"2_Dense/config.json", "activation_function", nullptr,
       "activation_function"},
      {"2_Dense/config.json", "bias", true, "'bias' is true, wanted false"},
      {"2_Dense/config.json", "in_features", 49,
       "'in_features' is 49, wanted 48, the width before it"},
      {"3_Dense/config.json", "in_features", 48,
       "'in_features' is 48, wanted 80, the width before it"},
      {"3_Dense/config.json", "out_features", 0, "'out_features' is 0"},
      {"3_Dense/config.json", "out_features", uint64_t{1} << 60,
       "'out_features'"},
      {"3_Dense/config.json", "out_features", 41,
       "tensor '3_Dense/linear.weight' is [40, 80], the configuration needs "
       "[41, 80]"},
      {"config.json", "use_bidirectional_attention", "vision",
       "'use_bidirectional_attention'"},
      {"sentence_bert_config.json", "max_seq_length", 0, "max_context is 0"},
      {"sentence_bert_config.json", "max_seq_length", -1, "'max_seq_length'"},
  };
  for (const auto& [file, key, value, wanted] : cases) {
    const json before = ReadJson(file);
    Set(file, key, value);
    EXPECT_THAT(Error(), HasSubstr(wanted)) << file << " " << key;
    WriteJson(file, before);
  }
  EXPECT_EQ(Error(), "OK");
}

TEST_F(ModulesTest, CausalModelsIgnoreModules) {
  Set("config.json", "use_bidirectional_attention", false);
  const Model model = LoadOrDie(directory_, {});
  EXPECT_EQ(model.config().pooling, Pooling::kNone);
  EXPECT_EQ(model.config().layers[0].sliding_window, 8u);
  EXPECT_TRUE(model.config().dense_dims.empty());
}

// Loading cut or changed files may fail, but only with a Status. The sanitizers
// are the assertion.
TEST_F(ModulesTest, HostileFilesAreSafe) {
  fs::remove(Path("tokenizer.json"));  // most of the time would go into it
  for (const char* name : {"modules.json", "2_Dense/config.json"}) {
    const std::string text = ReadJson(name).dump();
    const Bytes bytes(text.begin(), text.end());
    for (size_t i = 0; i < bytes.size(); i += 3) {
      WriteFile(Path(name), Bytes(bytes.begin(), bytes.begin() + i));
      EXPECT_FALSE(Load().ok()) << name << ": first " << i << " bytes";
      Bytes changed = bytes;
      changed[i] ^= 1;
      WriteFile(Path(name), changed);
      Load().IgnoreError();
    }
    WriteFile(Path(name), bytes);
  }
  const std::string weights = Path("2_Dense/model.safetensors");
  std::ifstream file(weights, std::ios::binary);
  const Bytes bytes((std::istreambuf_iterator<char>(file)),
                    std::istreambuf_iterator<char>());
  for (size_t size = 0; size < bytes.size(); size += 97) {
    WriteFile(weights, Bytes(bytes.begin(), bytes.begin() + size));
    EXPECT_THAT(Error(), HasSubstr("2_Dense/model.safetensors"));
  }
}

// The keys of the 300M's config.json.
TEST_F(ModulesTest, PublishedModelIsKnown) {
  const json config = {{"architectures", {"Gemma3TextModel"}},
                       {"model_type", "gemma3_text"},
                       {"use_bidirectional_attention", true},
                       {"hidden_size", 768},
                       {"intermediate_size", 1152},
                       {"num_hidden_layers", 24},
                       {"num_attention_heads", 3},
                       {"num_key_value_heads", 1},
                       {"head_dim", 256},
                       {"query_pre_attn_scalar", 256},
                       {"sliding_window", 512},
                       {"_sliding_window_pattern", 6},
                       {"max_position_embeddings", 2048},
                       {"rope_local_base_freq", 10000.0},
                       {"rope_theta", 1000000.0},
                       {"vocab_size", 262144}};
  WriteJson("config.json", config);
  WriteJson("1_Pooling/config.json", {{"word_embedding_dimension", 768}});
  Set("2_Dense/config.json", "in_features", 768);
  Set("2_Dense/config.json", "out_features", 3072);
  Set("3_Dense/config.json", "in_features", 3072);
  Set("3_Dense/config.json", "out_features", 768);
  fs::remove(Path("sentence_bert_config.json"));
  const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(directory_);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const absl::StatusOr<ModelConfig> read =
      ReadConfig(*checkpoint, RecurrentWindow::kDeepMind);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->max_context, 2048u);
  EXPECT_EQ(read->dense_dims, (std::vector<size_t>{3072, 768}));
  EXPECT_EQ(read->query_scale, 1.0f / 16);
  ASSERT_EQ(read->num_layers(), 24u);
  for (size_t l = 0; l < 24; ++l) {
    const bool global = l % 6 == 5;
    const LayerConfig& layer = read->layers[l];
    EXPECT_EQ(layer.type, global ? BlockType::kGlobalAttention
                                 : BlockType::kLocalAttention);
    EXPECT_EQ(layer.sliding_window, global ? 0u : 257u);
    EXPECT_EQ(layer.rope.base, global ? 1000000.0f : 10000.0f);
    EXPECT_EQ(layer.rope.factor, 1.0f);
  }
}

// A GGUF file's keys, without weights.
std::string GgufError(const GgufWriter& gguf) {
  const std::string path = TestDirectory() + "/m.gguf";
  WriteFile(path, gguf.Finish());
  return ErrorOf(Model::Load(path));
}

GgufWriter SmallGguf() {
  GgufWriter gguf;
  gguf.String("general.architecture", "gemma-embedding")
      .Uint32("gemma-embedding.embedding_length", 8)
      .Uint32("gemma-embedding.block_count", 1)
      .Uint32("gemma-embedding.feed_forward_length", 8)
      .Uint32("gemma-embedding.attention.head_count", 1)
      .Uint32("gemma-embedding.attention.key_length", 8);
  return gguf;
}

TEST(GgufEmbeddingConfig, IsRead) {
  const std::string base =
      std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma_embedding";
  const Model model = LoadOrDie(base + ".gguf", {});
  EXPECT_EQ(model.config().architecture, "gemma-embedding");
  EXPECT_TRUE(model.config().bidirectional);
  EXPECT_EQ(model.config().pooling, Pooling::kMean);
  EXPECT_EQ(model.config().layers[0].sliding_window, 5u);
  EXPECT_EQ(model.config().dense_dims, (std::vector<size_t>{64, 32}));
  const Model bare = LoadOrDie(base + "_bare.gguf", {});
  EXPECT_TRUE(bare.config().dense_dims.empty());
  EXPECT_EQ(bare.config().embedding_dim(), 32u);
}

TEST(GgufEmbeddingConfig, OtherPoolingIsRefused) {
  EXPECT_THAT(GgufError(SmallGguf().Uint32("gemma-embedding.pooling_type", 3)),
              HasSubstr("'gemma-embedding.pooling_type' is 3, wanted 1"));
}

TEST(GgufEmbeddingConfig, DenseLayersFollowKeys) {
  const GgufWriter table = SmallGguf().Tensor("token_embd.weight", {8, 4},
                                              /*type=*/0, Pattern(128));
  GgufWriter missing = table;
  missing.Uint32("gemma-embedding.dense_2_feat_out", 16);
  // The trunk's tensors come first.
  EXPECT_THAT(GgufError(missing), HasSubstr("no tensor 'output_norm.weight'"));
  GgufWriter huge = table;
  huge.Uint32("gemma-embedding.dense_2_feat_out", uint32_t{1} << 31);
  EXPECT_THAT(GgufError(huge), HasSubstr("the width of a dense layer is"));
}

}  // namespace
}  // namespace gemma::internal

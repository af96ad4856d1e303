// Reads ModelConfig from files: every published model, in its old and new
// forms, and files that must be refused.

#include <cmath>
#include <filesystem>
#include <functional>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/error_reason.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "src/base/status_macros.h"
#include "src/formats/checkpoint.h"
#include "src/model/config/read_config.h"
#include "tests/support/config_text.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr auto kDeepMind = RecurrentWindow::kDeepMind;
constexpr auto kTransformers = RecurrentWindow::kTransformers;

float InverseRoot(float value) { return 1.0f / std::sqrt(value); }

absl::StatusOr<ModelConfig> Read(const std::string& path,
                                 RecurrentWindow window) {
  GEMMA_ASSIGN_OR_RETURN(const Checkpoint checkpoint, OpenCheckpoint(path));
  return ReadConfig(checkpoint, window);
}

// The configuration of a directory with these files.
absl::StatusOr<ModelConfig> FromJson(const json& config,
                                     RecurrentWindow window = kDeepMind,
                                     const json& generation = nullptr) {
  const std::string directory = TestDirectory();
  WriteFile(directory + "/config.json", config.dump());
  WriteFile(directory + "/model.safetensors", TinySafetensors());
  if (!generation.is_null()) {
    WriteFile(directory + "/generation_config.json", generation.dump());
  }
  return Read(directory, window);
}

// The configuration of a GGUF file with these keys.
absl::StatusOr<ModelConfig> FromGguf(GgufWriter gguf,
                                     RecurrentWindow window = kDeepMind) {
  const std::string path = TestDirectory() + "/m.gguf";
  gguf.Tensor("token_embd.weight", {8, 4}, /*type=*/0, Pattern(128));
  WriteFile(path, gguf.Finish());
  return Read(path, window);
}

void ExpectEqual(const ModelConfig& actual, ConfigDraft draft) {
  const ModelConfig expected = Finished(std::move(draft));
  EXPECT_EQ(actual.architecture, expected.architecture);
  EXPECT_EQ(actual.model_dim, expected.model_dim);
  EXPECT_EQ(actual.vocab_size, expected.vocab_size);
  EXPECT_EQ(actual.max_context, expected.max_context);
  EXPECT_EQ(actual.lru_width, expected.lru_width);
  EXPECT_EQ(actual.conv_width, expected.conv_width);
  EXPECT_EQ(actual.embedding_scale, 0.0f);  // follows from the table
  EXPECT_EQ(actual.query_scale, expected.query_scale);
  EXPECT_EQ(actual.rms_norm_eps, expected.rms_norm_eps);
  EXPECT_EQ(actual.attn_logits_soft_cap, expected.attn_logits_soft_cap);
  EXPECT_EQ(actual.final_logits_soft_cap, expected.final_logits_soft_cap);
  EXPECT_EQ(actual.post_norms, expected.post_norms);
  EXPECT_EQ(actual.qk_norm, expected.qk_norm);
  EXPECT_EQ(actual.biases, expected.biases);
  ASSERT_EQ(actual.num_layers(), expected.num_layers());
  for (size_t l = 0; l < actual.num_layers(); ++l) {
    EXPECT_TRUE(actual.layers[l] == expected.layers[l])
        << ConfigText(actual) << "\n"
        << ConfigText(expected);
  }
  EXPECT_EQ(actual.bos_token, expected.bos_token);
  const auto set = [](const std::vector<TokenId>& tokens) {
    return std::set<TokenId>(tokens.begin(), tokens.end());
  };
  EXPECT_EQ(set(actual.stop_tokens), set(expected.stop_tokens));
}

// ---------------------------------------------------------------------------
// Published models

// Fields that all models share.
ConfigDraft Base(size_t dim, size_t heads, size_t kv_heads, size_t head_dim,
                 size_t ffw) {
  ConfigDraft c;
  c.model_dim = dim;
  c.all.num_heads = heads;
  c.all.num_kv_heads = kv_heads;
  c.all.head_dim = head_dim;
  c.all.ffw_dim = ffw;
  c.vocab_size = 256000;
  c.max_context = 8192;
  c.all.rope.rotary_dim = head_dim;
  c.rope_base_local = 10000.0f;
  c.rope_base_global = 10000.0f;
  c.query_scale = InverseRoot(static_cast<float>(head_dim));
  c.rms_norm_eps = 1e-6f;
  return c;
}

// Layer l is global if (l + 1) mod period == 0.
std::vector<BlockType> Blocks(size_t layers, size_t period) {
  std::vector<BlockType> blocks;
  for (size_t l = 1; l <= layers; ++l) {
    blocks.push_back(l % period == 0 ? BlockType::kGlobalAttention
                                     : BlockType::kLocalAttention);
  }
  return blocks;
}

ConfigDraft Gemma(size_t layers, size_t dim, size_t heads, size_t kv_heads,
                  size_t ffw) {
  ConfigDraft c = Base(dim, heads, kv_heads, 256, ffw);
  c.architecture = "gemma";
  c.blocks = Blocks(layers, 1);
  return c;
}

ConfigDraft Gemma2(size_t layers, size_t dim, size_t heads, size_t kv_heads,
                   size_t head_dim, size_t ffw, float query_scalar) {
  ConfigDraft c = Base(dim, heads, kv_heads, head_dim, ffw);
  c.architecture = "gemma2";
  c.post_norms = true;
  c.sliding_window = 4096;
  c.attn_logits_soft_cap = 50.0f;
  c.final_logits_soft_cap = 30.0f;
  c.query_scale = InverseRoot(query_scalar);
  c.blocks = Blocks(layers, 2);
  return c;
}

ConfigDraft Gemma3(size_t layers, size_t dim, size_t heads, size_t kv_heads,
                   size_t head_dim, size_t ffw, float query_scalar,
                   bool small) {
  ConfigDraft c = Base(dim, heads, kv_heads, head_dim, ffw);
  c.architecture = "gemma3";
  c.post_norms = true;
  c.qk_norm = true;
  c.vocab_size = small ? 262144 : 262208;
  c.max_context = small ? 32768 : 131072;
  c.sliding_window = small ? 512 : 1024;
  c.rope_base_global = 1e6f;
  c.rope_factor_global = small ? 1.0f : 8.0f;
  c.query_scale = InverseRoot(query_scalar);
  c.blocks = Blocks(layers, 6);
  return c;
}

ConfigDraft Griffin(size_t layers, size_t dim, size_t heads, size_t ffw,
                    size_t window) {
  ConfigDraft c = Base(dim, heads, 1, 256, ffw);
  c.architecture = "recurrentgemma";
  c.biases = true;
  c.sliding_window = window;
  c.all.rope.rotary_dim = 128;
  c.lru_width = dim;
  c.conv_width = 4;
  c.final_logits_soft_cap = 30.0f;
  for (size_t l = 0; l < layers; ++l) {
    c.blocks.push_back(l % 3 == 2 ? BlockType::kLocalAttention
                                  : BlockType::kRecurrent);
  }
  return c;
}

json Sizes(const char* model_type, const ConfigDraft& c) {
  return {{"model_type", model_type},
          {"attention_bias", false},
          {"attention_dropout", 0.0},
          {"bos_token_id", 2},
          {"eos_token_id", 1},
          {"pad_token_id", 0},
          {"head_dim", c.all.head_dim},
          {"hidden_size", c.model_dim},
          {"initializer_range", 0.02},
          {"intermediate_size", c.all.ffw_dim},
          {"max_position_embeddings", c.max_context},
          {"num_attention_heads", c.all.num_heads},
          {"num_hidden_layers", c.blocks.size()},
          {"num_key_value_heads", c.all.num_kv_heads},
          {"rms_norm_eps", 1e-06},
          {"use_cache", true},
          {"vocab_size", c.vocab_size}};
}

json OldGemma(const ConfigDraft& c) {
  json j = Sizes("gemma", c);
  j["architectures"] = {"GemmaForCausalLM"};
  j["hidden_act"] = "gelu";
  j["rope_scaling"] = nullptr;
  j["rope_theta"] = 10000.0;
  j["torch_dtype"] = "bfloat16";
  return j;
}

json NewGemma(const ConfigDraft& c) {
  json j = Sizes("gemma", c);
  j["dtype"] = "bfloat16";
  j["hidden_act"] = "gelu_pytorch_tanh";
  j["rope_parameters"] = {{"rope_theta", 10000.0}, {"rope_type", "default"}};
  j["tie_word_embeddings"] = true;
  j["use_bidirectional_attention"] = nullptr;
  return j;
}

// The activation is "gelu" under the old key, and null under the new one.
json CodeGemma(const ConfigDraft& c) {
  json j = OldGemma(c);
  j["hidden_activation"] = nullptr;
  return j;
}

json OldGemma2(const ConfigDraft& c, double query_scalar) {
  json j = Sizes("gemma2", c);
  j["attn_logit_softcapping"] = 50.0;
  j["cache_implementation"] = "hybrid";
  j["final_logit_softcapping"] = 30.0;
  j["hidden_act"] = "gelu_pytorch_tanh";
  j["hidden_activation"] = "gelu_pytorch_tanh";
  j["query_pre_attn_scalar"] = query_scalar;
  j["rope_theta"] = 10000.0;
  j["sliding_window"] = 4096;
  j["sliding_window_size"] = 4096;
  return j;
}

json LayerTypes(const ConfigDraft& c) {
  json types = json::array();
  for (const BlockType block : c.blocks) {
    types.push_back(block == BlockType::kGlobalAttention ? "full_attention"
                                                         : "sliding_attention");
  }
  return types;
}

json NewGemma2(const ConfigDraft& c, int query_scalar) {
  json j = Sizes("gemma2", c);
  j["attn_logit_softcapping"] = 50.0;
  j["final_logit_softcapping"] = 30.0;
  j["hidden_activation"] = "gelu_pytorch_tanh";
  j["layer_types"] = LayerTypes(c);
  j["query_pre_attn_scalar"] = query_scalar;
  j["rope_parameters"] = {{"rope_theta", 10000.0}, {"rope_type", "default"}};
  j["sliding_window"] = 4096;
  j["tie_word_embeddings"] = true;
  return j;
}

json Gemma3Common(const ConfigDraft& c, int query_scalar) {
  json j = Sizes("gemma3_text", c);
  j["attn_logit_softcapping"] = nullptr;
  j["final_logit_softcapping"] = nullptr;
  j["hidden_activation"] = "gelu_pytorch_tanh";
  j["query_pre_attn_scalar"] = query_scalar;
  j["sliding_window"] = c.sliding_window;
  return j;
}

json OldGemma3(const ConfigDraft& c, int query_scalar) {
  json j = Gemma3Common(c, query_scalar);
  j["cache_implementation"] = "hybrid";
  j["rope_local_base_freq"] = 10000;
  j["rope_theta"] = 1000000;
  j["rope_scaling"] = nullptr;
  if (c.rope_factor_global != 1.0f) {
    j["rope_scaling"] = {{"factor", 8.0}, {"rope_type", "linear"}};
  }
  j["sliding_window_pattern"] = 6;
  return j;
}

json NewGemma3(const ConfigDraft& c, int query_scalar) {
  json j = Gemma3Common(c, query_scalar);
  j["_sliding_window_pattern"] = 6;
  j["layer_types"] = LayerTypes(c);
  json full = {{"rope_theta", 1000000.0}, {"rope_type", "default"}};
  if (c.rope_factor_global != 1.0f) {
    full["rope_type"] = "linear";
    full["factor"] = 8.0;
  }
  j["rope_parameters"] = {
      {"full_attention", full},
      {"sliding_attention",
       {{"rope_theta", 10000.0}, {"rope_type", "default"}}}};
  j["use_bidirectional_attention"] = false;
  return j;
}

// Nests the keys as the text tower of a model with vision.
json Nested(json text) {
  return {
      {"architectures", {"Gemma3ForConditionalGeneration"}},
      {"boi_token_index", 255999},
      {"eos_token_id", {1, 106}},
      {"image_token_index", 262144},
      {"mm_tokens_per_image", 256},
      {"model_type", "gemma3"},
      {"text_config", std::move(text)},
      {"vision_config", {{"hidden_size", 1152}, {"num_hidden_layers", 27}}}};
}

// The six keys of the hub's file for 4B. The files of larger models have more.
json FewKeys(const ConfigDraft& c) {
  return {{"hidden_size", c.model_dim},
          {"intermediate_size", c.all.ffw_dim},
          {"model_type", "gemma3_text"},
          {"num_hidden_layers", c.blocks.size()},
          {"rope_scaling", {{"factor", 8.0}, {"rope_type", "linear"}}},
          {"sliding_window", 1024}};
}

json WithHeads(json text, const ConfigDraft& c) {
  text["num_attention_heads"] = c.all.num_heads;
  text["num_key_value_heads"] = c.all.num_kv_heads;
  return text;
}

json With(json config, const json& changes) {
  config.update(changes);
  return config;
}

json Without(json config, const char* key) {
  config.erase(key);
  return config;
}

json OldGriffin(const ConfigDraft& c) {
  json j = Sizes("recurrent_gemma", c);
  j.erase("max_position_embeddings");
  j["_block_types"] = {"recurrent", "recurrent", "attention"};
  j["attention_window_size"] = 2048;
  j["block_types"] = {"recurrent", "recurrent", "attention"};
  j["conv1d_width"] = 4;
  j["embeddings_scale_by_sqrt_dim"] = true;
  j["hidden_activation"] = "gelu_pytorch_tanh";
  j["intermediate_size"] = 2 * c.all.ffw_dim;
  j["logits_soft_cap"] = 30.0;
  j["lru_width"] = c.lru_width;
  j["partial_rotary_factor"] = 0.5;
  j["rope_theta"] = 10000.0;
  return j;
}

json NewGriffin(const ConfigDraft& c) {
  json j = OldGriffin(c);
  for (const char* key : {"_block_types", "embeddings_scale_by_sqrt_dim",
                          "partial_rotary_factor", "rope_theta"}) {
    j.erase(key);
  }
  j["rope_parameters"] = {{"partial_rotary_factor", 0.5},
                          {"rope_theta", 10000.0},
                          {"rope_type", "default"}};
  return j;
}

struct Published {
  std::string name;
  json config;
  ConfigDraft expected;
  RecurrentWindow window = kDeepMind;

  friend void PrintTo(const Published& published, std::ostream* out) {
    *out << published.name;
  }
};

ConfigDraft WithStops(ConfigDraft c, std::vector<TokenId> stops) {
  c.stop_tokens = std::move(stops);
  return c;
}

std::vector<Published> AllPublished() {
  const ConfigDraft g2b = Gemma(18, 2048, 8, 1, 16384);
  const ConfigDraft g7b = Gemma(28, 3072, 16, 16, 24576);
  const ConfigDraft two2b = Gemma2(26, 2304, 8, 4, 256, 9216, 256);
  const ConfigDraft two9b = Gemma2(42, 3584, 16, 8, 256, 14336, 256);
  const ConfigDraft two27b = Gemma2(46, 4608, 32, 16, 128, 36864, 144);
  const ConfigDraft three270m = Gemma3(18, 640, 4, 1, 256, 2048, 256, true);
  const ConfigDraft three1b = Gemma3(26, 1152, 4, 1, 256, 6912, 256, true);
  const ConfigDraft three4b = Gemma3(34, 2560, 8, 4, 256, 10240, 256, false);
  const ConfigDraft three12b = Gemma3(48, 3840, 16, 8, 256, 15360, 256, false);
  const ConfigDraft three27b = Gemma3(62, 5376, 32, 16, 128, 21504, 168, false);
  const ConfigDraft rec2b = Griffin(26, 2560, 10, 7680, 2049);
  const ConfigDraft rec9b = Griffin(38, 4096, 16, 12288, 2049);
  const json few27b = With(WithHeads(FewKeys(three27b), three27b),
                           {{"head_dim", 128}, {"query_pre_attn_scalar", 168}});
  return {
      {"gemma_2b", OldGemma(g2b), g2b},
      {"gemma_2b_new", NewGemma(g2b), g2b},
      {"gemma_7b", OldGemma(g7b), g7b},
      {"gemma_7b_new", NewGemma(g7b), g7b},
      {"gemma_7b_defaults", {{"model_type", "gemma"}}, g7b},
      {"codegemma_2b", CodeGemma(g2b), g2b},
      {"codegemma_7b", CodeGemma(g7b), g7b},
      {"gemma2_2b", OldGemma2(two2b, 256), two2b},
      {"gemma2_2b_new", NewGemma2(two2b, 256), two2b},
      {"gemma2_2b_defaults", {{"model_type", "gemma2"}}, two2b},
      {"gemma2_9b", OldGemma2(two9b, 256), two9b},
      {"gemma2_9b_early", OldGemma2(two9b, 224), two9b},
      {"gemma2_9b_new", NewGemma2(two9b, 256), two9b},
      {"gemma2_27b", OldGemma2(two27b, 144), two27b},
      {"gemma2_27b_new", NewGemma2(two27b, 144), two27b},
      {"gemma3_270m", OldGemma3(three270m, 256), three270m},
      {"gemma3_270m_new", NewGemma3(three270m, 256), three270m},
      {"gemma3_1b", OldGemma3(three1b, 256), three1b},
      {"gemma3_1b_new", NewGemma3(three1b, 256), three1b},
      {"gemma3_4b", Nested(FewKeys(three4b)), WithStops(three4b, {1, 106})},
      {"gemma3_4b_new", Nested(NewGemma3(three4b, 256)),
       WithStops(three4b, {1, 106})},
      {"gemma3_4b_text", NewGemma3(three4b, 256), three4b},
      {"gemma3_12b", Nested(WithHeads(FewKeys(three12b), three12b)),
       WithStops(three12b, {1, 106})},
      {"gemma3_12b_new", Nested(NewGemma3(three12b, 256)),
       WithStops(three12b, {1, 106})},
      {"gemma3_27b", Nested(few27b), WithStops(three27b, {1, 106})},
      {"gemma3_27b_new", Nested(NewGemma3(three27b, 168)),
       WithStops(three27b, {1, 106})},
      {"functiongemma_270m", NewGemma3(three270m, 256), three270m},
      {"medgemma_4b_it", Nested(OldGemma3(three4b, 256)),
       WithStops(three4b, {1, 106})},
      {"medgemma_27b_text_it", NewGemma3(three27b, 168), three27b},
      {"translategemma_4b_it",
       Without(Nested(NewGemma3(three4b, 256)), "vision_config"),
       WithStops(three4b, {1, 106})},
      {"recurrent_2b_deepmind", OldGriffin(rec2b), rec2b},
      {"recurrent_2b_transformers", OldGriffin(rec2b),
       Griffin(26, 2560, 10, 7680, 2048), kTransformers},
      {"recurrent_2b_new", NewGriffin(rec2b), rec2b},
      {"recurrent_9b_deepmind", OldGriffin(rec9b), rec9b},
      {"recurrent_9b_transformers", NewGriffin(rec9b),
       Griffin(38, 4096, 16, 12288, 2048), kTransformers},
  };
}

class PublishedConfig : public ::testing::TestWithParam<Published> {};

INSTANTIATE_TEST_SUITE_P(Models, PublishedConfig,
                         ::testing::ValuesIn(AllPublished()),
                         [](const auto& published) {
                           return published.param.name;
                         });

TEST_P(PublishedConfig, ConfigJsonIsRead) {
  const Published& published = GetParam();
  const absl::StatusOr<ModelConfig> config =
      FromJson(published.config, published.window);
  ASSERT_EQ(ErrorOf(config), "OK");
  ExpectEqual(*config, published.expected);
}

// config.json lacks the scale, which depends on the embedding table's type.
TEST_P(PublishedConfig, ValidWithEmbeddingScale) {
  absl::StatusOr<ModelConfig> config =
      FromJson(GetParam().config, GetParam().window);
  ASSERT_EQ(ErrorOf(config), "OK");
  config->embedding_scale = 48.0f;
  EXPECT_EQ(ErrorOf(Validate(*config)), "OK");
}

TEST(ConfigJson, RecurrentGemma2bEndsRecurrent) {
  const absl::StatusOr<ModelConfig> config =
      FromJson(OldGriffin(Griffin(26, 2560, 10, 7680, 2049)));
  ASSERT_EQ(ErrorOf(config), "OK");
  EXPECT_EQ(config->layers[23].type, BlockType::kLocalAttention);
  EXPECT_EQ(config->layers[24].type, BlockType::kRecurrent);
  EXPECT_EQ(config->layers[25].type, BlockType::kRecurrent);
}

// The scalar 224 of the 2B is right. That of the 9B is a mistake, which the
// loader corrects.
TEST(ConfigJson, KeepsQueryScale224) {
  const ConfigDraft c = Gemma2(26, 2304, 8, 4, 256, 9216, 224);
  const absl::StatusOr<ModelConfig> config = FromJson(OldGemma2(c, 224));
  ASSERT_EQ(ErrorOf(config), "OK");
  EXPECT_EQ(config->query_scale, InverseRoot(224.0f));
}

TEST(ConfigJson, OldRopeScalingType) {
  json j = OldGemma3(Gemma3(34, 2560, 8, 4, 256, 10240, 256, false), 256);
  j["rope_scaling"] = {{"factor", 4}, {"type", "linear"}};
  const absl::StatusOr<ModelConfig> config = FromJson(j);
  ASSERT_EQ(ErrorOf(config), "OK");
  EXPECT_EQ(config->layers[5].rope.factor, 4.0f);
  EXPECT_EQ(config->layers[4].rope.factor, 1.0f);
}

// transformers rewrites the activation of Gemma 1 only, and reads the key of
// the family only.
TEST(ConfigJson, GeluByName) {
  const auto is_exact = [](const json& config) {
    const absl::StatusOr<ModelConfig> read = FromJson(config);
    EXPECT_EQ(ErrorOf(read), "OK");
    return read.ok() && read->exact_gelu;
  };
  const char* act = "hidden_act";
  const char* activation = "hidden_activation";
  for (const char* type : {"gemma2", "gemma3_text", "recurrent_gemma"}) {
    EXPECT_TRUE(is_exact({{"model_type", type}, {activation, "gelu"}})) << type;
    EXPECT_FALSE(is_exact({{"model_type", type}, {activation, nullptr}}));
    EXPECT_FALSE(is_exact({{"model_type", type}, {act, "gelu"}})) << type;
    EXPECT_FALSE(is_exact({{"model_type", type}, {activation, "gelu_new"}}));
  }
  EXPECT_FALSE(is_exact({{"model_type", "gemma"}, {act, "gelu"}}));
  EXPECT_FALSE(is_exact({{"model_type", "gemma"}, {activation, "gelu"}}));
  EXPECT_TRUE(is_exact({{"model_type", "gemma"}, {act, "gelu_python"}}));
}

// Without local layers, no window is needed.
TEST(ConfigJson, WindowlessWithoutLocalLayers) {
  EXPECT_EQ(ErrorOf(FromJson({{"model_type", "gemma2"},
                              {"num_hidden_layers", 1},
                              {"layer_types", {"full_attention"}},
                              {"sliding_window", nullptr}})),
            "OK");
}

// Gemma 1 and 2 scale all layers, Gemma 3 each kind by its own factor. The old
// key wins over the new one.
TEST(ConfigJson, LinearScalingOfLayers) {
  const json linear = {{"rope_type", "linear"}, {"factor", 4}};
  for (const char* type : {"gemma", "gemma2"}) {
    for (const char* key : {"rope_scaling", "rope_parameters"}) {
      const absl::StatusOr<ModelConfig> config =
          FromJson({{"model_type", type}, {key, linear}});
      ASSERT_EQ(ErrorOf(config), "OK");
      EXPECT_EQ(config->layers[0].rope.factor, 4.0f);
      EXPECT_EQ(config->layers[1].rope.factor, 4.0f);
    }
  }
  absl::StatusOr<ModelConfig> config =
      FromJson({{"model_type", "gemma2"},
                {"rope_parameters", linear},
                {"rope_scaling", {{"rope_type", "linear"}, {"factor", 2}}}});
  ASSERT_EQ(ErrorOf(config), "OK");
  EXPECT_EQ(config->layers[0].rope.factor, 2.0f);
  config = FromJson({{"model_type", "gemma3_text"},
                     {"rope_parameters", {{"sliding_attention", linear}}}});
  ASSERT_EQ(ErrorOf(config), "OK");
  EXPECT_EQ(config->layers[0].rope.factor, 4.0f);
  EXPECT_EQ(config->layers[5].rope.factor, 1.0f);
}

// The notes of reading these files.
Notes NotesOf(const json& changes) {
  const std::string directory = TestDirectory();
  WriteFile(directory + "/config.json", changes.dump());
  WriteFile(directory + "/model.safetensors", TinySafetensors());
  const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(directory);
  Notes notes;
  EXPECT_EQ(ErrorOf(ReadConfig(*checkpoint, kDeepMind, &notes)), "OK");
  return notes;
}

TEST(ConfigJson, NotesUselessKeys) {
  EXPECT_THAT(NotesOf({{"model_type", "gemma3_text"}}), IsEmpty());
  EXPECT_THAT(NotesOf({{"model_type", "gemma3_text"},
                       {"attn_logit_softcapping", 50.0}}),
              ElementsAre(HasSubstr("'attn_logit_softcapping' is 50, and has "
                                    "no effect")));
  EXPECT_THAT(
      NotesOf({{"model_type", "gemma"}, {"final_logit_softcapping", 30.0}}),
      ElementsAre(HasSubstr("'final_logit_softcapping' is 30")));
  EXPECT_THAT(
      NotesOf({{"model_type", "gemma2"}, {"rope_scaling", {{"factor", 8}}}}),
      ElementsAre(HasSubstr("'rope_scaling.factor' is 8, and has no effect")));
  EXPECT_THAT(
      NotesOf({{"model_type", "gemma2"}, {"partial_rotary_factor", 0.5}}),
      ElementsAre(HasSubstr("'partial_rotary_factor' is 0.5, and has no")));
  EXPECT_THAT(
      NotesOf({{"model_type", "gemma3_text"},
               {"rope_parameters", {{"rope_theta", 5e5}}}}),
      ElementsAre(HasSubstr("'rope_parameters' has no effect in this model")));
  EXPECT_THAT(
      NotesOf({{"model_type", "gemma2"}, {"architectures", {"Gemma2Model"}}}),
      ElementsAre(HasSubstr("'Gemma2Model', a model without a head")));
}

TEST(ConfigJson, IgnoresGemma3Cap) {
  const absl::StatusOr<ModelConfig> config = FromJson(
      {{"model_type", "gemma3_text"}, {"attn_logit_softcapping", 50.0}});
  ASSERT_EQ(ErrorOf(config), "OK");
  EXPECT_EQ(config->attn_logits_soft_cap, 0.0f);
}

TEST(ConfigJson, UnreadGemmasAreNamed) {
  for (const char* type : {"gemma4_assistant", "diffusion_gemma", "t5gemma2",
                           "paligemma", "shieldgemma2"}) {
    const absl::Status status = FromJson({{"model_type", type}}).status();
    EXPECT_THAT(ErrorOf(status),
                HasSubstr(absl::StrCat("'model_type' is '", type,
                                       "': this Gemma is not read yet")));
    EXPECT_EQ(ReasonOf(status), ErrorReason::kUnreadGemma);
  }
  EXPECT_EQ(ReasonOf(FromJson({{"model_type", "llama"}}).status()),
            ErrorReason::kOtherArchitecture);
}

TEST(ConfigJson, NullDisablesSoftCaps) {
  json j = {{"model_type", "gemma2"}};
  j["attn_logit_softcapping"] = nullptr;
  j["final_logit_softcapping"] = nullptr;
  const absl::StatusOr<ModelConfig> config = FromJson(j);
  ASSERT_EQ(ErrorOf(config), "OK");
  EXPECT_EQ(config->attn_logits_soft_cap, 0.0f);
  EXPECT_EQ(config->final_logits_soft_cap, 0.0f);
}

TEST(ConfigJson, StopTokensAreMerged) {
  const auto stops = [](const json& eos, const json& generation) {
    const absl::StatusOr<ModelConfig> config =
        FromJson({{"model_type", "gemma3_text"}, {"eos_token_id", eos}},
                 kDeepMind, generation);
    EXPECT_EQ(ErrorOf(config), "OK");
    return config.ok() ? std::set<TokenId>(config->stop_tokens.begin(),
                                           config->stop_tokens.end())
                       : std::set<TokenId>();
  };
  EXPECT_EQ(stops(1, nullptr), std::set<TokenId>({1}));
  EXPECT_EQ(stops({1, 106}, nullptr), std::set<TokenId>({1, 106}));
  EXPECT_EQ(stops(1, {{"eos_token_id", {1, 106}}}),
            std::set<TokenId>({1, 106}));
  EXPECT_EQ(stops({1, 50}, {{"eos_token_id", 106}}),
            std::set<TokenId>({1, 50, 106}));
  EXPECT_EQ(stops(nullptr, {{"eos_token_id", nullptr}}),
            std::set<TokenId>({1}));
}

// Files as older versions of transformers wrote them.
TEST(ConfigJson, OldConfigsSameBits) {
  for (const char* folder : {"gemma", "gemma2", "gemma3", "recurrent_gemma"}) {
    const Reference reference = ReadReference({"", folder});
    const std::string copy = TestDirectory();
    std::filesystem::copy_file(ToyPath(folder) + "/model.safetensors",
                               copy + "/model.safetensors");
    std::filesystem::copy_file(ToyPath(folder) + "/config_old.json",
                               copy + "/config.json");
    EXPECT_EQ(AllLogits(LoadOrDie(copy, {}), reference.tokens),
              AllLogits(LoadOrDie(ToyPath(folder), {}), reference.tokens))
        << folder;
  }
}

// The spelling of Google's files and that of transformers.
TEST(ConfigJson, PublishedSpellingSameBits) {
  for (const char* folder :
       {"gemma4_e2b", "gemma4_moe", "gemma4_31b", "gemma4_bf16",
        "gemma4_shared", "gemma4_unshared", "gemma4_narrow"}) {
    const Reference reference = ReadReference({"", folder});
    const std::string copy = TestDirectory();
    std::filesystem::copy_file(ToyPath(folder) + "/model.safetensors",
                               copy + "/model.safetensors");
    std::filesystem::copy_file(ToyPath(folder) + "/config_published.json",
                               copy + "/config.json");
    EXPECT_EQ(AllLogits(LoadOrDie(copy, {}), reference.tokens),
              AllLogits(LoadOrDie(ToyPath(folder), {}), reference.tokens))
        << folder;
  }
}

// ---------------------------------------------------------------------------
// Refused files

// The error of loading the smallest model of this type with these changes to
// its config.json.
std::string ConfigError(const std::string& model_type, const json& changes) {
  const std::string directory = TestDirectory();
  WriteTinyDirectory(directory, With(TinyConfig(model_type), changes),
                     TinyHfTensors(model_type));
  const std::string error =
      ErrorOf(Model::Load(directory, {.num_threads = 1}).status());
  if (error != "OK") {
    EXPECT_THAT(error, StartsWith(directory)) << changes;
    EXPECT_THAT(error, Not(HasSubstr("\n"))) << changes;
  }
  return error;
}

TEST(ConfigJson, SmallestModelsLoad) {
  for (const char* model_type : kModelTypes) {
    EXPECT_EQ(ConfigError(model_type, json::object()), "OK") << model_type;
  }
}

struct Refusal {
  const char* model_type;
  json changes;
  std::vector<std::string> wanted;  // parts of the message
};

void ExpectRefused(const std::vector<Refusal>& refusals) {
  for (const Refusal& refusal : refusals) {
    const std::string error = ConfigError(refusal.model_type, refusal.changes);
    EXPECT_NE(error, "OK") << refusal.model_type << " " << refusal.changes;
    for (const std::string& part : refusal.wanted) {
      EXPECT_THAT(error, HasSubstr(part)) << refusal.changes;
    }
  }
}

// A valid configuration.
ModelConfig Valid() {
  ModelConfig config = Finished(Gemma3(4, 640, 4, 1, 256, 2048, 256, true));
  config.embedding_scale = 25.25f;
  return config;
}

// Fields of experts, shared keys and per-layer embeddings must fit each other.
TEST(Validate, BadGemma4Fields) {
  EXPECT_EQ(ErrorOf(Validate(Valid())), "OK");
  const std::pair<std::function<void(ModelConfig&)>, const char*> changes[] = {
      {[](ModelConfig& c) { c.layers[2].num_experts = 8; },
       "layer 2: experts_used is 0, wanted 1 to num_experts 8"},
      {[](ModelConfig& c) { c.layers[2].expert_dim = 8; },
       "layer 2: num_experts is 0, experts_used 0 and expert_dim 8"},
      {[](ModelConfig& c) { c.layers[3].kv_source = 3; },
       "layer 3: kv_source is 3, wanted an earlier layer"},
      {[](ModelConfig& c) {
         c.layers[1].num_kv_heads = 2;
         c.layers[2].kv_source = 1;
       },
       "layer 2: kv_source is 1, wanted a layer that has its own keys"},
      {[](ModelConfig& c) {
         c.layers[2].kv_source = 1;
         c.layers[3].kv_source = 2;
       },
       "layer 3: kv_source is 2, wanted a layer that has its own keys"},
      {[](ModelConfig& c) { c.per_layer_vocab = 8; },
       "per_layer_vocab is 8 and per_layer_dim 0"},
      {[](ModelConfig& c) {
         c.per_layer_dim = 8;
         c.per_layer_vocab = 8;
       },
       "per_layer_scale is 0"}};
  for (const auto& [change, message] : changes) {
    ModelConfig config = Valid();
    change(config);
    EXPECT_THAT(ErrorOf(Validate(config)), HasSubstr(message));
  }
}

// Each layer is checked.
TEST(Validate, BadLayersAreNamed) {
  const std::pair<std::function<void(LayerConfig&)>, const char*> changes[] = {
      {[](LayerConfig& l) { l.ffw_dim = 0; }, "ffw_dim is 0"},
      {[](LayerConfig& l) { l.num_heads = 0; }, "num_heads is 0"},
      {[](LayerConfig& l) { l.num_kv_heads = 3; }, "num_heads is 4, wanted"},
      {[](LayerConfig& l) { l.head_dim = 1 << 25; }, "head_dim is 33554432"},
      {[](LayerConfig& l) { l.rope.rotary_dim = 258; }, "rope.rotary_dim is"},
      {[](LayerConfig& l) { l.rope.num_rotating = 129; },
       "rope.num_rotating is 129, wanted at most the 128 pairs"},
      {[](LayerConfig& l) { l.rope.base = NAN; }, "rope.base is nan"},
      {[](LayerConfig& l) { l.rope.factor = -1; }, "rope.factor is -1"},
      {[](LayerConfig& l) { l.sliding_window = 0; }, "sliding_window is 0"}};
  for (const auto& [change, wanted] : changes) {
    ModelConfig config = Valid();
    change(config.layers[2]);
    EXPECT_THAT(ErrorOf(Validate(config)),
                HasSubstr(absl::StrCat("layer 2: ", wanted)));
  }
}

TEST(ConfigGgufRefuses, BadLayerLists) {
  const auto error = [](const char* key, std::vector<uint32_t> sizes) {
    return ErrorOf(FromGguf(
        GgufWriter()
            .String("general.architecture", "gemma")
            .Uint32("gemma.embedding_length", 8)
            .Uint32("gemma.block_count", 2)
            .Array("gemma.feed_forward_length", 4, std::vector<uint32_t>{8, 6})
            .Array(absl::StrCat("gemma.", key), 4, sizes)
            .Uint32("gemma.attention.head_count", 2)));
  };
  const char* key = "attention.head_count_kv";
  EXPECT_EQ(error(key, {2, 1}), "OK");
  EXPECT_THAT(error(key, {2}), HasSubstr("' has 1 elements, block_count is 2"));
  EXPECT_THAT(error(key, {}), HasSubstr("' has 0 elements, block_count is 2"));
  EXPECT_THAT(error(key, {1, 0}), HasSubstr("' is 0 for layer 1, wanted at"));
}

TEST(ConfigJsonRefuses, UnsupportedFeatures) {
  ExpectRefused({
      {"gemma",
       {{"model_type", "llama"}},
       {"config.json: 'model_type'", "'llama'", "wanted a Gemma model"}},
      {"gemma", {{"model_type", nullptr}}, {"model_type"}},
      {"gemma", {{"model_type", 3}}, {"'model_type' is 3"}},
      {"gemma",
       {{"attention_bias", true}},
       {"'attention_bias' is true, wanted false"}},
      {"gemma2",
       {{"attention_bias", true}},
       {"'attention_bias' is true, wanted false"}},
      {"gemma2",
       {{"use_bidirectional_attention", true}},
       {"'use_bidirectional_attention' is true, wanted false"}},
      {"gemma",
       {{"quantization_config", {{"bits", 4}}}},
       {"'quantization_config'", "wanted"}},
      {"gemma3_text",
       {{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 8}}}},
       {"'rope_scaling'", "'yarn'", "wanted 'default' or 'linear'"}},
      {"gemma",
       {{"rope_parameters", {{"rope_type", "longrope"}}}},
       {"'rope_parameters'", "'longrope'", "wanted"}},
      {"gemma2",
       {{"rope_parameters",
         {{"sliding_attention", {{"rope_type", "default"}}}}}},
       {"'rope_parameters'", "wanted one set of RoPE parameters"}},
      {"gemma2",
       {{"rope_parameters",
         {{"partial_rotary_factor", 0.5},
          {"rope_type", "linear"},
          {"factor", 2}}}},
       {"'rope_parameters.partial_rotary_factor' is", "0.5, wanted 1"}},
      {"gemma2", {{"is_causal", false}}, {"'is_causal' is false, wanted true"}},
      {"gemma2", {{"mlp_bias", true}}, {"'mlp_bias' is true, wanted false"}},
      {"gemma2",
       {{"architectures", {"Gemma2ForSequenceClassification"}}},
       {"'architectures' has 'Gemma2ForSequenceClassification', wanted"}},
      {"gemma",
       {{"quantization", {{"group_size", 64}, {"bits", 4}}}},
       {"'quantization': the weights are quantized by 'mlx', wanted"}},
      {"gemma",
       {{"quantization_config", {{"quant_method", "gptq"}, {"bits", 4}}}},
       {"the weights are quantized by 'gptq', wanted the model in F32"}},
      {"gemma",
       {{"quantization_config", {{"quant_method", "awq"}}}},
       {"quantized by 'awq'"}},
      {"gemma",
       {{"quantization_config", {{"quant_method", "bitsandbytes"}}}},
       {"quantized by 'bitsandbytes'"}},
      {"gemma2",
       {{"hidden_activation", "silu"}},
       {"'hidden_activation' is the string 'silu'",
        "wanted 'gelu_pytorch_tanh'"}},
      {"gemma", {{"hidden_act", "relu"}}, {"'hidden_act'", "'relu'"}},
  });
}

TEST(ConfigJsonRefuses, LayersThatDisagree) {
  ExpectRefused({
      {"gemma2",
       {{"layer_types", {"sliding_attention", "chunked_attention"}}},
       {"layer_types holds 'chunked_attention'", "wanted 'full_attention'"}},
      {"gemma2",
       {{"layer_types", {"full_attention"}}},
       {"layer_types names 1 layers", "num_hidden_layers is 2"}},
      {"gemma2", {{"layer_types", "full_attention"}}, {"'layer_types'"}},
      {"gemma3_text",
       {{"sliding_window_pattern", 0}},
       {"'sliding_window_pattern' is 0", "wanted at least 1"}},
      {"gemma",
       {{"num_hidden_layers", 0}},
       {"num_hidden_layers is 0, wanted 1 to 1024"}},
      {"gemma",
       {{"num_hidden_layers", int64_t{1} << 31}},
       {"num_hidden_layers is 2147483648, wanted 1 to 1024"}},
      {"gemma", {{"num_hidden_layers", -1}}, {"'num_hidden_layers' is -1"}},
      {"gemma", {{"num_hidden_layers", 2.5}}, {"'num_hidden_layers'", "2.5"}},
      {"recurrent_gemma",
       {{"block_types", {"recurrent", "mamba"}}},
       {"block_types holds 'mamba'", "wanted 'recurrent' or 'attention'"}},
      {"recurrent_gemma",
       {{"block_types", json::array()}},
       {"block_types is empty"}},
  });
}

TEST(ConfigJsonRefuses, SizesOutOfRange) {
  std::vector<Refusal> refusals;
  const std::pair<const char*, const char*> sizes[] = {
      {"hidden_size", "model_dim"},
      {"intermediate_size", "ffw_dim"},
      {"num_attention_heads", "num_heads"},
      {"num_key_value_heads", "num_kv_heads"},
      {"head_dim", "head_dim"},
      {"vocab_size", "vocab_size"},
      {"max_position_embeddings", "max_context"}};
  for (const auto& [key, field] : sizes) {
    for (const uint64_t value : {uint64_t{0}, (uint64_t{1} << 24) + 1,
                                 uint64_t{1} << 62, ~uint64_t{0}}) {
      refusals.push_back(
          {"gemma",
           {{key, value}},
           {absl::StrCat(field, " is ", value), "wanted 1 to 16777216"}});
    }
    refusals.push_back({"gemma", {{key, "8"}}, {absl::StrCat("'", key, "'")}});
  }
  // Both are in range, but their product is too large.
  refusals.push_back({"gemma",
                      {{"num_attention_heads", 1 << 20}, {"head_dim", 1 << 20}},
                      {"num_heads * head_dim is 1099511627776"}});
  ExpectRefused(refusals);
}

TEST(ConfigJsonRefuses, InvalidAttention) {
  ExpectRefused({
      {"gemma",
       {{"num_attention_heads", 3}, {"num_key_value_heads", 2}},
       {"num_heads is 3, wanted a multiple of num_kv_heads 2"}},
      {"gemma",
       {{"head_dim", 3}},
       {"rotary_dim is 3, wanted an even number up to head_dim 3"}},
      {"gemma2",
       {{"sliding_window", 0}},
       {"'sliding_window' is 0, wanted 1 or more, because 1 layers are"}},
      {"gemma3_text",
       {{"sliding_window", nullptr}},
       {"'sliding_window' is null, wanted 1 or more, because "}},
      {"gemma2",
       {{"sliding_window", 1 << 25}},
       {"sliding_window is 33554432, wanted 1 to 16777216"}},
      {"gemma2",
       {{"query_pre_attn_scalar", 0}},
       {"query_pre_attn_scalar is 0, wanted a positive number"}},
      {"gemma2", {{"query_pre_attn_scalar", -4}}, {"query_pre_attn_scalar"}},
      {"gemma3_text",
       {{"rope_scaling", {{"rope_type", "linear"}}}},
       {"'rope_scaling'", "factor"}},
      {"gemma3_text",
       {{"rope_scaling", {{"rope_type", "linear"}, {"factor", 0}}}},
       {"rope.factor is 0, wanted a positive number"}},
      {"gemma", {{"rope_theta", 0}}, {"layer 0: rope.base is 0, wanted"}},
      {"gemma3_text",
       {{"rope_local_base_freq", -1}},
       {"rope.base is -1, wanted"}},
  });
}

TEST(ConfigJsonRefuses, NumbersThatAreNone) {
  ExpectRefused({
      {"gemma",
       {{"rms_norm_eps", 0}},
       {"rms_norm_eps is 0, wanted a positive number"}},
      {"gemma", {{"rms_norm_eps", -1e-6}}, {"rms_norm_eps is -1e-06"}},
      {"gemma", {{"rms_norm_eps", 1e300}}, {"'rms_norm_eps'"}},
      {"gemma", {{"rms_norm_eps", "1e-6"}}, {"'rms_norm_eps'", "wanted"}},
      {"gemma2",
       {{"final_logit_softcapping", -30}},
       {"final_logits_soft_cap is -30, wanted 0 (none) or"}},
      {"gemma2", {{"attn_logit_softcapping", -1}}, {"attn_logits_soft_cap"}},
      {"gemma", {{"bos_token_id", 8}}, {"bos_token is 8", "vocab_size 8"}},
      {"gemma", {{"bos_token_id", -1}}, {"bos_token is -1"}},
      {"gemma", {{"eos_token_id", "1"}}, {"'eos_token_id'"}},
      {"gemma", {{"eos_token_id", {1, nullptr}}}, {"'eos_token_id[1]'"}},
  });
}

// NaN is not valid JSON, but Python writes it.
TEST(ConfigJsonRefuses, NaN) {
  const std::string directory = TestDirectory();
  WriteTinyDirectory(directory, TinyConfig("gemma"), TinyHfTensors("gemma"));
  WriteFile(directory + "/config.json",
            R"({"model_type": "gemma", "rms_norm_eps": NaN})");
  EXPECT_THAT(
      ErrorOf(Model::Load(directory).status()),
      AllOf(StartsWith(directory + "/config.json"), HasSubstr("is not JSON")));
}

TEST(ConfigJsonRefuses, InvalidRecurrence) {
  ExpectRefused({
      {"recurrent_gemma",
       {{"intermediate_size", 13}},
       {"'intermediate_size' is 13, wanted an even number"}},
      {"recurrent_gemma",
       {{"num_attention_heads", 3}},
       {"hidden_size is 8", "num_attention_heads 3"}},
      {"recurrent_gemma",
       {{"num_attention_heads", 0}},
       {"num_attention_heads 0"}},
      {"recurrent_gemma",
       {{"partial_rotary_factor", 1.5}},
       {"partial_rotary_factor is 1.5, wanted 0 to 1"}},
      {"recurrent_gemma",
       {{"partial_rotary_factor", 0.25}},
       {"rotary_dim is 1, wanted an even number"}},
      {"recurrent_gemma",
       {{"conv1d_width", 0}},
       {"conv_width is 0, wanted 1 to 16"}},
      {"recurrent_gemma",
       {{"conv1d_width", 17}},
       {"conv_width is 17, wanted 1 to 16"}},
      {"recurrent_gemma",
       {{"lru_width", 9}},
       {"lru_width is 9, wanted a multiple of num_heads 2"}},
      {"recurrent_gemma",
       {{"lru_width", 4096}},
       {"lru_width is 4096, wanted at most 1024 times num_heads 2"}},
      {"recurrent_gemma",
       {{"attention_window_size", 1 << 24}},
       {"sliding_window is 16777217, wanted"}},
  });
}

// A file must not be obeyed in part.
TEST(ConfigJsonRefuses, FieldsItWouldIgnore) {
  ExpectRefused({
      {"recurrent_gemma",
       {{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2}}}},
       {"factor"}},
      {"recurrent_gemma",
       {{"embeddings_scale_by_sqrt_dim", false}},
       {"embeddings_scale_by_sqrt_dim"}},
  });
}

TEST(ConfigJsonRefuses, QuantizationOutsideTextTower) {
  json config = Nested(TinyConfig("gemma3_text"));
  config["quantization_config"] = {{"bits", 4}};
  EXPECT_THAT(ErrorOf(FromJson(config)), HasSubstr("quantization_config"));
}

// Validate checks even a size that no block uses.
TEST(ConfigJsonRefuses, HugeUnusedLruWidth) {
  for (const uint64_t width : {uint64_t{1} << 40, uint64_t{1} << 62}) {
    absl::StatusOr<ModelConfig> config =
        FromJson(With(TinyConfig("recurrent_gemma"),
                      {{"block_types", {"attention"}}, {"lru_width", width}}));
    if (!config.ok()) continue;
    config->embedding_scale = 1.0f;
    EXPECT_THAT(ErrorOf(Validate(*config)), HasSubstr("lru_width"));
  }
}

// ---------------------------------------------------------------------------
// GGUF

// The keys that every file has.
GgufWriter Keys(const ConfigDraft& c) {
  const auto key = [&](const char* name) {
    return absl::StrCat(c.architecture, ".", name);
  };
  const auto size = [](size_t value) { return static_cast<uint32_t>(value); };
  GgufWriter gguf;
  gguf.String("general.architecture", c.architecture)
      .Uint32(key("context_length"), size(c.max_context))
      .Uint32(key("embedding_length"), size(c.model_dim))
      .Uint32(key("block_count"), size(c.blocks.size()))
      .Uint32(key("feed_forward_length"), size(c.all.ffw_dim))
      .Uint32(key("attention.head_count"), size(c.all.num_heads))
      .Uint32(key("attention.head_count_kv"), size(c.all.num_kv_heads))
      .Uint32(key("attention.key_length"), size(c.all.head_dim))
      .Uint32(key("attention.value_length"), size(c.all.head_dim))
      .Float32(key("attention.layer_norm_rms_epsilon"), 1e-6f);
  return gguf;
}

void ExpectGguf(const GgufWriter& gguf, ConfigDraft expected,
                RecurrentWindow window = kDeepMind) {
  SCOPED_TRACE(absl::StrCat(expected.architecture, ", ", expected.blocks.size(),
                            " layers"));
  const absl::StatusOr<ModelConfig> config = FromGguf(gguf, window);
  ASSERT_EQ(ErrorOf(config), "OK");
  expected.vocab_size = 0;  // follows from the table
  ExpectEqual(*config, expected);
}

TEST(ConfigGguf, PublishedModelsAreRead) {
  for (const ConfigDraft& c :
       {Gemma(18, 2048, 8, 1, 16384), Gemma(28, 3072, 16, 16, 24576)}) {
    ExpectGguf(Keys(c), c);
  }
  for (const ConfigDraft& c : {Gemma2(26, 2304, 8, 4, 256, 9216, 256),
                               Gemma2(42, 3584, 16, 8, 256, 14336, 256),
                               Gemma2(46, 4608, 32, 16, 128, 36864, 144)}) {
    ExpectGguf(Keys(c)
                   .Uint32("gemma2.attention.sliding_window", 4096)
                   .Float32("gemma2.attn_logit_softcapping", 50.0f)
                   .Float32("gemma2.final_logit_softcapping", 30.0f),
               c);
    // Early files lack these keys.
    ExpectGguf(Keys(c), c);
  }
  for (const ConfigDraft& c : {Gemma3(18, 640, 4, 1, 256, 2048, 256, true),
                               Gemma3(26, 1152, 4, 1, 256, 6912, 256, true)}) {
    ExpectGguf(Keys(c)
                   .Uint32("gemma3.attention.sliding_window", 512)
                   .Float32("gemma3.rope.freq_base", 1e6f),
               c);
  }
  for (const ConfigDraft& c :
       {Gemma3(34, 2560, 8, 4, 256, 10240, 256, false),
        Gemma3(48, 3840, 16, 8, 256, 15360, 256, false),
        Gemma3(62, 5376, 32, 16, 128, 21504, 168, false)}) {
    ExpectGguf(Keys(c)
                   .Uint32("gemma3.attention.sliding_window", 1024)
                   .Float32("gemma3.rope.freq_base", 1e6f)
                   .Float32("gemma3.rope.freq_base_swa", 10000.0f)
                   .String("gemma3.rope.scaling.type", "linear")
                   .Float32("gemma3.rope.scaling.factor", 8.0f),
               c);
  }
}

TEST(ConfigGguf, RecurrentGemmaIsRead) {
  const ConfigDraft c = Griffin(26, 2560, 10, 7680, 2049);
  const GgufWriter defaults = Keys(c);
  ExpectGguf(defaults, c);
  ExpectGguf(defaults, Griffin(26, 2560, 10, 7680, 2048), kTransformers);
  ExpectGguf(Keys(c)
                 .Uint32("recurrentgemma.attention.sliding_window", 2048)
                 .Uint32("recurrentgemma.rope.dimension_count", 128)
                 .Float32("recurrentgemma.final_logit_softcapping", 30.0f)
                 .Uint32("recurrentgemma.recurrent.lru_width", 2560)
                 .Uint32("recurrentgemma.recurrent.conv_width", 4)
                 .Strings("recurrentgemma.recurrent.block_types",
                          {"recurrent", "recurrent", "attention"}),
             c);
}

TEST(ConfigGguf, RopeBaseDefaults) {
  const absl::StatusOr<ModelConfig> gemma = FromGguf(TinyGgufKeys("gemma"));
  ASSERT_EQ(ErrorOf(gemma), "OK");
  EXPECT_EQ(gemma->layers[0].rope.base, 10000.0f);
  const absl::StatusOr<ModelConfig> gemma2 =
      FromGguf(TinyGgufKeys("gemma2").Float32("gemma2.rope.freq_base", 500.0f));
  ASSERT_EQ(ErrorOf(gemma2), "OK");
  for (const LayerConfig& layer : gemma2->layers) {
    EXPECT_EQ(layer.rope.base, 500.0f);
  }
  const absl::StatusOr<ModelConfig> gemma3 = FromGguf(TinyGgufKeys("gemma3"));
  ASSERT_EQ(ErrorOf(gemma3), "OK");
  for (const LayerConfig& layer : gemma3->layers) {
    const bool global = layer.type == BlockType::kGlobalAttention;
    EXPECT_EQ(layer.rope.base, global ? 1e6f : 10000.0f);
  }
}

TEST(ConfigGguf, PatternNumberOrList) {
  const ConfigDraft c = Gemma3(7, 640, 4, 1, 256, 2048, 256, true);
  const auto blocks = [](GgufWriter gguf) {
    gguf.Uint32("gemma3.attention.sliding_window", 512);
    const absl::StatusOr<ModelConfig> config = FromGguf(gguf);
    EXPECT_EQ(ErrorOf(config), "OK");
    return config.ok() ? BlocksOf(*config) : std::vector<BlockType>();
  };
  const char* key = "gemma3.attention.sliding_window_pattern";
  EXPECT_EQ(blocks(Keys(c)), Blocks(7, 6));
  EXPECT_EQ(blocks(Keys(c).Uint32(key, 3)), Blocks(7, 3));
  EXPECT_EQ(blocks(Keys(c).Array<uint8_t>(key, 7, {1, 1, 0, 1, 1, 0, 1})),
            Blocks(7, 3));
  EXPECT_EQ(blocks(Keys(c).Array<int32_t>(key, 5, {1, 1, 0, 1, 1, 0, 1})),
            Blocks(7, 3));
}

TEST(ConfigGguf, WindowlessGemma3IsGlobal) {
  const ConfigDraft c = Gemma3(7, 640, 4, 1, 256, 2048, 256, true);
  const absl::StatusOr<ModelConfig> config = FromGguf(Keys(c));
  ASSERT_EQ(ErrorOf(config), "OK");
  EXPECT_EQ(BlocksOf(*config), Blocks(7, 1));
}

TEST(ConfigGguf, DerivesMissingHeadSizes) {
  const absl::StatusOr<ModelConfig> config =
      FromGguf(GgufWriter()
                   .String("general.architecture", "gemma")
                   .Uint32("gemma.embedding_length", 64)
                   .Uint32("gemma.block_count", 2)
                   .Uint32("gemma.feed_forward_length", 96)
                   .Uint32("gemma.attention.head_count", 4));
  ASSERT_EQ(ErrorOf(config), "OK");
  EXPECT_EQ(config->layers[0].num_kv_heads, 4u);
  EXPECT_EQ(config->layers[0].head_dim, 16u);
}

TEST(ConfigGguf, StopTokensAreMerged) {
  const absl::StatusOr<ModelConfig> config =
      FromGguf(TinyGgufKeys("gemma")
                   .Uint32("tokenizer.ggml.bos_token_id", 5)
                   .Uint32("tokenizer.ggml.eos_token_id", 6)
                   .Uint32("tokenizer.ggml.eot_token_id", 7)
                   .Uint32("tokenizer.ggml.eom_token_id", 8));
  ASSERT_EQ(ErrorOf(config), "OK");
  EXPECT_EQ(config->bos_token, 5);
  EXPECT_THAT(config->stop_tokens, ::testing::IsSupersetOf({6, 7, 8}));
}

// They count as missing.
TEST(ConfigGguf, ImpossibleTokensAreIgnored) {
  const absl::StatusOr<ModelConfig> config =
      FromGguf(TinyGgufKeys("gemma")
                   .Uint32("tokenizer.ggml.bos_token_id", 0xFFFFFFFF)
                   .Uint32("tokenizer.ggml.eos_token_id", 0xFFFFFFFF)
                   .Uint32("tokenizer.ggml.eom_token_id", 0xFFFFFFFF));
  ASSERT_EQ(ErrorOf(config), "OK");
  EXPECT_EQ(config->bos_token, 2);
  EXPECT_THAT(config->stop_tokens, ::testing::ElementsAre(1));
}

// The error of loading the smallest model of this architecture with more keys.
std::string GgufError(const char* architecture, GgufWriter gguf) {
  AddTensors(TinyGgufTensors(architecture), gguf);
  const std::string path = TestDirectory() + "/m.gguf";
  WriteFile(path, gguf.Finish());
  const std::string error =
      ErrorOf(Model::Load(path, {.num_threads = 1}).status());
  if (error != "OK") {
    EXPECT_THAT(error, StartsWith(path));
  }
  return error;
}

TEST(ConfigGguf, SmallestModelsLoad) {
  for (const char* architecture : kArchitectures) {
    EXPECT_EQ(GgufError(architecture, TinyGgufKeys(architecture)), "OK")
        << architecture;
  }
}

TEST(ConfigGgufRefuses, UnknownArchitecture) {
  EXPECT_THAT(GgufError("gemma", TinyGgufKeys("llama")),
              AllOf(HasSubstr("'general.architecture' is 'llama'"),
                    HasSubstr("wanted a Gemma model")));
  EXPECT_THAT(GgufError("gemma", GgufWriter()),
              HasSubstr("general.architecture"));
  EXPECT_THAT(
      GgufError("gemma", TinyGgufKeys("gemma4-assistant")),
      HasSubstr("'gemma4-assistant': this Gemma is not read yet, wanted"));
}

TEST(ConfigGgufRefuses, OtherScalingOfRope) {
  EXPECT_THAT(
      GgufError("gemma3", TinyGgufKeys("gemma3").String(
                              "gemma3.rope.scaling.type", "yarn")),
      HasSubstr("key 'gemma3.rope.scaling.type' is 'yarn', wanted 'none' or "
                "'linear'"));
  EXPECT_THAT(GgufError("gemma3", TinyGgufKeys("gemma3").String(
                                      "gemma3.rope.scaling.type", "linear")),
              HasSubstr("gemma3.rope.scaling.factor"));
  EXPECT_THAT(
      GgufError("recurrentgemma",
                TinyGgufKeys("recurrentgemma")
                    .Float32("recurrentgemma.rope.scaling.factor", 2.0f)),
      HasSubstr("key 'recurrentgemma.rope.scaling.factor' is 2, wanted 1"));
}

TEST(ConfigGgufRefuses, WrongValueTypes) {
  const auto keys = [] { return TinyGgufKeys("gemma3"); };
  EXPECT_THAT(GgufError("gemma3", keys().Float32("gemma3.context_length", 8)),
              HasSubstr("'gemma3.context_length'"));
  EXPECT_THAT(GgufError("gemma3", keys().String("gemma3.context_length", "8")),
              HasSubstr("'gemma3.context_length'"));
  EXPECT_THAT(GgufError("gemma3", keys().String("gemma3.rope.freq_base", "x")),
              HasSubstr("'gemma3.rope.freq_base'"));
  EXPECT_THAT(GgufError("gemma3", keys().Uint32("gemma3.rope.scaling.type", 1)),
              HasSubstr("'gemma3.rope.scaling.type'"));
  EXPECT_THAT(
      GgufError("gemma3",
                keys().Float32("gemma3.attention.layer_norm_rms_epsilon", NAN)),
      HasSubstr("'gemma3.attention.layer_norm_rms_epsilon'"));
  EXPECT_THAT(
      GgufError("gemma3",
                keys().Float32("gemma3.attention.layer_norm_rms_epsilon", 0)),
      HasSubstr("rms_norm_eps is 0, wanted a positive number"));
  EXPECT_THAT(GgufError("gemma3",
                        keys().Value("gemma3.context_length", 5, int32_t{-1})),
              HasSubstr("'gemma3.context_length'"));
}

TEST(ConfigGgufRefuses, SizesThatDisagree) {
  const auto keys = [](uint32_t layers, uint32_t heads, uint32_t kv_heads,
                       uint32_t key_length, uint32_t value_length) {
    return GgufWriter()
        .String("general.architecture", "gemma3")
        .Uint32("gemma3.embedding_length", 8)
        .Uint32("gemma3.block_count", layers)
        .Uint32("gemma3.feed_forward_length", 6)
        .Uint32("gemma3.attention.head_count", heads)
        .Uint32("gemma3.attention.head_count_kv", kv_heads)
        .Uint32("gemma3.attention.key_length", key_length)
        .Uint32("gemma3.attention.value_length", value_length);
  };
  EXPECT_THAT(GgufError("gemma3", keys(2, 2, 1, 4, 8)),
              HasSubstr("'gemma3.attention.value_length' is 8, wanted "
                        "attention.key_length 4"));
  EXPECT_THAT(GgufError("gemma3", keys(0, 2, 1, 4, 4)),
              HasSubstr("'gemma3.block_count' is 0, wanted 1 to 1024"));
  EXPECT_THAT(GgufError("gemma3", keys(1025, 2, 1, 4, 4)),
              HasSubstr("'gemma3.block_count' is 1025, wanted 1 to 1024"));
  EXPECT_THAT(GgufError("gemma3", keys(2, 0, 1, 4, 4)),
              HasSubstr("head_count is 0"));
  EXPECT_THAT(GgufError("gemma3", keys(2, 3, 2, 4, 4)),
              HasSubstr("num_heads is 3, wanted a multiple of num_kv_heads"));
  EXPECT_THAT(GgufError("gemma3", keys(2, 2, 0, 4, 4)),
              HasSubstr("num_kv_heads is 0"));
  EXPECT_THAT(GgufError("gemma3", keys(2, 2, 1, 3, 3)),
              HasSubstr("rotary_dim is 3"));
  EXPECT_THAT(GgufError("gemma3", keys(2, 1u << 31, 1, 1u << 31, 1u << 31)),
              HasSubstr("num_heads is 2147483648"));
  EXPECT_THAT(
      GgufError("gemma3",
                keys(2, 2, 1, 4, 4)
                    .Uint32("gemma3.attention.sliding_window", 2)
                    .Array<uint8_t>("gemma3.attention.sliding_window_pattern",
                                    7, {1, 0, 1})),
      AllOf(HasSubstr("'gemma3.attention.sliding_window_pattern' has 3"),
            HasSubstr("block_count is 2")));
  EXPECT_THAT(
      GgufError("gemma3",
                keys(2, 2, 1, 4, 4)
                    .Uint32("gemma3.attention.sliding_window", 2)
                    .Uint32("gemma3.attention.sliding_window_pattern", 0)),
      HasSubstr("sliding_window_pattern' is 0, wanted at least 1"));
}

TEST(ConfigGgufRefuses, MissingSizes) {
  for (const char* missing : {"embedding_length", "block_count",
                              "feed_forward_length", "attention.head_count"}) {
    GgufWriter gguf;
    gguf.String("general.architecture", "gemma");
    for (const char* key : {"embedding_length", "block_count",
                            "feed_forward_length", "attention.head_count"}) {
      if (std::string_view(key) != missing) {
        gguf.Uint32(absl::StrCat("gemma.", key), 2);
      }
    }
    EXPECT_THAT(GgufError("gemma", gguf),
                HasSubstr(absl::StrCat("gemma.", missing)));
  }
}

}  // namespace
}  // namespace gemma::internal

// Reads the configurations of Gemma 4 and its relatives: the published models
// in both spellings and in GGUF, and files that must be refused.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
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
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Types of GGUF values.
constexpr uint32_t kInt32 = 5;
constexpr uint32_t kBool = 7;

// A published model.
struct Gemma4Size {
  std::string name;
  size_t layers, dim, ffw, heads, kv_heads, global_kv_heads, window, period;
  size_t context;
  bool k_eq_v = false;
  size_t shared = 0;
  std::optional<size_t> local_source, global_source;  // of shared layers
  bool double_wide = false;
  size_t per_layer_dim = 0;
  size_t experts = 0, experts_used = 0, expert_dim = 0;
  bool unified = false;
};

void PrintTo(const Gemma4Size& size, std::ostream* out) { *out << size.name; }

std::vector<Gemma4Size> Gemma4Sizes() {
  return {
      {.name = "e2b",
       .layers = 35,
       .dim = 1536,
       .ffw = 6144,
       .heads = 8,
       .kv_heads = 1,
       .global_kv_heads = 1,
       .window = 512,
       .period = 5,
       .context = 131072,
       .shared = 20,
       .local_source = 13,
       .global_source = 14,
       .double_wide = true,
       .per_layer_dim = 256},
      {.name = "e4b",
       .layers = 42,
       .dim = 2560,
       .ffw = 10240,
       .heads = 8,
       .kv_heads = 2,
       .global_kv_heads = 2,
       .window = 512,
       .period = 6,
       .context = 131072,
       .shared = 18,
       .local_source = 22,
       .global_source = 23,
       .per_layer_dim = 256},
      {.name = "12b",
       .layers = 48,
       .dim = 3840,
       .ffw = 15360,
       .heads = 16,
       .kv_heads = 8,
       .global_kv_heads = 1,
       .window = 1024,
       .period = 6,
       .context = 262144,
       .k_eq_v = true,
       .unified = true},
      {.name = "26b_a4b",
       .layers = 30,
       .dim = 2816,
       .ffw = 2112,
       .heads = 16,
       .kv_heads = 8,
       .global_kv_heads = 2,
       .window = 1024,
       .period = 6,
       .context = 262144,
       .k_eq_v = true,
       .experts = 128,
       .experts_used = 8,
       .expert_dim = 704},
      {.name = "31b",
       .layers = 60,
       .dim = 5376,
       .ffw = 21504,
       .heads = 32,
       .kv_heads = 16,
       .global_kv_heads = 4,
       .window = 1024,
       .period = 6,
       .context = 262144,
       .k_eq_v = true},
  };
}

bool IsGlobal(const Gemma4Size& size, size_t layer) {
  return (layer + 1) % size.period == 0;
}

ModelConfig Expected(const Gemma4Size& size) {
  ModelConfig c;
  c.architecture = "gemma4";
  c.model_dim = size.dim;
  c.vocab_size = 262144;
  c.max_context = size.context;
  c.query_scale = 1.0f;
  c.rms_norm_eps = 1e-6f;
  c.final_logits_soft_cap = 30.0f;
  c.post_norms = c.qk_norm = c.value_norm = c.layer_scales = true;
  c.per_layer_dim = size.per_layer_dim;
  c.per_layer_vocab = size.per_layer_dim == 0 ? 0 : 262144;
  c.stop_tokens = {1, 1, 106};
  for (size_t i = 0; i < size.layers; ++i) {
    const bool global = IsGlobal(size, i);
    LayerConfig& l = c.layers.emplace_back();
    l.type = global ? BlockType::kGlobalAttention : BlockType::kLocalAttention;
    l.num_heads = size.heads;
    l.num_kv_heads = global ? size.global_kv_heads : size.kv_heads;
    l.head_dim = global ? 512 : 256;
    l.sliding_window = global ? 0 : size.window;
    l.rope.rotary_dim = l.head_dim;
    l.rope.base = global ? 1e6f : 1e4f;
    if (global) l.rope.num_rotating = 64;
    l.k_eq_v = global && size.k_eq_v;
    l.ffw_dim = size.ffw;
    l.num_experts = size.experts;
    l.experts_used = size.experts_used;
    l.expert_dim = size.expert_dim;
    if (i + size.shared < size.layers) continue;
    l.kv_source = global ? size.global_source : size.local_source;
    if (size.double_wide) l.ffw_dim *= 2;
  }
  return c;
}

json LayerTypesOf(const Gemma4Size& size) {
  json types = json::array();
  for (size_t i = 0; i < size.layers; ++i) {
    types.push_back(IsGlobal(size, i) ? "full_attention" : "sliding_attention");
  }
  return types;
}

// The text_config of the published file.
json TextConfig(const Gemma4Size& size) {
  json text = {
      {"model_type", size.unified ? "gemma4_unified_text" : "gemma4_text"},
      {"attention_bias", false},
      {"attention_k_eq_v", size.k_eq_v},
      {"bos_token_id", 2},
      {"eos_token_id", 1},
      {"final_logit_softcapping", 30.0},
      {"global_head_dim", 512},
      {"head_dim", 256},
      {"hidden_activation", "gelu_pytorch_tanh"},
      {"hidden_size", size.dim},
      {"intermediate_size", size.ffw},
      {"layer_types", LayerTypesOf(size)},
      {"max_position_embeddings", size.context},
      {"num_attention_heads", size.heads},
      {"num_global_key_value_heads", nullptr},
      {"num_hidden_layers", size.layers},
      {"num_key_value_heads", size.kv_heads},
      {"num_kv_shared_layers", size.shared},
      {"pad_token_id", 0},
      {"rms_norm_eps", 1e-6},
      {"rope_parameters",
       {{"full_attention",
         {{"partial_rotary_factor", 0.25},
          {"rope_theta", 1000000.0},
          {"rope_type", "proportional"}}},
        {"sliding_attention",
         {{"rope_theta", 10000.0}, {"rope_type", "default"}}}}},
      {"sliding_window", size.window},
      {"tie_word_embeddings", true},
      {"use_bidirectional_attention", nullptr},
      {"use_double_wide_mlp", size.double_wide},
      {"vocab_size", 262144}};
  if (size.k_eq_v) {
    text["num_global_key_value_heads"] = size.global_kv_heads;
    text["use_bidirectional_attention"] = "vision";
  }
  if (size.unified) return text;
  text["enable_moe_block"] = size.experts != 0;
  text["hidden_size_per_layer_input"] = size.per_layer_dim;
  text["vocab_size_per_layer_input"] = 262144;
  for (const char* key :
       {"num_experts", "top_k_experts", "moe_intermediate_size"}) {
    text[key] = nullptr;
  }
  if (size.experts == 0) return text;
  text["num_experts"] = size.experts;
  text["top_k_experts"] = size.experts_used;
  text["moe_intermediate_size"] = size.expert_dim;
  return text;
}

// The published file, around its text_config.
json Multimodal(const Gemma4Size& size, json text) {
  return {{"model_type", size.unified ? "gemma4_unified" : "gemma4"},
          {"architectures", {"Gemma4ForConditionalGeneration"}},
          {"audio_config", nullptr},
          {"eos_token_id", {1, 106}},
          {"image_token_id", 258880},
          {"text_config", std::move(text)},
          {"tie_word_embeddings", true},
          {"vision_config", {{"model_type", "gemma4_vision"}}}};
}

struct NotedConfig {
  absl::StatusOr<ModelConfig> config;
  Notes notes;
};

NotedConfig ReadNoted(const std::string& path) {
  Notes notes;
  absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(path);
  if (!checkpoint.ok()) return {checkpoint.status(), {}};
  absl::StatusOr<ModelConfig> config =
      ReadConfig(*checkpoint, RecurrentWindow::kDeepMind, &notes);
  return {std::move(config), std::move(notes)};
}

NotedConfig ReadJson4(const json& config) {
  const std::string directory = TestDirectory();
  WriteFile(directory + "/config.json", config.dump());
  WriteFile(directory + "/model.safetensors", TinySafetensors());
  return ReadNoted(directory);
}

void ExpectConfig(const NotedConfig& result, const ModelConfig& expected) {
  ASSERT_EQ(ErrorOf(result.config), "OK");
  EXPECT_EQ(ConfigText(*result.config), ConfigText(expected));
  EXPECT_THAT(result.notes, IsEmpty());
}

class Gemma4Config : public ::testing::TestWithParam<Gemma4Size> {};

INSTANTIATE_TEST_SUITE_P(Sizes, Gemma4Config,
                         ::testing::ValuesIn(Gemma4Sizes()),
                         [](const auto& size) { return size.param.name; });

TEST_P(Gemma4Config, PublishedSpelling) {
  const Gemma4Size& size = GetParam();
  ExpectConfig(ReadJson4(Multimodal(size, TextConfig(size))), Expected(size));
}

// transformers numbers the layers in strings of equal length, and leaves out
// what is the same everywhere.
TEST_P(Gemma4Config, TransformersSpelling) {
  const Gemma4Size& size = GetParam();
  json text = TextConfig(size);
  text.erase("global_head_dim");
  text.erase("num_global_key_value_heads");
  json own = json::object();
  for (size_t i = 0; i < size.layers; ++i) {
    if (!IsGlobal(size, i)) continue;
    json& layer = own[absl::StrCat(i < 10 ? "0" : "", i)];
    layer["head_dim"] = 512;
    if (size.global_kv_heads != size.kv_heads) {
      layer["num_key_value_heads"] = size.global_kv_heads;
    }
  }
  text["per_layer_config"] = own;
  ExpectConfig(ReadJson4(Multimodal(size, text)), Expected(size));
}

TEST_P(Gemma4Config, TextModelAlone) {
  const Gemma4Size& size = GetParam();
  ModelConfig expected = Expected(size);
  expected.stop_tokens = {1, 1};
  ExpectConfig(ReadJson4(TextConfig(size)), expected);
}

// The keys of llama.cpp's converter.
GgufWriter GgufKeys(const Gemma4Size& size) {
  const auto u = [](size_t value) { return static_cast<uint32_t>(value); };
  std::vector<uint8_t> local;
  std::vector<int32_t> kv_heads;
  std::vector<int32_t> ffw;
  for (size_t i = 0; i < size.layers; ++i) {
    const bool global = IsGlobal(size, i);
    local.push_back(!global);
    kv_heads.push_back(
        static_cast<int32_t>(global ? size.global_kv_heads : size.kv_heads));
    const bool wide = size.double_wide && i + size.shared >= size.layers;
    ffw.push_back(static_cast<int32_t>(size.ffw * (wide ? 2 : 1)));
  }
  GgufWriter gguf;
  gguf.String("general.architecture", "gemma4")
      .Uint32("gemma4.block_count", u(size.layers))
      .Uint32("gemma4.context_length", u(size.context))
      .Uint32("gemma4.embedding_length", u(size.dim))
      .Uint32("gemma4.attention.head_count", u(size.heads))
      .Float32("gemma4.rope.freq_base", 1e6f)
      .Float32("gemma4.rope.freq_base_swa", 1e4f)
      .Float32("gemma4.attention.layer_norm_rms_epsilon", 1e-6f)
      .Uint32("gemma4.attention.key_length", 512)
      .Uint32("gemma4.attention.value_length", 512)
      .Uint32("gemma4.attention.key_length_swa", 256)
      .Uint32("gemma4.attention.value_length_swa", 256)
      .Uint32("gemma4.attention.sliding_window", u(size.window))
      .Uint32("gemma4.attention.shared_kv_layers", u(size.shared))
      .Array("gemma4.attention.sliding_window_pattern", kBool, local)
      .Uint32("gemma4.rope.dimension_count", 512)
      .Uint32("gemma4.rope.dimension_count_swa", 256)
      .Uint32("gemma4.embedding_length_per_layer_input", u(size.per_layer_dim))
      .Uint32("tokenizer.ggml.eot_token_id", 106);
  if (size.kv_heads == size.global_kv_heads) {
    gguf.Uint32("gemma4.attention.head_count_kv", u(size.kv_heads));
  } else {
    gguf.Array("gemma4.attention.head_count_kv", kInt32, kv_heads);
  }
  if (size.double_wide) {
    gguf.Array("gemma4.feed_forward_length", kInt32, ffw);
  } else {
    gguf.Uint32("gemma4.feed_forward_length", u(size.ffw));
  }
  if (size.experts == 0) return gguf;
  gguf.Uint32("gemma4.expert_count", u(size.experts))
      .Uint32("gemma4.expert_used_count", u(size.experts_used))
      .Uint32("gemma4.expert_feed_forward_length", u(size.expert_dim));
  return gguf;
}

Bytes Floats(const std::vector<float>& values) {
  ByteWriter bytes;
  for (const float value : values) bytes.Number(value);
  return bytes.bytes();
}

// Adds the tensors that the configuration depends on. Sizes other than those of
// rope_freqs do not count here.
GgufWriter WithTensors(const Gemma4Size& size, GgufWriter gguf,
                       const std::vector<float>& factors) {
  gguf.Tensor("token_embd.weight", {8, 4}, /*type=*/0, Pattern(128))
      .Tensor("rope_freqs.weight", {factors.size()}, /*type=*/0,
              Floats(factors))
      .Tensor("blk.0.layer_output_scale.weight", {1}, /*type=*/0, Pattern(4));
  if (size.per_layer_dim != 0) {
    // 262144 rows of one value in F16: their bytes are never read.
    gguf.Tensor("per_layer_token_embd.weight", {1, 262144}, /*type=*/1,
                Pattern(2 * 262144));
  }
  for (size_t i = 0; i < size.layers; ++i) {
    if (IsGlobal(size, i) && size.k_eq_v) continue;
    gguf.Tensor(absl::StrCat("blk.", i, ".attn_v.weight"), {1, 1}, /*type=*/0,
                Pattern(4));
  }
  return gguf;
}

std::vector<float> RopeFactors(size_t pairs, size_t rotating) {
  std::vector<float> factors(pairs, 1e30f);
  std::fill_n(factors.begin(), rotating, 1.0f);
  return factors;
}

NotedConfig ReadGguf4(const GgufWriter& gguf) {
  const std::string path = TestDirectory() + "/m.gguf";
  WriteFile(path, gguf.Finish());
  return ReadNoted(path);
}

TEST_P(Gemma4Config, GgufKeysAreRead) {
  const Gemma4Size& size = GetParam();
  ModelConfig expected = Expected(size);
  expected.vocab_size = 0;  // follows from the table
  expected.stop_tokens = {1, 106};
  ExpectConfig(
      ReadGguf4(WithTensors(size, GgufKeys(size), RopeFactors(256, 64))),
      expected);
}

// The smallest size, with changes to its text_config.
NotedConfig E2bWith(const json& changes) {
  json config = TextConfig(Gemma4Sizes()[0]);
  config.update(changes);
  return ReadJson4(config);
}

// As in files of Gemma 3.
TEST(Gemma4Json, FalseMeansCausal) {
  const NotedConfig read = E2bWith({{"use_bidirectional_attention", false}});
  ASSERT_EQ(ErrorOf(read.config), "OK");
  EXPECT_FALSE(read.config->bidirectional);
}

TEST(Gemma4Json, ClassDefaults) {
  const NotedConfig result = ReadJson4({{"model_type", "gemma4_text"}});
  ASSERT_EQ(ErrorOf(result.config), "OK");
  const ModelConfig& c = *result.config;
  EXPECT_EQ(c.model_dim, 2304);
  EXPECT_EQ(c.max_context, 131072);
  EXPECT_EQ(c.per_layer_dim, 256);
  EXPECT_EQ(c.per_layer_vocab, 262144);
  EXPECT_EQ(c.final_logits_soft_cap, 0.0f);
  ASSERT_EQ(c.num_layers(), 30);
  const LayerConfig& local = c.layers[4];
  EXPECT_EQ(local.num_heads, 8);
  EXPECT_EQ(local.num_kv_heads, 4);
  EXPECT_EQ(local.head_dim, 256);
  EXPECT_EQ(local.ffw_dim, 9216);
  EXPECT_EQ(local.sliding_window, 512);
  const LayerConfig& global = c.layers[5];
  EXPECT_EQ(global.type, BlockType::kGlobalAttention);
  EXPECT_EQ(global.head_dim, 512);
  EXPECT_EQ(global.num_kv_heads, 4);
  EXPECT_EQ(global.rope.base, 1e6f);
  EXPECT_EQ(global.rope.num_rotating, 64);
}

TEST(Gemma4Json, UnifiedClassDefaults) {
  const NotedConfig result = ReadJson4({{"model_type", "gemma4_unified_text"}});
  ASSERT_EQ(ErrorOf(result.config), "OK");
  EXPECT_EQ(result.config->per_layer_dim, 0);
  EXPECT_EQ(result.config->max_context, 262144);
  EXPECT_EQ(result.config->layers[0].sliding_window, 1024);
}

TEST(Gemma4Json, NullWidthMeansNone) {
  const NotedConfig result =
      E2bWith({{"hidden_size_per_layer_input", nullptr}});
  ASSERT_EQ(ErrorOf(result.config), "OK");
  EXPECT_EQ(result.config->per_layer_dim, 0);
  EXPECT_EQ(result.config->per_layer_vocab, 0);
}

// As in transformers, per_layer_config decides, and the last layer is global.
TEST(Gemma4Json, OwnSizesDecide) {
  const NotedConfig result =
      E2bWith({{"num_hidden_layers", 3},
               {"layer_types",
                {"sliding_attention", "full_attention", "sliding_attention"}},
               {"num_kv_shared_layers", 0},
               {"per_layer_config", {{"1", {{"head_dim", 128}}}}}});
  ASSERT_EQ(ErrorOf(result.config), "OK");
  EXPECT_EQ(result.config->layers[1].head_dim, 128);
  EXPECT_EQ(result.config->layers[1].rope.num_rotating, 16);
  EXPECT_EQ(result.config->layers[2].type, BlockType::kGlobalAttention);
  EXPECT_EQ(result.config->layers[2].head_dim, 256);
  EXPECT_THAT(result.notes,
              ElementsAre(HasSubstr("the last layer is 'sliding_attention'")));
}

TEST(Gemma4Json, OldExpertWidth) {
  const Gemma4Size size = Gemma4Sizes()[3];
  json text = TextConfig(size);
  text["expert_intermediate_size"] = text["moe_intermediate_size"];
  text.erase("moe_intermediate_size");
  ExpectConfig(ReadJson4(Multimodal(size, text)), Expected(size));
}

json Ropes(const json& global) {
  return {{"rope_parameters",
           {{"full_attention", global},
            {"sliding_attention",
             {{"rope_type", "default"}, {"rope_theta", 1e4}}}}}};
}

TEST(Gemma4Json, RopeTypes) {
  const auto global = [](const json& set) {
    const NotedConfig result = E2bWith(Ropes(set));
    EXPECT_EQ(ErrorOf(result.config), "OK") << set;
    return result.config.ok() ? result.config->layers[4].rope : RopeConfig();
  };
  const RopeConfig all = {.rotary_dim = 512, .base = 5e5f};
  EXPECT_EQ(global({{"rope_type", "default"}, {"rope_theta", 5e5}}), all);
  EXPECT_EQ(global({{"rope_type", "proportional"}, {"rope_theta", 5e5}}), all);
  EXPECT_EQ(global({{"type", "proportional"}, {"rope_theta", 5e5}}), all);
  EXPECT_EQ(
      global({{"rope_type", "linear"}, {"rope_theta", 5e5}, {"factor", 8.0}}),
      (RopeConfig{.rotary_dim = 512, .base = 5e5f, .factor = 8.0f}));
  EXPECT_EQ(global({{"rope_type", "proportional"},
                    {"partial_rotary_factor", 0.5},
                    {"factor", 2.0}}),
            (RopeConfig{.rotary_dim = 512,
                        .num_rotating = 128,
                        .base = 1e4f,
                        .factor = 2.0f}));
  EXPECT_EQ(
      global({{"rope_type", "proportional"}, {"partial_rotary_factor", 0.0}}),
      (RopeConfig{.base = 1e4f}));
}

TEST(Gemma4Json, NotesUselessKeys) {
  const auto notes = [](const json& changes) { return E2bWith(changes).notes; };
  EXPECT_THAT(notes({{"num_global_key_value_heads", 4}}),
              ElementsAre(HasSubstr("num_global_key_value_heads' is 4, and has "
                                    "no effect, because attention_k_eq_v")));
  EXPECT_THAT(notes({{"rope_theta", 5e5}}),
              ElementsAre(HasSubstr("'rope_theta' has no effect")));
  EXPECT_THAT(notes({{"attn_logit_softcapping", 50.0}}),
              ElementsAre(HasSubstr("'attn_logit_softcapping' is 50, and has "
                                    "no effect")));
}

TEST(Gemma4JsonRefuses, WhatItCannotCompute) {
  const std::pair<json, const char*> refusals[] = {
      {{{"use_bidirectional_attention", "all"}},
       "'use_bidirectional_attention' is the string 'all', wanted "
       "'vision', false or null"},
      {{{"use_bidirectional_attention", true}},
       "'use_bidirectional_attention' is true, wanted a string"},
      {{{"attention_bias", true}}, "'attention_bias' is true, wanted false"},
      {Ropes({{"rope_type", "yarn"}, {"factor", 4.0}}),
       "the type of RoPE is 'yarn', wanted 'default', 'linear' or "
       "'proportional'"},
      {Ropes({{"rope_type", "proportional"}, {"partial_rotary_factor", 1.5}}),
       "partial_rotary_factor' is the decimal number 1.5, wanted 0 to 1"},
      {Ropes({{"rope_type", "linear"},
              {"partial_rotary_factor", 0.5},
              {"factor", 4.0}}),
       "partial_rotary_factor' is the decimal number 0.5, wanted 1"},
      {Ropes(nullptr), "has no member 'full_attention'"},
      {{{"num_kv_shared_layers", 35}},
       "num_kv_shared_layers is 35, wanted fewer than the 35 layers"},
      {{{"num_kv_shared_layers", 31}},
       "num_kv_shared_layers is 31, but no layer before layer 4 has the type "
       "of layer 4"},
      {{{"num_kv_shared_layers", -1}}, "'num_kv_shared_layers' is -1"},
      {{{"per_layer_config", {{"35", {{"head_dim", 16}}}}}},
       "the key '35' of 'per_layer_config' is not the number of a layer, "
       "wanted 0 to 34"},
      {{{"per_layer_config", {{"-1", {{"head_dim", 16}}}}}}, "the key '-1'"},
      {{{"per_layer_config", {{"x", {{"head_dim", 16}}}}}}, "the key 'x'"},
      {{{"per_layer_config",
         {{"4", {{"head_dim", 16}}}, {"04", {{"head_dim", 16}}}}}},
       "has two members for layer 4"},
      {{{"per_layer_config", {{"4", {{"intermediate_size", 16}}}}}},
       "intermediate_size' is given for one layer, wanted only 'head_dim'"},
      {{{"per_layer_config", {{"4", 16}}}}, "'per_layer_config.4' is 16"},
      {{{"per_layer_config", {1, 2}}}, "'per_layer_config' is"},
      {{{"enable_moe_block", true}}, "'num_experts'"},
      {{{"enable_moe_block", true}, {"num_experts", 4}}, "'top_k_experts'"},
      {{{"enable_moe_block", true}, {"num_experts", 4}, {"top_k_experts", 2}},
       "'moe_intermediate_size'"},
      {{{"enable_moe_block", true},
        {"num_experts", 0},
        {"top_k_experts", 2},
        {"moe_intermediate_size", 16}},
       "'num_experts' is 0, wanted 1 or more"},
      {{{"vocab_size_per_layer_input", 0}},
       "'vocab_size_per_layer_input' is 0, wanted 1 or more"},
      {{{"layer_types", {"full_attention"}}},
       "layer_types names 1 layers, num_hidden_layers is 35"},
  };
  for (const auto& [changes, message] : refusals) {
    EXPECT_THAT(ErrorOf(E2bWith(changes).config), HasSubstr(message))
        << changes;
  }
}

// Sizes that a reader accepts, but that fit no layer, are errors of Validate.
TEST(Gemma4Json, ValidateChecksSizes) {
  const std::pair<json, const char*> changes[] = {
      {{{"num_key_value_heads", 3}}, "num_heads is 8, wanted a multiple"},
      {{{"global_head_dim", 0}}, "layer 4: head_dim is 0"},
      {{{"sliding_window", 0}}, "'sliding_window' is 0, wanted 1 or more"},
      {{{"enable_moe_block", true},
        {"num_experts", 4},
        {"top_k_experts", 5},
        {"moe_intermediate_size", 16}},
       "experts_used is 5, wanted 1 to num_experts 4"},
      {{{"intermediate_size", (size_t{1} << 23) + 1}}, "layer 15: ffw_dim is"},
      {{{"hidden_size_per_layer_input", size_t{1} << 23}},
       "per_layer_dim times the number of layers"}};
  for (const auto& [change, message] : changes) {
    NotedConfig result = E2bWith(change);
    if (!result.config.ok()) {
      EXPECT_THAT(ErrorOf(result.config), HasSubstr(message));
      continue;
    }
    result.config->embedding_scale = 1.0f;
    result.config->per_layer_scale = 16.0f;
    EXPECT_THAT(ErrorOf(Validate(*result.config)), HasSubstr(message));
  }
}

TEST(Gemma4GgufRefuses, WhatItCannotCompute) {
  const Gemma4Size e2b = Gemma4Sizes()[0];
  const auto error = [&](const std::function<void(GgufWriter&)>& change,
                         const std::vector<float>& factors) {
    GgufWriter gguf = GgufKeys(e2b);
    change(gguf);
    return ErrorOf(ReadGguf4(WithTensors(e2b, gguf, factors)).config);
  };
  const std::vector<float> factors = RopeFactors(256, 64);
  const auto nothing = [](GgufWriter&) {};
  std::vector<float> other = factors;
  other[100] = 2.0f;
  EXPECT_THAT(error(nothing, other),
              HasSubstr("value 100 of tensor 'rope_freqs.weight' is 2, wanted "
                        "1 for the pairs that rotate and then 1e30"));
  other = factors;
  other[3] = 8.0f;
  EXPECT_THAT(error(nothing, other), HasSubstr("value 3 of tensor"));
  EXPECT_THAT(error(nothing, RopeFactors(128, 32)),
              HasSubstr("tensor 'rope_freqs.weight' has 128 values, wanted one "
                        "for each of the 256 pairs"));
  const auto set = [](const char* key, uint32_t value) {
    return [=](GgufWriter& gguf) { gguf.Uint32(key, value); };
  };
  EXPECT_THAT(error(set("gemma4.expert_count", 4), factors),
              HasSubstr("gemma4.expert_used_count"));
  EXPECT_THAT(error(set("gemma4.nextn_predict_layers", 1), factors),
              HasSubstr("nextn_predict_layers' is 1, wanted 0"));
  EXPECT_THAT(error(set("gemma4.pooling_type", 1), factors),
              HasSubstr("pooling_type' is 1, wanted 0"));
}

// Without these keys, a reader would have to guess.
TEST(Gemma4GgufRefuses, MissingKeys) {
  const std::string keys[] = {"sliding_window_pattern", "sliding_window",
                              "per_layer_input"};
  for (const std::string& key : keys) {
    Bytes bytes = WithTensors(Gemma4Sizes()[0], GgufKeys(Gemma4Sizes()[0]),
                              RopeFactors(256, 64))
                      .Finish();
    // The last letter of its only occurrence, or of the first one.
    const auto found =
        std::search(bytes.begin(), bytes.end(), key.begin(), key.end());
    ASSERT_NE(found, bytes.end()) << key;
    *(found + static_cast<std::ptrdiff_t>(key.size()) - 1) = 'X';
    const std::string path = TestDirectory() + "/m.gguf";
    WriteFile(path, bytes);
    EXPECT_THAT(ErrorOf(ReadNoted(path).config), HasSubstr("no key 'gemma4."))
        << key;
  }
}

TEST(Gemma4Gguf, ExpertSizesMayRepeat) {
  Gemma4Size size = Gemma4Sizes()[3];
  ASSERT_NE(size.experts, 0u);
  const size_t width = size.expert_dim;
  const auto read = [&](std::vector<int32_t> widths) {
    size.experts = 0;  // the keys follow here
    GgufWriter gguf = GgufKeys(size);
    gguf.Uint32("gemma4.expert_count", 128)
        .Array("gemma4.expert_used_count", kInt32,
               std::vector<int32_t>(size.layers, 8))
        .Array("gemma4.expert_feed_forward_length", kInt32, widths);
    return ReadGguf4(WithTensors(size, gguf, RopeFactors(256, 64))).config;
  };
  std::vector<int32_t> widths(size.layers, static_cast<int32_t>(width));
  const auto config = read(widths);
  ASSERT_EQ(ErrorOf(config), "OK");
  for (const LayerConfig& layer : config->layers) {
    EXPECT_EQ(layer.expert_dim, width);
    EXPECT_EQ(layer.experts_used, 8u);
  }
  widths.back() = 32;
  EXPECT_THAT(ErrorOf(read(widths)),
              HasSubstr("expert_feed_forward_length' is [704, 704"));
  widths.resize(2);
  EXPECT_THAT(
      ErrorOf(read(widths)),
      HasSubstr("is [704, 704], wanted one number, or the same number for "
                "each of the 30 layers"));
}

TEST(Gemma4Gguf, CapIsRead) {
  const Gemma4Size size = Gemma4Sizes()[4];
  GgufWriter gguf = GgufKeys(size);
  gguf.Float32("gemma4.final_logit_softcapping", 20.0f);
  const NotedConfig result =
      ReadGguf4(WithTensors(size, gguf, RopeFactors(256, 64)));
  ASSERT_EQ(ErrorOf(result.config), "OK");
  EXPECT_EQ(result.config->final_logits_soft_cap, 20.0f);
}

// ---------------------------------------------------------------------------
// Relatives

TEST(VaultGemmaJson, PublishedConfig) {
  const NotedConfig result =
      ReadJson4({{"model_type", "vaultgemma"},
                 {"attn_logit_softcapping", nullptr},
                 {"final_logit_softcapping", nullptr},
                 {"hidden_size", 1152},
                 {"intermediate_size", 6912},
                 {"layer_types", json(26, "full_attention")},
                 {"max_position_embeddings", 1024},
                 {"num_attention_heads", 4},
                 {"num_hidden_layers", 26},
                 {"num_key_value_heads", 4},
                 {"query_pre_attn_scalar", 256},
                 {"sliding_window", 512}});
  ASSERT_EQ(ErrorOf(result.config), "OK");
  const ModelConfig& c = *result.config;
  EXPECT_EQ(c.architecture, "vaultgemma");
  EXPECT_EQ(c.max_context, 1024);
  EXPECT_FALSE(c.post_norms);
  EXPECT_FALSE(c.qk_norm);
  EXPECT_EQ(c.attn_logits_soft_cap, 0.0f);
  EXPECT_EQ(c.final_logits_soft_cap, 0.0f);
  EXPECT_EQ(c.query_scale, 1.0f / 16.0f);
  ASSERT_EQ(c.num_layers(), 26);
  EXPECT_EQ(c.layers[0].type, BlockType::kGlobalAttention);
  EXPECT_EQ(c.layers[0].head_dim, 256);
  EXPECT_THAT(result.notes, IsEmpty());
}

TEST(VaultGemmaJson, ClassDefaults) {
  const NotedConfig result = ReadJson4({{"model_type", "vaultgemma"}});
  ASSERT_EQ(ErrorOf(result.config), "OK");
  const ModelConfig& c = *result.config;
  EXPECT_EQ(c.attn_logits_soft_cap, 50.0f);
  EXPECT_EQ(c.final_logits_soft_cap, 30.0f);
  EXPECT_EQ(c.layers[0].type, BlockType::kLocalAttention);
  EXPECT_EQ(c.layers[1].type, BlockType::kGlobalAttention);
}

// EmbeddingGemma 2, all of whose sizes are the defaults of its class.
ModelConfig ExpectedEmbedding2() {
  ModelConfig c;
  c.architecture = "gemma-embedding2";
  c.model_dim = 512;
  c.vocab_size = 262144;
  c.max_context = 262144;
  c.query_scale = 1.0f;
  c.rms_norm_eps = 1e-6f;
  c.post_norms = c.qk_norm = c.value_norm = c.layer_scales = true;
  c.bidirectional = true;
  c.per_layer_dim = 512;
  c.pooling = Pooling::kMean;
  c.dense_dims = {768};
  for (size_t i = 0; i < 24; ++i) {
    const bool global = (i + 1) % 6 == 0;
    LayerConfig& l = c.layers.emplace_back();
    l.type = global ? BlockType::kGlobalAttention : BlockType::kLocalAttention;
    l.num_heads = 4;
    l.num_kv_heads = global ? 1 : 2;
    l.head_dim = global ? 512 : 256;
    l.sliding_window = global ? 0 : 513;  // 512 earlier ones, and itself
    l.rope.rotary_dim = l.head_dim;
    l.rope.base = global ? 1e6f : 1e4f;
    l.ffw_dim = 2048;
  }
  return c;
}

TEST(EmbeddingGemma2Json, ClassDefaults) {
  ExpectConfig(ReadJson4({{"model_type", "embedding_gemma2_text"}}),
               ExpectedEmbedding2());
}

TEST(EmbeddingGemma2Json, TransformersSpelling) {
  json own = json::object();
  for (const char* layer : {"05", "11", "17", "23"}) {
    own[layer] = {{"head_dim", 512}, {"num_key_value_heads", 1}};
  }
  ExpectConfig(ReadJson4({{"model_type", "embedding_gemma2"},
                          {"text_config",
                           {{"model_type", "embedding_gemma2_text"},
                            {"embedding_dim", 768},
                            {"per_layer_config", own},
                            {"sliding_window", 512}}}}),
               ExpectedEmbedding2());
}

// The window of a GGUF file is divided between both sides.
TEST(EmbeddingGemma2Gguf, PublishedKeys) {
  const std::string prefix = "gemma-embedding2.";
  GgufWriter gguf;
  std::vector<uint8_t> local;
  std::vector<int32_t> kv_heads;
  for (size_t i = 1; i <= 24; ++i) {
    local.push_back(i % 6 != 0);
    kv_heads.push_back(i % 6 == 0 ? 1 : 2);
  }
  gguf.String("general.architecture", "gemma-embedding2")
      .Uint32(prefix + "block_count", 24)
      .Uint32(prefix + "context_length", 262144)
      .Uint32(prefix + "embedding_length", 512)
      .Uint32(prefix + "embedding_length_out", 768)
      .Uint32(prefix + "embedding_length_per_layer_input", 512)
      .Uint32(prefix + "feed_forward_length", 2048)
      .Uint32(prefix + "attention.head_count", 4)
      .Array(prefix + "attention.head_count_kv", kInt32, kv_heads)
      .Bool(prefix + "attention.causal", false)
      .Uint32(prefix + "attention.key_length", 512)
      .Uint32(prefix + "attention.value_length", 512)
      .Uint32(prefix + "attention.key_length_swa", 256)
      .Uint32(prefix + "attention.value_length_swa", 256)
      .Uint32(prefix + "attention.sliding_window", 1024)
      .Array(prefix + "attention.sliding_window_pattern", kBool, local)
      .Float32(prefix + "rope.freq_base", 1e6f)
      .Float32(prefix + "rope.freq_base_swa", 1e4f)
      .Uint32(prefix + "pooling_type", 1)
      .Tensor("token_embd.weight", {8, 4}, /*type=*/0, Pattern(128))
      .Tensor("blk.0.layer_output_scale.weight", {1}, /*type=*/0, Pattern(4));
  for (size_t i = 0; i < 24; ++i) {
    gguf.Tensor(absl::StrCat("blk.", i, ".attn_v.weight"), {1, 1}, /*type=*/0,
                Pattern(4));
  }
  ModelConfig expected = ExpectedEmbedding2();
  expected.vocab_size = 0;
  ExpectConfig(ReadGguf4(gguf), expected);
}

}  // namespace
}  // namespace gemma::internal

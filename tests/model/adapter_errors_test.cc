// Adapters that cannot be merged, or not into this model: the error names the
// file, and the field or the tensor.

#include <cmath>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
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
using ::testing::StartsWith;

const std::string kPrefix = "base_model.model.model.layers.";

json Config() {
  return {{"peft_type", "LORA"},
          {"base_model_name_or_path", "google/gemma-2-2b"},
          {"r", 2},
          {"lora_alpha", 4},
          {"bias", "none"},
          {"target_modules", {"up_proj", "q_proj"}}};
}

// Adapters of up_proj, [6, 8], and q_proj, [8, 8].
TinyTensors Tensors() {
  return {MakeTensor(kPrefix + "0.mlp.up_proj.lora_A.weight", {2, 8}),
          MakeTensor(kPrefix + "0.mlp.up_proj.lora_B.weight", {6, 2}),
          MakeTensor(kPrefix + "1.self_attn.q_proj.lora_A.weight", {2, 8}),
          MakeTensor(kPrefix + "1.self_attn.q_proj.lora_B.weight", {8, 2})};
}

Bytes Safetensors(const TinyTensors& tensors) {
  SafetensorsWriter out;
  for (const TinyTensor& tensor : tensors) {
    out.Tensor(tensor.name, "F32", tensor.shape, tensor.bytes());
  }
  return out.Finish();
}

class AdapterErrors : public ::testing::Test {
 protected:
  AdapterErrors() {
    WriteTinyDirectory(model_, TinyConfig("gemma2"), TinyHfTensors("gemma2"));
    std::filesystem::create_directory(adapter_);
  }

  absl::StatusOr<Model> Load(float scale = 1.0f) {
    LoadOptions options;
    options.num_threads = 1;
    options.adapters = {{adapter_, scale}};
    return Model::Load(model_, options);
  }

  std::string Error(const json& config, const TinyTensors& tensors,
                    float scale = 1.0f) {
    WriteFile(adapter_ + "/adapter_config.json", config.dump());
    WriteFile(adapter_ + "/adapter_model.safetensors", Safetensors(tensors));
    const std::string error = ErrorOf(Load(scale));
    if (error != "OK") {
      EXPECT_THAT(error, StartsWith(folder_));
    }
    return error;
  }

  std::string FieldError(const std::string& key, const json& value) {
    json config = Config();
    config[key] = value;
    return Error(config, Tensors());
  }

  // Writes a GGUF adapter and returns the error of loading the model with it.
  std::string GgufError(const GgufWriter& gguf) {
    adapter_ = folder_ + "/a.gguf";
    WriteFile(adapter_, gguf.Finish());
    return ErrorOf(Load());
  }

  const std::string folder_ = TestDirectory();
  const std::string model_ = folder_ + "/model";
  std::string adapter_ = folder_ + "/adapter";
};

TEST_F(AdapterErrors, ValidAdapterLoads) {
  EXPECT_EQ(Error(Config(), Tensors()), "OK");
  EXPECT_TRUE(Load()->notes().empty());
}

// The names that versions of PEFT and transformers give to a text tower.
TEST_F(AdapterErrors, PrefixesNameTheTower) {
  ASSERT_EQ(Error(Config(), Tensors()), "OK");
  const std::vector<float> expected = AllLogits(*Load(), {2, 5, 3});
  for (const char* prefix :
       {"base_model.model.", "base_model.model.model.language_model.",
        "base_model.model.language_model.model.", "model.", ""}) {
    TinyTensors tensors = Tensors();
    for (TinyTensor& tensor : tensors) {
      tensor.name = prefix + tensor.name.substr(kPrefix.find("layers."));
    }
    ASSERT_EQ(Error(Config(), tensors), "OK") << prefix;
    EXPECT_EQ(AllLogits(*Load(), {2, 5, 3}), expected) << prefix;
  }
}

// Values of fields that change nothing.
TEST_F(AdapterErrors, OffFieldsAreFine) {
  for (const char* key :
       {"use_dora", "lora_bias", "modules_to_save", "target_parameters",
        "trainable_token_indices", "fan_in_fan_out", "alora_invocation_tokens",
        "layer_replication", "ensure_weight_tying", "use_qalora",
        "kasa_config"}) {
    EXPECT_EQ(FieldError(key, nullptr), "OK") << key;
  }
  EXPECT_EQ(FieldError("use_dora", false), "OK");
  EXPECT_EQ(FieldError("modules_to_save", json::array()), "OK");
  EXPECT_EQ(FieldError("loftq_config", {{"loftq_bits", 4}}), "OK");
  EXPECT_EQ(FieldError("init_lora_weights", "gaussian"), "OK");
  EXPECT_EQ(FieldError("target_modules", "all-linear"), "OK");
  EXPECT_EQ(FieldError("target_modules", R"(.*(?<!x)_proj)"), "OK");
  EXPECT_EQ(FieldError("a_field_of_the_future", "x"), "OK");
}

TEST_F(AdapterErrors, RefusesFieldsByName) {
  const std::string why =
      ", because only adapters that add B A to a matrix can be merged";
  const std::vector<std::pair<const char*, json>> fields = {
      {"use_dora", true},       {"lora_bias", true},
      {"fan_in_fan_out", true}, {"ensure_weight_tying", true},
      {"use_qalora", true},     {"use_new_variant", true}};
  for (const auto& [key, value] : fields) {
    EXPECT_EQ(FieldError(key, value), adapter_ + "/adapter_config.json: '" +
                                          key + "' is true, wanted false" +
                                          why);
  }
  EXPECT_EQ(FieldError("modules_to_save", {"embed_tokens", "lm_head"}),
            adapter_ +
                "/adapter_config.json: 'modules_to_save' is ['embed_tokens', "
                "'lm_head'], wanted null" +
                why);
  for (const auto& [key, value] : std::vector<std::pair<const char*, json>>{
           {"target_parameters", {"mlp.up_proj.weight"}},
           {"trainable_token_indices", {1, 2}},
           {"alora_invocation_tokens", {5}},
           {"layer_replication", {{0, 2}, {1, 2}}},
           {"kasa_config", {{"beta", 0.1}}}}) {
    EXPECT_THAT(
        FieldError(key, value),
        AllOf(StartsWith(adapter_ + "/adapter_config.json: '" + key + "' is "),
              HasSubstr("wanted null" + why)));
  }
}

TEST_F(AdapterErrors, RefusesOtherValues) {
  EXPECT_THAT(FieldError("peft_type", "IA3"),
              HasSubstr("'peft_type' is the string 'IA3', wanted LORA"));
  json config = Config();
  config.erase("peft_type");
  EXPECT_THAT(Error(config, Tensors()), HasSubstr("'peft_type'"));
  for (const char* bias : {"all", "lora_only"}) {
    EXPECT_THAT(FieldError("bias", bias),
                HasSubstr("'bias' is the string '" + std::string(bias) +
                          "', wanted none"));
  }
  for (const char* start :
       {"pissa", "pissa_niter_16", "olora", "CorDA", "loftq", "lora_ga"}) {
    EXPECT_THAT(FieldError("init_lora_weights", start),
                HasSubstr("this way to begin changes the base model's weights"))
        << start;
  }
  EXPECT_THAT(FieldError("r", "two"), HasSubstr("'r' is the string 'two'"));
  EXPECT_THAT(FieldError("lora_alpha", true), HasSubstr("'lora_alpha'"));
}

TEST_F(AdapterErrors, RankMustAgree) {
  EXPECT_THAT(FieldError("r", 3),
              HasSubstr("/adapter_config.json: 'r' is 3, but the tensors of "
                        "'model.layers.0.mlp.up_proj' have rank 2"));
  EXPECT_THAT(FieldError("rank_pattern", {{"q_proj", 1}}),
              HasSubstr("'rank_pattern.q_proj' is 1, but the tensors of "
                        "'model.layers.1.self_attn.q_proj' have rank 2"));
  EXPECT_THAT(FieldError("rank_pattern", {{"(q_proj", 1}}),
              HasSubstr("'rank_pattern.(q_proj': "));
  EXPECT_EQ(FieldError("rank_pattern", {{"other", 1}}), "OK");
}

// A tensor of a module that the configuration excludes would change nothing in
// peft.
TEST_F(AdapterErrors, TargetsMustAgree) {
  EXPECT_THAT(FieldError("target_modules", {"q_proj", "v_proj"}),
              HasSubstr("'target_modules' is ['q_proj', 'v_proj'], without "
                        "'model.layers.0.mlp.up_proj'"));
  EXPECT_THAT(FieldError("layers_to_transform", {0, 3}),
              HasSubstr("'layers_to_transform' is [0, 3], without the layer of "
                        "'model.layers.1.self_attn.q_proj'"));
  EXPECT_THAT(FieldError("layers_to_transform", 1), HasSubstr("is [1], "));
  EXPECT_EQ(FieldError("layers_to_transform", {0, 1}), "OK");
  EXPECT_EQ(FieldError("target_modules",
                       {"model.layers.0.mlp.up_proj", "self_attn.q_proj"}),
            "OK");
}

TEST_F(AdapterErrors, EveryTensorHasUse) {
  const std::string file = adapter_ + "/adapter_model.safetensors";
  for (const char* name :
       {"base_model.model.model.layers.2.mlp.up_proj.lora_A.weight",
        "base_model.model.model.layers.0.mlp.up_proj.lora_A.bias",
        "base_model.model.model.layers.0.mlp.up_proj.lora_magnitude_vector",
        "base_model.model.model.layers.0.mlp.up_proj.lora_embedding_A",
        "base_model.model.model.layers.0.mlp.up_proj.weight",
        "base_model.model.model.layers.0.input_layernorm.weight",
        "base_model.model.model.embed_tokens.lora_A.weight",
        "base_model.model.audio.layers.0.q_proj.lora_A.weight",
        "base_model.model.model.vision.layers.0.mlp.up_proj.lora_A.weight",
        "base_model.model.model.norm.weight", "epoch"}) {
    TinyTensors tensors = Tensors();
    tensors.push_back(MakeTensor(name, {2, 8}));
    EXPECT_EQ(Error(Config(), tensors),
              file + ": tensor '" + name +
                  "' changes no matrix of the model (the adapter is for "
                  "'google/gemma-2-2b')");
  }
  EXPECT_THAT(Error(Config(), {}), HasSubstr("changes no matrix"));
}

TEST_F(AdapterErrors, VisionTensorsAreCounted) {
  TinyTensors tensors = Tensors();
  tensors.push_back(MakeTensor(
      "base_model.model.model.vision_tower.layers.0.q_proj.lora_A.weight",
      {2, 3}));
  ASSERT_EQ(Error(Config(), tensors), "OK");
  EXPECT_THAT(
      Load()->notes(),
      ElementsAre(HasSubstr(": 1 tensors of towers for images or sound are not "
                            "used, as only the text model runs")));
}

TEST_F(AdapterErrors, PairsMustBeComplete) {
  for (size_t i = 0; i < Tensors().size(); ++i) {
    TinyTensors tensors = Tensors();
    tensors.erase(tensors.begin() + i);
    const size_t other = i ^ 1;
    EXPECT_EQ(Error(Config(), tensors),
              adapter_ + "/adapter_model.safetensors: tensor '" +
                  Tensors()[other].name + "' has no " +
                  (i % 2 == 0 ? "A" : "B") + " to be multiplied with");
  }
  TinyTensors twice = Tensors();
  twice.push_back(
      MakeTensor(kPrefix + "0.mlp.up_proj.lora_A.default.weight", {2, 8}));
  EXPECT_THAT(Error(Config(), twice), HasSubstr("' have the same use"));
}

// As an adapter of a larger model has.
TEST_F(AdapterErrors, ShapesMustFit) {
  const auto error = [&](size_t i, std::vector<uint64_t> shape) {
    TinyTensors tensors = Tensors();
    tensors[i] = MakeTensor(tensors[i].name, std::move(shape));
    return Error(Config(), tensors);
  };
  EXPECT_EQ(error(0, {2, 16}),
            adapter_ +
                "/adapter_model.safetensors: tensor "
                "'base_model.model.model.layers.0.mlp.up_proj.lora_A.weight' "
                "is [2, 16], the model needs [rank, 8] (the adapter is for "
                "'google/gemma-2-2b')");
  EXPECT_THAT(error(1, {12, 2}),
              HasSubstr("is [12, 2], the model needs [6, 2]"));
  EXPECT_THAT(error(1, {6, 3}), HasSubstr("is [6, 3], the model needs [6, 2]"));
  EXPECT_THAT(error(0, {16}), HasSubstr("is [16], the model needs [rank, 8]"));
  EXPECT_THAT(error(3, {8, 2, 1}), HasSubstr("the model needs [8, 2]"));
}

TEST_F(AdapterErrors, ValuesMustBeFinite) {
  for (const float bad : {NAN, INFINITY}) {
    for (size_t i = 0; i < Tensors().size(); ++i) {
      TinyTensors tensors = Tensors();
      tensors[i].values[3] = bad;
      EXPECT_THAT(Error(Config(), tensors),
                  HasSubstr("tensor '" + tensors[i].name +
                            "' has a value that is not finite at row"));
    }
  }
  EXPECT_THAT(Error(Config(), Tensors(), INFINITY),
              HasSubstr("/adapter: the scale is inf, wanted a finite number"));
  TinyTensors large = Tensors();
  large[1].values[0] = 1e38f;
  EXPECT_THAT(Error(Config(), large, 100.0f),
              HasSubstr("times the scale 200 is not finite"));
}

// peft writes the embedding beside its adapter, and uses that copy.
TEST_F(AdapterErrors, EmbeddingCopiesAreUsed) {
  const std::string table = "base_model.model.model.embed_tokens.weight";
  TinyTensors tensors = Tensors();
  tensors.push_back(MakeTensor(table, {8, 8}));
  ASSERT_EQ(Error(Config(), tensors), "OK");
  const std::vector<float> same = AllLogits(*Load(), {2, 5, 3});
  tensors.back().values[5 * 8] += 1.0f;
  ASSERT_EQ(Error(Config(), tensors), "OK");
  EXPECT_NE(AllLogits(*Load(), {2, 5, 3}), same);
  // The copy of a head that is the embedding.
  tensors.push_back(MakeTensor("base_model.model.lm_head.weight", {8, 8}));
  EXPECT_THAT(Error(Config(), tensors),
              HasSubstr("differ, but the embedding and the head are one "
                        "matrix here"));
  tensors.back().values = tensors[4].values;
  EXPECT_EQ(Error(Config(), tensors), "OK");
  tensors.pop_back();
  tensors.back() = MakeTensor(table, {9, 8});
  EXPECT_THAT(Error(Config(), tensors),
              HasSubstr("' is [9, 8], the model needs [8, 8]"));
}

TEST_F(AdapterErrors, GgufKeysAreChecked) {
  const auto writer = [](const char* architecture, const char* type) {
    GgufWriter gguf;
    gguf.String("general.type", "adapter")
        .String("general.architecture", architecture)
        .String("adapter.type", type)
        .Float32("adapter.lora.alpha", 4.0f);
    return gguf;
  };
  const auto add = [](GgufWriter gguf) {
    AddTensors({MakeTensor("blk.0.ffn_up.weight.lora_a", {2, 8}),
                MakeTensor("blk.0.ffn_up.weight.lora_b", {6, 2})},
               gguf);
    return gguf;
  };
  EXPECT_EQ(GgufError(add(writer("gemma2", "lora"))), "OK");
  EXPECT_THAT(GgufError(add(writer("gemma3", "lora"))),
              HasSubstr("a.gguf: general.architecture is 'gemma3', the "
                        "model's is 'gemma2'"));
  EXPECT_THAT(GgufError(add(writer("gemma2", "control"))),
              HasSubstr("adapter.type is 'control', wanted 'lora'"));
  EXPECT_THAT(
      GgufError(add(
          writer("gemma2", "lora")
              .Array<uint32_t>("adapter.alora.invocation_tokens", 4, {5, 6}))),
      HasSubstr("has adapter.alora.invocation_tokens"));
  for (const char* name :
       {"blk.0.ffn_up.weight", "blk.2.ffn_up.weight.lora_a",
        "blk.0.attn_norm.weight.lora_a", "output_norm.weight"}) {
    GgufWriter gguf = add(writer("gemma2", "lora"));
    AddTensors({MakeTensor(name, {2, 8})}, gguf);
    EXPECT_THAT(GgufError(gguf), HasSubstr("tensor '" + std::string(name) +
                                           "' changes no matrix"));
  }
}

// Hostile files end in an error or a model, never in a crash.
TEST_F(AdapterErrors, SurvivesAnyFlippedByte) {
  const std::string config = Config().dump();
  const Bytes weights = Safetensors(Tensors());
  WriteFile(adapter_ + "/adapter_config.json", config);
  for (size_t i = 0; i < weights.size(); ++i) {
    Bytes bad = weights;
    bad[i] ^= 0xFF;
    WriteFile(adapter_ + "/adapter_model.safetensors", bad);
    Load().IgnoreError();
  }
  WriteFile(adapter_ + "/adapter_model.safetensors", weights);
  for (size_t i = 0; i < config.size(); ++i) {
    std::string bad = config;
    bad[i] ^= 0x15;
    WriteFile(adapter_ + "/adapter_config.json", bad);
    Load().IgnoreError();
  }
}

}  // namespace
}  // namespace gemma::internal

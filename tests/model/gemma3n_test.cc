// Gemma 3n: the published configurations, the tensors of its files in both
// forms, adapters, and files that must be refused.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compression/packed_row.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "src/formats/checkpoint.h"
#include "src/model/config/gemma3n.h"
#include "src/model/config/read_config.h"
#include "src/session/model_impl.h"
#include "tests/support/config_text.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kGguf3n =
    std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma3n.gguf";

// As NormalDist().inv_cdf of Python.
TEST(Gemma3nConfig, QuantilesOfTheNormal) {
  EXPECT_NEAR(NormalQuantile(0.95), 1.6448536269514722, 1e-12);
  EXPECT_NEAR(NormalQuantile(0.5), 0.0, 1e-12);
  EXPECT_NEAR(NormalQuantile(0.25), -0.6744897501960817, 1e-12);
  EXPECT_NEAR(NormalQuantile(1e-30), -11.464024688443617, 1e-9);
}

// A published model.
struct Gemma3nSize {
  size_t layers, ffw, shared;
};

json Published3n(const Gemma3nSize& size) {
  json text = {{"model_type", "gemma3n_text"},
               {"altup_active_idx", 0},
               {"altup_coef_clip", 120.0},
               {"altup_correct_scale", true},
               {"altup_num_inputs", 4},
               {"attention_bias", false},
               {"final_logit_softcapping", 30.0},
               {"head_dim", 256},
               {"hidden_activation", "gelu_pytorch_tanh"},
               {"hidden_size", 2048},
               {"hidden_size_per_layer_input", 256},
               {"laurel_rank", 64},
               {"max_position_embeddings", 32768},
               {"num_attention_heads", 8},
               {"num_hidden_layers", size.layers},
               {"num_key_value_heads", 2},
               {"num_kv_shared_layers", size.shared},
               {"rms_norm_eps", 1e-6},
               {"rope_local_base_freq", 10000.0},
               {"rope_scaling", nullptr},
               {"rope_theta", 1000000.0},
               {"sliding_window", 512},
               {"vocab_size", 262400},
               {"vocab_size_per_layer_input", 262144}};
  for (size_t i = 0; i < size.layers; ++i) {
    text["intermediate_size"].push_back(size.ffw);
    text["activation_sparsity_pattern"].push_back(i < 10 ? 0.95 : 0.0);
    text["layer_types"].push_back(i % 5 == 4 ? "full_attention"
                                             : "sliding_attention");
  }
  return {{"model_type", "gemma3n"},
          {"architectures", {"Gemma3nForConditionalGeneration"}},
          {"eos_token_id", {1, 106}},
          {"audio_config", {{"model_type", "gemma3n_audio"}}},
          {"vision_config", {{"model_type", "gemma3n_vision"}}},
          {"text_config", text}};
}

ModelConfig Expected3n(const Gemma3nSize& size) {
  ModelConfig c;
  c.architecture = "gemma3n";
  c.model_dim = 2048;
  c.vocab_size = 262400;
  c.max_context = 32768;
  c.query_scale = 1.0f;
  c.rms_norm_eps = 1e-6f;
  c.final_logits_soft_cap = 30.0f;
  c.post_norms = c.qk_norm = c.value_norm = true;
  c.altup_streams = 4;
  c.laurel_rank = 64;
  c.per_layer_dim = 256;
  c.per_layer_vocab = 262144;
  c.stop_tokens = {1, 106};
  for (size_t i = 0; i < size.layers; ++i) {
    const bool global = i % 5 == 4;
    LayerConfig& l = c.layers.emplace_back();
    l.type = global ? BlockType::kGlobalAttention : BlockType::kLocalAttention;
    l.num_heads = 8;
    l.num_kv_heads = 2;
    l.head_dim = l.rope.rotary_dim = 256;
    l.sliding_window = global ? 0 : 512;
    l.rope.base = global ? 1e6f : 1e4f;
    l.ffw_dim = size.ffw;
    if (i < 10) l.gate_cutoff = 1.6448536f;
    if (i + size.shared >= size.layers) l.kv_source = global ? 19 : 18;
  }
  return c;
}

absl::StatusOr<ModelConfig> ReadJson3n(const json& config,
                                       Notes* notes = nullptr) {
  const std::string directory = TestDirectory();
  WriteFile(directory + "/config.json", config.dump());
  WriteFile(directory + "/model.safetensors", TinySafetensors());
  absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(directory);
  if (!checkpoint.ok()) return checkpoint.status();
  return ReadConfig(*checkpoint, RecurrentWindow::kDeepMind, notes);
}

TEST(Gemma3nConfig, PublishedModels) {
  for (const Gemma3nSize& size :
       {Gemma3nSize{30, 8192, 10}, Gemma3nSize{35, 16384, 15}}) {
    Notes notes;
    const auto config = ReadJson3n(Published3n(size), &notes);
    ASSERT_EQ(ErrorOf(config), "OK");
    EXPECT_EQ(ConfigText(*config), ConfigText(Expected3n(size)));
    EXPECT_THAT(notes, IsEmpty());
  }
}

// The defaults of transformers' class are those of E4B.
TEST(Gemma3nConfig, DefaultsAreE4B) {
  const auto config = ReadJson3n({{"model_type", "gemma3n_text"}});
  ASSERT_EQ(ErrorOf(config), "OK");
  ModelConfig expected = Expected3n({35, 16384, 15});
  expected.stop_tokens = {1};
  EXPECT_EQ(ConfigText(*config), ConfigText(expected));
}

// Models cut out of E4B have widths between those of E2B and E4B.
TEST(Gemma3nConfig, WidthsOfEachLayer) {
  json file = Published3n({35, 16384, 15});
  file["text_config"]["intermediate_size"][7] = 12288;
  const auto config = ReadJson3n(file);
  ASSERT_EQ(ErrorOf(config), "OK");
  EXPECT_EQ(config->layers[6].ffw_dim, 16384);
  EXPECT_EQ(config->layers[7].ffw_dim, 12288);
}

TEST(Gemma3nConfig, RefusalsNameTheField) {
  const auto error = [](const char* key, json value) {
    json file = Published3n({30, 8192, 10});
    file["text_config"][key] = std::move(value);
    return ErrorOf(ReadJson3n(file));
  };
  EXPECT_THAT(error("altup_num_inputs", 1), HasSubstr("wanted 2 to 8"));
  EXPECT_THAT(error("altup_num_inputs", 9), HasSubstr("wanted 2 to 8"));
  EXPECT_THAT(error("altup_active_idx", 1),
              HasSubstr("altup_active_idx' is 1, wanted 0"));
  EXPECT_THAT(error("altup_correct_scale", false), HasSubstr("wanted true"));
  EXPECT_THAT(error("laurel_rank", 0), HasSubstr("wanted 1 or more"));
  EXPECT_THAT(error("hidden_size_per_layer_input", 0),
              HasSubstr("wanted 1 or more"));
  EXPECT_THAT(error("intermediate_size", {8192, 8192}),
              HasSubstr("intermediate_size' has 2 elements, "
                        "num_hidden_layers is 30"));
  EXPECT_THAT(error("activation_sparsity_pattern", {0.95}),
              HasSubstr("has 1 elements, num_hidden_layers is 30"));
  EXPECT_THAT(error("activation_sparsity_pattern", std::vector<double>(30, 1)),
              HasSubstr("is 1 for layer 0, wanted 0 or more, and below 1"));
  EXPECT_THAT(error("num_kv_shared_layers", 30),
              HasSubstr("wanted fewer than the 30 layers"));
}

std::vector<float> ValuesOf(const Matrix& matrix) {
  const PackedView& view = matrix.view;
  std::vector<float> values(view.rows * view.cols);
  for (size_t row = 0; row < view.rows; ++row) {
    DecodePackedRow(view, row, values.data() + row * view.cols);
  }
  return values;
}

// GGUF files hold AltUp's matrices in two tensors, Hugging Face's in six.
TEST(Gemma3nFiles, GgufEqualsDirectory) {
  const Model hf = LoadExact(ToyPath("gemma3n"));
  const Model gguf = LoadExact(kGguf3n);
  EXPECT_EQ(hf.config().layers, gguf.config().layers);
  EXPECT_EQ(hf.config().laurel_rank, gguf.config().laurel_rank);
  const Weights& a = hf.impl().weights;
  const Weights& b = gguf.impl().weights;
  ASSERT_EQ(a.altup_proj.size(), 3u);
  ASSERT_EQ(b.altup_proj.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(ValuesOf(a.altup_proj[i]), ValuesOf(b.altup_proj[i]));
    EXPECT_EQ(ValuesOf(a.altup_unembed[i]), ValuesOf(b.altup_unembed[i]));
  }
  EXPECT_NE(ValuesOf(a.altup_proj[0]), ValuesOf(a.altup_proj[1]));
  EXPECT_EQ(a.layers[2].altup_predict, b.layers[2].altup_predict);
}

// What files of this model hold besides the text model is skipped, and said.
TEST(Gemma3nFiles, SkippedTensorsAreNoted) {
  EXPECT_THAT(LoadExact(ToyPath("gemma3n")).notes(),
              ElementsAre(HasSubstr(
                  "skips towers for images or sound (4 tensors), and keys and "
                  "values of layers that use those of others (6 tensors)")));
  EXPECT_THAT(LoadExact(kGguf3n).notes(),
              Contains(HasSubstr("skips keys and values")));
}

// Returns the error of the toy's GGUF file after a change of its bytes.
std::string ErrorOfChanged(std::string_view from, std::string_view to) {
  std::ifstream file(kGguf3n, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  const size_t at = bytes.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  bytes.replace(at, from.size(), to);
  const std::string path = TestDirectory() + "/m.gguf";
  std::ofstream(path, std::ios::binary) << bytes;
  return ErrorOf(Model::Load(path, {.num_threads = 1}));
}

TEST(Gemma3nFiles, MissingPartsAreNamed) {
  EXPECT_THAT(ErrorOfChanged("altup_proj.weight", "altup_prok.weight"),
              HasSubstr("no tensor 'altup_proj.weight'"));
  EXPECT_THAT(ErrorOfChanged("blk.1.laurel_r.weight", "blk.1.laurel_s.weight"),
              HasSubstr("no tensor 'blk.1.laurel_r.weight'"));
  EXPECT_THAT(
      ErrorOfChanged("activation_sparsity_scale", "activation_sparsity_scald"),
      HasSubstr("gemma3n.activation_sparsity_scale"));
  EXPECT_THAT(ErrorOfChanged("altup.num_inputs", "altup.num_inputz"),
              HasSubstr("gemma3n.altup.num_inputs"));
  EXPECT_THAT(ErrorOfChanged("shared_kv_layers", "shared_kv_layerz"),
              HasSubstr("gemma3n.attention.shared_kv_layers"));
}

// -infinity stands for gates that stay; nothing else that is not finite does.
TEST(Gemma3nFiles, CutoffsMayBeAbsent) {
  const auto bytes = [](std::initializer_list<float> values) {
    return std::string(reinterpret_cast<const char*>(values.begin()),
                       values.size() * sizeof(float));
  };
  const float none = -std::numeric_limits<float>::infinity();
  const std::string stored = bytes({none, none, none});
  EXPECT_EQ(LoadExact(kGguf3n).config().layers[3].gate_cutoff, std::nullopt);
  EXPECT_THAT(ErrorOfChanged(stored, bytes({none, -none, none})),
              HasSubstr("gemma3n.activation_sparsity_scale' is inf for layer "
                        "3, wanted a finite number"));
  EXPECT_THAT(ErrorOfChanged(stored, bytes({none, NAN, none})),
              HasSubstr("for layer 3, wanted a finite number"));
}

// The tokenizer and the turns are those of Gemma 3.
TEST(Gemma3nFiles, ChatsWithGemmasTurns) {
  const std::string folder = TestDirectory() + "/chat";
  std::filesystem::copy(ToyPath("gemma3n"), folder);
  std::filesystem::copy_file(
      std::string(GEMMA_TESTDATA_DIR) + "/chat/tokenizer.json",
      folder + "/tokenizer.json");
  const Model model = LoadExact(folder);
  const absl::StatusOr<ChatTemplate> turns = model.chat_template();
  ASSERT_EQ(ErrorOf(turns), "OK");
  const absl::StatusOr<std::vector<TokenId>> tokens = turns->UserTurn("hi");
  ASSERT_EQ(ErrorOf(tokens), "OK");
  EXPECT_EQ(tokens->front(), 2);
  EXPECT_EQ(std::count(tokens->begin(), tokens->end(), 5), 2);
  EXPECT_EQ(std::count(tokens->begin(), tokens->end(), 6), 1);
  EXPECT_THAT(model.config().stop_tokens, Contains(6));
}

absl::StatusOr<Model> WithAdapter(const TinyTensors& tensors) {
  const std::string folder = TestDirectory() + "/adapter";
  std::filesystem::create_directory(folder);
  WriteFile(folder + "/adapter_config.json", json({{"peft_type", "LORA"},
                                                   {"r", 1},
                                                   {"lora_alpha", 1.0},
                                                   {"bias", "none"}})
                                                 .dump());
  SafetensorsWriter out;
  for (const TinyTensor& tensor : tensors) {
    out.Tensor(tensor.name, "F32", tensor.shape, tensor.bytes());
  }
  WriteFile(folder + "/adapter_model.safetensors", out.Finish());
  LoadOptions options;
  options.activations = Activations::kFloat32;
  options.adapters = {{folder, 1.0f}};
  return Model::Load(ToyPath("gemma3n"), options);
}

TEST(Gemma3nAdapter, ChangesLaurel) {
  const std::string module =
      "base_model.model.model.language_model.layers.2.laurel.linear_left.";
  const TinyTensor a = MakeTensor(module + "lora_A.weight", {1, 16});
  const TinyTensor b = MakeTensor(module + "lora_B.weight", {4, 1});
  const absl::StatusOr<Model> model = WithAdapter({a, b});
  ASSERT_EQ(ErrorOf(model), "OK");
  const auto before = ValuesOf(
      LoadExact(ToyPath("gemma3n")).impl().weights.layers[2].laurel_left);
  const auto after = ValuesOf(model->impl().weights.layers[2].laurel_left);
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_NEAR(after[i], before[i] + b.values[i / 16] * a.values[i % 16],
                1e-5);
  }
}

TEST(Gemma3nAdapter, RefusalsSayWhy) {
  for (const char* module :
       {"altup_projections.1", "altup_unembed_projections.2",
        "layers.0.altup.modality_router", "layers.4.altup.prediction_coefs"}) {
    EXPECT_THAT(ErrorOf(WithAdapter({MakeTensor(
                    absl::StrCat("base_model.model.model.language_model.",
                                 module, ".lora_A.weight"),
                    {1, 16})})),
                HasSubstr(": adapters of AltUp's matrices are not read"))
        << module;
  }
}

}  // namespace
}  // namespace gemma::internal

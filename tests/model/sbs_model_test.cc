// The tests write models to files of gemma.cpp. They must compute the same as
// the same weights in a Hugging Face directory.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "compression/codec.h"
#include "compression/half.h"
#include "gemma/quantize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "src/formats/checkpoint.h"
#include "src/model/config/read_config.h"
#include "tests/support/config_text.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/sbs_files.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"
#include "tests/support/toy_vocab.h"

namespace gemma::internal {
namespace {

using ::nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// The contents of a Hugging Face directory.
struct HfModel {
  json config;
  TinyTensors tensors;
};

HfModel ReadToy(const std::string& folder) {
  const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(ToyPath(folder));
  EXPECT_EQ(ErrorOf(checkpoint), "OK");
  HfModel model;
  const Bytes text = [&] {
    const absl::StatusOr<MappedFile> file =
        MappedFile::Open(ToyPath(folder) + "/config.json");
    return Bytes(file->bytes().begin(), file->bytes().end());
  }();
  model.config = json::parse(text);
  // Drops the RoPE factor: the file cannot state it, and we derive it from the
  // width.
  if (model.config.contains("rope_parameters")) {
    auto& rope = model.config["rope_parameters"];
    if (rope.contains("full_attention")) {
      rope["full_attention"] = {{"rope_theta", 1000000.0},
                                {"rope_type", "default"}};
    }
  }
  for (const auto& [name, tensor] : checkpoint->tensors) {
    TinyTensor& out = model.tensors.emplace_back();
    out.name = name;
    out.shape.assign(tensor.shape.begin(), tensor.shape.end());
    out.values.resize(tensor.NumValues());
    const WeightView view = {tensor.format, 1, out.values.size(), tensor.data};
    DecodeRow(view, 0, out.values.data());
  }
  return model;
}

// The smallest model of a type, but with heads as wide as published ones.
HfModel WithPublishedHeads(const std::string& type, size_t num_kv_heads) {
  HfModel model = {TinyConfig(type), TinyHfTensors(type)};
  model.config["head_dim"] = 256;
  model.config["num_key_value_heads"] = num_kv_heads;
  if (type == "gemma2") {
    model.config["query_pre_attn_scalar"] = 256;
    model.config["sliding_window"] = 4096;
  }
  for (TinyTensor& tensor : model.tensors) {
    const auto is = [&](const char* name) {
      return tensor.name.find(name) != std::string::npos;
    };
    if (is("q_proj")) tensor = MakeTensor(tensor.name, {512, 8});
    if (is("o_proj")) tensor = MakeTensor(tensor.name, {8, 512});
    if (is("k_proj") || is("v_proj")) {
      tensor = MakeTensor(tensor.name, {256 * num_kv_heads, 8});
    }
  }
  return model;
}

Bytes AsBF16(const std::vector<float>& values) {
  return EncodeSbs(SbsType::kBF16, values);
}

// Writes the model as a directory and returns its configuration. Tensors that
// the form has in bfloat16 are written in it.
ModelConfig WriteDirectory(const std::string& path, const HfModel& model,
                           const SbsForm& form) {
  std::filesystem::create_directories(path);
  SafetensorsWriter weights;
  for (const TinyTensor& tensor : model.tensors) {
    const bool bf16 = IsStoredAsBF16(tensor.name, form);
    weights.Tensor(tensor.name, bf16 ? "BF16" : "F32", tensor.shape,
                   bf16 ? AsBF16(tensor.values) : tensor.bytes());
  }
  WriteFile(path + "/config.json", model.config.dump());
  WriteFile(path + "/model.safetensors", weights.Finish());
  LoadOptions options;
  options.skip_weights = true;
  options.recurrent_window = RecurrentWindow::kTransformers;  // W keys
  return LoadOrDie(path, options).config();
}

// Writes the model as both containers, loads both and compares the bits of all
// logits.
void ExpectSameLogits(HfModel model, const SbsForm& form,
                      const std::vector<TokenId>& tokens) {
  SCOPED_TRACE(form.name);
  model.tensors = RoundedTensors(std::move(model.tensors), form);
  const std::string path = TestDirectory();
  const ModelConfig config = WriteDirectory(path + "/hf", model, form);
  WriteFile(path + "/m.sbs", SbsModel(config, model.tensors, form));
  const Model expected = LoadExact(path + "/hf");
  const Model actual = LoadExact(path + "/m.sbs");
  EXPECT_EQ(BlocksOf(actual.config()), BlocksOf(expected.config()));
  EXPECT_EQ(actual.config().embedding_scale, expected.config().embedding_scale);
  EXPECT_EQ(actual.config().architecture, expected.config().architecture);
  EXPECT_EQ(AllLogits(actual, tokens), AllLogits(expected, tokens));
}

// Longer than the toys' windows. Every toy has these ids.
const std::vector<TokenId> kTokens = {2, 7, 4, 99, 5, 201, 33, 7, 1, 250, 8, 3};
// No longer than the toys' windows.
const std::vector<TokenId> kFewTokens = {2, 7, 4, 99, 5, 201, 33, 7};
// For a vocabulary of 8.
const std::vector<TokenId> kTinyTokens = {2, 7, 4, 5};

std::vector<SbsForm> FormsWithToc() {
  return {{.name = "f32"},
          {.name = "f32 split", .directory_at_end = true, .split = true},
          {.name = "f32 scaled", .scale = 2.0f},
          {.name = "bf16", .type = SbsType::kBF16},
          {.name = "bf16 scaled", .type = SbsType::kBF16, .scale = 1.7f},
          {.name = "sfp", .type = SbsType::kSfp},
          {.name = "sfp split", .type = SbsType::kSfp, .split = true},
          {.name = "sfp scaled",
           .type = SbsType::kSfp,
           .directory_at_end = true,
           .scale = 0.37f},
          {.name = "nuq", .type = SbsType::kNuq},
          {.name = "nuq split", .type = SbsType::kNuq, .split = true},
          {.name = "nuq, tables first",
           .type = SbsType::kNuq,
           .tables_first = true},
          {.name = "nuq scaled", .type = SbsType::kNuq, .scale = 1.3f}};
}

class SameBitsSbs : public testing::TestWithParam<std::string> {};

TEST_P(SameBitsSbs, LogitsEqualDirectory) {
  const HfModel model = ReadToy(GetParam());
  for (const SbsForm& form : FormsWithToc()) {
    ExpectSameLogits(model, form, kTokens);
  }
}

INSTANTIATE_TEST_SUITE_P(All, SameBitsSbs,
                         testing::Values("gemma", "gemma_mha", "gemma2",
                                         "gemma2_bf16", "gemma2_wide_head",
                                         "gemma3_noscale", "gemma3_bf16",
                                         "recurrent_gemma",
                                         "recurrent_gemma_48"),
                         [](const auto& param) { return param.param; });

// An adapter adds the same to matrices that gemma.cpp fuses and scales.
TEST(SbsModel, MergesTheSameAdapter) {
  for (const auto& [toy, adapter] :
       {std::pair("gemma_mha", "embed"), std::pair("gemma2", "plain"),
        std::pair("recurrent_gemma_48", "recurrent")}) {
    for (const SbsForm& form : FormsWithToc()) {
      if (form.type != SbsType::kF32) continue;
      HfModel model = ReadToy(toy);
      model.tensors = RoundedTensors(std::move(model.tensors), form);
      const std::string path = TestDirectory();
      const ModelConfig config = WriteDirectory(path + "/hf", model, form);
      WriteFile(path + "/m.sbs", SbsModel(config, model.tensors, form));
      LoadOptions options;
      options.activations = Activations::kFloat32;
      const auto plain = AllLogits(LoadOrDie(path + "/hf", options), kTokens);
      options.adapters = {
          {std::string(GEMMA_TESTDATA_DIR) + "/lora/" + adapter}};
      const auto merged = AllLogits(LoadOrDie(path + "/hf", options), kTokens);
      EXPECT_NE(merged, plain);
      EXPECT_EQ(AllLogits(LoadOrDie(path + "/m.sbs", options), kTokens), merged)
          << toy << " " << form.name;
    }
  }
}

// Files from before 2025, whose configuration is derived from sizes.
TEST(SbsModel, SizesTellTheModel) {
  struct Case {
    HfModel model;
    std::vector<TokenId> tokens;
    bool whole_tables;  // every matrix is a multiple of four groups of NUQ, as
                        // in all published models: no padding after tables
  };
  const Case cases[] = {
      {WithPublishedHeads("gemma", 1), kTinyTokens, false},
      {WithPublishedHeads("gemma", 2), kTinyTokens, false},
      {WithPublishedHeads("gemma2", 1), kTinyTokens, false},
      {ReadToy("gemma3_noscale"), kFewTokens, true},
      {ReadToy("recurrent_gemma"), kFewTokens, true},
      {ReadToy("recurrent_gemma_48"), kFewTokens, false},
  };
  for (const auto& [model, tokens, whole_tables] : cases) {
    for (SbsForm form : FormsWithToc()) {
      if (form.tables_first && !whole_tables) continue;
      form.has_toc = false;
      ExpectSameLogits(model, form, tokens);
    }
  }
}

// The file stores -8 softplus(a_param), and GGUF needs a_param, so float32
// rounds it twice. All other values keep their bits.
void ExpectNearlySame(const std::vector<float>& actual,
                      const std::vector<float>& expected, float error) {
  ASSERT_EQ(actual.size(), expected.size());
  float largest = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    largest = std::max(largest, std::abs(actual[i] - expected[i]));
  }
  EXPECT_LE(largest, error);
}

TEST_P(SameBitsSbs, LogitsSurviveConversion) {
  const bool recurs = GetParam().starts_with("recurrent");
  for (const SbsForm& form : FormsWithToc()) {
    SCOPED_TRACE(form.name);
    HfModel model = ReadToy(GetParam());
    model.tensors = RoundedTensors(std::move(model.tensors), form);
    const std::string path = TestDirectory();
    const ModelConfig config = WriteDirectory(path + "/hf", model, form);
    WriteFile(path + "/m.sbs", SbsModel(config, model.tensors, form));
    const Model source = LoadExact(path + "/m.sbs");
    const std::vector<float> expected = AllLogits(source, kTokens);
    for (const auto layout : {FileLayout::kGguf, FileLayout::kPacked}) {
      QuantizeOptions options;
      options.layout = layout;
      options.overwrite = true;
      const std::string written = path + "/m.gguf";
      ASSERT_EQ(ErrorOf(Quantize(path + "/m.sbs", written, options)), "OK");
      const Model copy = LoadExact(written);
      EXPECT_EQ(ConfigText(copy.config()), ConfigText(source.config()));
      const std::vector<float> logits = AllLogits(copy, kTokens);
      if (recurs) {
        ExpectNearlySame(logits, expected, 4e-6f);
      } else {
        EXPECT_EQ(logits, expected);
      }
    }
  }
}

// ---------------------------------------------------------------------------
// Other properties of files

std::string WriteTiny(const std::string& type, const SbsForm& form) {
  HfModel model = {TinyConfig(type), TinyHfTensors(type)};
  const std::string path = TestDirectory();
  const ModelConfig config = WriteDirectory(path + "/hf", model, form);
  WriteFile(path + "/m.sbs", SbsModel(config, model.tensors, form));
  return path + "/m.sbs";
}

TEST(SbsModel, SaysWhetherItChats) {
  EXPECT_TRUE(LoadExact(WriteTiny("gemma2", {})).is_instruction_tuned());
  EXPECT_FALSE(
      LoadExact(WriteTiny("gemma2", {.wrapping = 1})).is_instruction_tuned());
}

TEST(SbsModel, ConversionKeepsInstructionTuning) {
  for (const uint32_t wrapping : {0u, 1u}) {
    const std::string source = WriteTiny("gemma2", {.wrapping = wrapping});
    for (const auto layout : {FileLayout::kGguf, FileLayout::kPacked}) {
      QuantizeOptions options;
      options.layout = layout;
      options.overwrite = true;
      const std::string written = source + ".gguf";
      ASSERT_EQ(ErrorOf(Quantize(source, written, options)), "OK");
      EXPECT_EQ(LoadExact(written).is_instruction_tuned(), wrapping == 0);
    }
  }
}

// Values that are not -8 softplus(a_param) for any a_param must not be written,
// because they would not be finite.
TEST(SbsModel, RefusesImpossibleParameters) {
  HfModel model = {TinyConfig("recurrent_gemma"),
                   TinyHfTensors("recurrent_gemma")};
  // The softplus of this value is below float32's range.
  Find(model.tensors, "model.layers.0.temporal_block.rg_lru.recurrent_param")
      .values[3] = -200.0f;
  const std::string path = TestDirectory();
  const ModelConfig config = WriteDirectory(path + "/hf", model, {});
  WriteFile(path + "/m.sbs", SbsModel(config, model.tensors, {}));
  ASSERT_EQ(ErrorOf(Model::Load(path + "/m.sbs")), "OK");
  EXPECT_EQ(ErrorOf(Quantize(path + "/m.sbs", path + "/m.gguf", {})),
            path +
                "/m.sbs: tensor 'blk.0.rec_a_param.weight' has values that "
                "are not below zero, wanted -8 softplus(a_param)");
  EXPECT_FALSE(std::filesystem::exists(path + "/m.gguf"));
}

TEST(SbsModel, TellsWhatItHolds) {
  const Model model = LoadExact(WriteTiny("gemma2", {.type = SbsType::kSfp}));
  for (const TensorSummary& tensor : model.tensors()) {
    const bool matrix = tensor.name.find("attn_output") != std::string::npos;
    if (!matrix) continue;
    EXPECT_EQ(tensor.format, "SFP");
    EXPECT_EQ(tensor.shape, (std::vector<size_t>{8, 8}));
    EXPECT_EQ(tensor.bytes, 64u);
  }
}

// The embedding table has one row for each piece of the toy vocabulary.
std::string WriteWithVocabulary(const SbsForm& form) {
  const size_t pieces = ToyVocabulary().tokens.size();
  HfModel model = {TinyConfig("gemma"), TinyHfTensors("gemma")};
  model.config["vocab_size"] = pieces;
  Find(model.tensors, "model.embed_tokens.weight") =
      MakeTensor("model.embed_tokens.weight", {pieces, 8});
  const std::string path = TestDirectory();
  const ModelConfig config = WriteDirectory(path + "/hf", model, form);
  WriteFile(path + "/m.sbs", SbsModel(config, model.tensors, form));
  return path + "/m.sbs";
}

TEST(SbsModel, TokenizerInsideOrBeside) {
  const std::string proto = ToyVocabulary().model_proto;
  SbsForm form;
  form.tokenizer = proto;
  std::string path = WriteWithVocabulary(form);
  const absl::StatusOr<Tokenizer> inside = Tokenizer::Load(path);
  ASSERT_EQ(ErrorOf(inside), "OK");
  EXPECT_THAT(LoadExact(path).config().stop_tokens, testing::Contains(1));

  for (const char* none : {"", "unavailable"}) {
    form.tokenizer = none;
    path = WriteWithVocabulary(form);
    const std::string directory = std::filesystem::path(path).parent_path();
    EXPECT_THAT(ErrorOf(Tokenizer::Load(path)),
                HasSubstr("neither tokenizer.spm nor tokenizer.model"));
    EXPECT_FALSE(LoadExact(path).tokenizer().ok());
    for (const char* name : {"/tokenizer.spm", "/tokenizer.model"}) {
      WriteFile(directory + name, proto);
      const absl::StatusOr<Tokenizer> beside = Tokenizer::Load(path);
      ASSERT_EQ(ErrorOf(beside), "OK");
      EXPECT_EQ(beside->vocab_size(), inside->vocab_size());
      std::filesystem::remove(directory + name);
    }
  }
  form.tokenizer = "no proto";
  path = WriteWithVocabulary(form);
  EXPECT_THAT(ErrorOf(Model::Load(path).status()),
              StartsWith(path + ": blob 'tokenizer'"));
}

TEST(SbsModel, OneFileDirectoryLoads) {
  const std::string path = WriteTiny("gemma3_text", {});
  const std::string directory = std::filesystem::path(path).parent_path();
  EXPECT_EQ(AllLogits(LoadExact(directory), kTinyTokens),
            AllLogits(LoadExact(path), kTinyTokens));
}

TEST(SbsModel, ReadsStopTokens) {
  const HfModel model = ReadToy("gemma2");
  const std::string path = TestDirectory();
  const ModelConfig config = WriteDirectory(path + "/hf", model, {});
  WriteFile(path + "/m.sbs", SbsModel(config, model.tensors, {}));
  EXPECT_THAT(LoadExact(path + "/m.sbs").config().stop_tokens,
              ElementsAre(1, 107));
}

}  // namespace
}  // namespace gemma::internal

// Scales of 8-bit floats; tools/reference/scaled_weights.py writes the values
// that transformers and compressed-tensors give.

#include "src/model/config/tensor_scales.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "compression/codec.h"
#include "gemma/quantize.h"
#include "gemma/verify_file.h"
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
using ::testing::HasSubstr;

const std::string kWeight = "model.layers.0.mlp.up_proj.weight";

json Fp8Config() { return {{"quant_method", "fp8"}}; }

json CompressedConfig() {
  return {{"quant_method", "compressed-tensors"},
          {"format", "float-quantized"},
          {"config_groups",
           {{"group_0",
             {{"targets", {"Linear"}},
              {"weights",
               {{"num_bits", 8}, {"type", "float"}, {"strategy", "channel"}}},
              {"input_activations",
               {{"num_bits", 8}, {"type", "float"}, {"dynamic", true}}}}}}}};
}

TEST(TensorScales, ValuesEqualTransformers) {
  size_t cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::string(GEMMA_TESTDATA_DIR) + "/scales")) {
    SCOPED_TRACE(entry.path().filename());
    absl::StatusOr<Checkpoint> checkpoint =
        OpenCheckpoint(entry.path().string());
    ASSERT_EQ(ErrorOf(checkpoint), "OK");
    Tensor& weight = checkpoint->tensors.at("m.weight");
    // A second call changes nothing.
    ASSERT_EQ(ErrorOf(BindScales(*checkpoint, "m.weight", weight)), "OK");
    ASSERT_EQ(ErrorOf(BindScales(*checkpoint, "m.weight", weight)), "OK");
    const absl::StatusOr<std::vector<float>> values = Decode(weight);
    const absl::StatusOr<std::vector<float>> expected =
        Decode(checkpoint->tensors.at("expected"));
    ASSERT_EQ(ErrorOf(values), "OK");
    ASSERT_EQ(ErrorOf(expected), "OK");
    ASSERT_EQ(values->size(), expected->size());
    for (size_t i = 0; i < values->size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>((*values)[i]),
                std::bit_cast<uint32_t>((*expected)[i]))
          << "value " << i << " is " << (*values)[i] << ", not "
          << (*expected)[i];
    }
    ++cases;
  }
  EXPECT_EQ(cases, 9u);
}

// ---------------------------------------------------------------------------
// Whole models

// The smallest Gemma 3, whose matrices are random finite codes.
class Float8Model {
 public:
  explicit Float8Model(std::string dtype = "F8_E4M3")
      : config_(TinyConfig("gemma3_text")), dtype_(std::move(dtype)) {}

  json& config() { return config_; }

  // Gives each matrix a scale of type F32 for each row, with this suffix.
  void ScaleRows(const std::string& suffix) { suffix_ = suffix; }
  // Adds a tensor, or replaces one.
  void Set(const std::string& name, std::string_view dtype,
           const std::vector<uint64_t>& shape, const Bytes& data) {
    others_.Tensor(name, dtype, shape, data);
    replaced_.push_back(name);
  }

  // Writes the model, or its values in float32.
  void Write(const std::string& directory, bool as_floats) {
    SafetensorsWriter out = as_floats ? SafetensorsWriter() : others_;
    const Format format = dtype_ == "F64"       ? Format::kF64
                          : dtype_ == "F8_E4M3" ? Format::kF8_E4M3
                                                : Format::kF8_E5M2;
    for (const TinyTensor& tensor : TinyHfTensors("gemma3_text")) {
      if (tensor.shape.size() != 2) {
        out.Tensor(tensor.name, "F32", tensor.shape, tensor.bytes());
        continue;
      }
      const uint64_t rows = tensor.shape[0];
      const size_t cols = tensor.shape[1];
      Bytes codes(rows * cols * BlockBytes(format));
      for (size_t i = 0; i < rows * cols; ++i) {
        if (format == Format::kF64) {
          const double value = tensor.values[i] / 3.0;
          std::memcpy(&codes[8 * i], &value, sizeof(value));
        } else {
          codes[i] = static_cast<uint8_t>((i * 37 + tensor.name.size()) % 64 +
                                          i % 2 * 128);
        }
      }
      ByteWriter scales;
      ByteWriter values;
      for (size_t row = 0; row < rows; ++row) {
        const float scale =
            suffix_.empty() ? 1.0f : 0.1f + 0.07f * static_cast<float>(row);
        scales.Number(scale);
        std::vector<float> decoded(cols);
        DecodeRow({format, rows, cols, codes.data()}, row, decoded.data());
        for (const float value : decoded) values.Number(value * scale);
      }
      if (as_floats) {
        out.Tensor(tensor.name, "F32", tensor.shape, values.bytes());
        continue;
      }
      out.Tensor(tensor.name, dtype_, tensor.shape, codes);
      const std::string name = tensor.name + suffix_;
      if (suffix_.empty() || IsReplaced(name)) continue;
      out.Tensor(name, "F32", {rows, 1}, scales.bytes());
    }
    std::filesystem::create_directories(directory);
    json config = config_;
    if (as_floats) config.erase("quantization_config");
    WriteFile(directory + "/config.json", config.dump());
    WriteFile(directory + "/model.safetensors", out.Finish());
  }

  std::string Error() {
    const std::string directory = TestDirectory();
    Write(directory, /*as_floats=*/false);
    return ErrorOf(Model::Load(directory, {.num_threads = 1}).status());
  }

 private:
  bool IsReplaced(const std::string& name) const {
    return std::find(replaced_.begin(), replaced_.end(), name) !=
           replaced_.end();
  }

  json config_;
  std::string dtype_;
  std::string suffix_;
  SafetensorsWriter others_;
  std::vector<std::string> replaced_;
};

// Returns logits in float32. (By default, the cache is in float32 only if the
// embeddings are.)
std::vector<float> ExactLogits(const std::string& path) {
  const Model model = LoadExact(path);
  Session session = NewSession(model, {.cache_format = CacheFormat::kFloat32});
  return AllLogits(session, {2, 5, 3});
}

// Expects the same logits from a model and from its values in float32.
void ExpectSameLogits(Float8Model& model) {
  const std::string directory = TestDirectory();
  model.Write(directory + "/m", false);
  model.Write(directory + "/f", true);
  const std::vector<float> expected = ExactLogits(directory + "/f");
  EXPECT_NE(expected.front(), expected.back());
  EXPECT_EQ(ExactLogits(directory + "/m"), expected);
  // Files that are written from the model, too.
  ASSERT_EQ(ErrorOf(Quantize(directory + "/m", directory + "/packed", {})),
            "OK");
  EXPECT_EQ(ErrorOf(VerifyFile(directory + "/packed").status()), "OK");
  EXPECT_EQ(ExactLogits(directory + "/packed"), expected);
}

TEST(Float8, UnscaledCodesAreValues) {
  for (const char* dtype : {"F8_E4M3", "F8_E5M2", "F64"}) {
    SCOPED_TRACE(dtype);
    Float8Model model(dtype);
    ExpectSameLogits(model);
  }
}

TEST(Float8, ScalesOfBothMethods) {
  Float8Model fp8;
  fp8.config()["quantization_config"] = Fp8Config();
  fp8.ScaleRows("_scale_inv");
  ExpectSameLogits(fp8);
  Float8Model compressed("F8_E5M2");
  compressed.config()["quantization_config"] = CompressedConfig();
  compressed.ScaleRows("_scale");
  ExpectSameLogits(compressed);
}

TEST(Float8, RoundsToModelType) {
  Float8Model model;
  model.config()["quantization_config"] = Fp8Config();
  model.ScaleRows("_scale_inv");
  const std::string directory = TestDirectory();
  uint64_t bytes[2] = {};
  for (const char* dtype : {"float32", "bfloat16"}) {
    model.config()["dtype"] = dtype;
    model.Write(directory, false);
    bytes[dtype[0] == 'b'] = LoadExact(directory).MemoryFor({}).weights;
  }
  EXPECT_LT(bytes[1], bytes[0]);
}

TEST(Float8, EmbeddingScaleIsRounded) {
  Float8Model model;
  const std::string directory = TestDirectory();
  model.Write(directory, false);
  EXPECT_EQ(LoadExact(directory).config().embedding_scale, 0x1.6a09e6p+1f);
  model.config()["dtype"] = "bfloat16";
  model.Write(directory, false);
  EXPECT_EQ(LoadExact(directory).config().embedding_scale, 2.828125f);
}

// ---------------------------------------------------------------------------
// Refused models

TEST(Float8, UnexplainedScalesAreRefused) {
  Float8Model model;
  model.ScaleRows("_scale");
  EXPECT_THAT(model.Error(), HasSubstr("weight_scale' changes the values of"));
  // The other method's name.
  model.config()["quantization_config"] = Fp8Config();
  EXPECT_THAT(model.Error(), HasSubstr("weight_scale' changes the values of"));
}

TEST(Float8, MissingScalesAreNamed) {
  Float8Model model;
  model.config()["quantization_config"] = Fp8Config();
  EXPECT_THAT(model.Error(), HasSubstr(": no tensor 'model.embed_tokens."
                                       "weight_scale_inv', which "
                                       "'model.embed_tokens.weight' needs "
                                       "because of "));
}

TEST(Float8, OtherScalesAreRefused) {
  const auto error = [](std::string_view dtype, std::vector<uint64_t> shape,
                        size_t bytes) {
    Float8Model model;
    model.config()["quantization_config"] = Fp8Config();
    model.ScaleRows("_scale_inv");
    model.Set(kWeight + "_scale_inv", dtype, shape, Bytes(bytes, 1));
    return model.Error();
  };
  EXPECT_EQ(error("F32", {1}, 4), "OK");
  EXPECT_EQ(error("BF16", {3, 4}, 24), "OK");
  EXPECT_EQ(error("F16", {6, 8}, 96), "OK");
  EXPECT_THAT(error("U8", {1}, 1), HasSubstr("of type U8, wanted F32, F16"));
  EXPECT_THAT(error("F64", {1}, 8), HasSubstr("of type F64, wanted F32, F16"));
  EXPECT_THAT(error("F32", {6}, 24), HasSubstr("is [6], which does not fit '" +
                                               kWeight + "', which is [6, 8]"));
  EXPECT_THAT(error("F32", {4, 1}, 16), HasSubstr("is [4, 1], which does not"));
  EXPECT_THAT(error("F32", {1, 5}, 20), HasSubstr("is [1, 5], which does not"));
}

TEST(Float8, OtherMethodsAreRefused) {
  const auto error = [](const json& config) {
    Float8Model model;
    model.ScaleRows("_scale_inv");
    model.config()["quantization_config"] = config;
    return model.Error();
  };
  EXPECT_EQ(error(Fp8Config()), "OK");
  EXPECT_THAT(error({{"quant_method", "modelopt"}}),
              HasSubstr("'quantization_config'"));
  const auto with = [&](const char* key, const json& value) {
    json config = Fp8Config();
    config[key] = value;
    return error(config);
  };
  EXPECT_EQ(with("activation_scheme", "dynamic"), "OK");
  EXPECT_EQ(with("weight_block_size", nullptr), "OK");
  EXPECT_THAT(
      with("activation_scheme", "static"),
      HasSubstr(
          "'quantization_config.activation_scheme' is the string 'static', "
          "wanted 'dynamic'"));
  EXPECT_THAT(with("scale_fmt", "ue8m0"), HasSubstr("wanted 'float'"));
  EXPECT_THAT(with("weight_block_size", {1, 2, 3}),
              HasSubstr("wanted two sizes of 1 or more"));
  EXPECT_THAT(with("weight_block_size", {0, 2}),
              HasSubstr("wanted two sizes of 1 or more"));
}

TEST(Float8, OtherSchemesAreRefused) {
  const auto error = [](const json& change) {
    Float8Model model;
    model.ScaleRows("_scale");
    json config = CompressedConfig();
    config.merge_patch(change);
    model.config()["quantization_config"] = config;
    return model.Error();
  };
  const auto group = [&](const json& change) {
    return error({{"config_groups", {{"group_0", change}}}});
  };
  EXPECT_EQ(error(json::object()), "OK");
  EXPECT_EQ(group({{"input_activations", nullptr}}), "OK");
  EXPECT_EQ(error({{"sparsity_config", {{"format", "dense"}}}}), "OK");
  EXPECT_THAT(
      error({{"format", "pack-quantized"}}),
      HasSubstr("is the string 'pack-quantized', wanted 'float-quantized' or"));
  EXPECT_THAT(error({{"kv_cache_scheme", {{"num_bits", 8}}}}),
              HasSubstr("kv_cache_scheme' is"));
  EXPECT_THAT(error({{"sparsity_config", {{"format", "sparse-24-bitmask"}}}}),
              HasSubstr("wanted 'dense'"));
  EXPECT_THAT(error({{"config_groups", nullptr}}),
              HasSubstr("'config_groups' is missing or empty"));
  EXPECT_THAT(group({{"input_activations", {{"dynamic", false}}}}),
              HasSubstr("input_activations.dynamic' is false, wanted true"));
  EXPECT_THAT(group({{"weights", {{"type", "int"}}}}),
              HasSubstr("weights.type' is the string 'int', wanted 'float'"));
  EXPECT_THAT(group({{"weights", {{"num_bits", 4}}}}),
              HasSubstr("weights.num_bits' is 4, wanted 8"));
  EXPECT_THAT(group({{"weights", {{"symmetric", false}}}}),
              HasSubstr("weights.symmetric' is false, wanted true"));
}

TEST(Float8, UnreadTypesAreNamed) {
  const std::pair<const char*, size_t> types[] = {
      {"I8", 48}, {"U8", 48}, {"I32", 192}, {"BOOL", 48}, {"F4", 24}};
  for (const auto& [dtype, bytes] : types) {
    TinyTensors tensors = TinyHfTensors("gemma3_text");
    SafetensorsWriter out;
    for (const TinyTensor& tensor : tensors) {
      const bool is_other = tensor.name == kWeight;
      out.Tensor(tensor.name, is_other ? dtype : "F32", tensor.shape,
                 is_other ? Bytes(bytes) : tensor.bytes());
    }
    const std::string directory = TestDirectory();
    WriteFile(directory + "/config.json", TinyConfig("gemma3_text").dump());
    WriteFile(directory + "/model.safetensors", out.Finish());
    EXPECT_EQ(ErrorOf(Model::Load(directory, {.num_threads = 1}).status()),
              directory + "/model.safetensors: tensor '" + kWeight +
                  "' is of type " + dtype +
                  ", which is not read yet; wanted F32, F16, BF16, F64, "
                  "F8_E5M2, F8_E4M3");
  }
}

}  // namespace
}  // namespace gemma::internal

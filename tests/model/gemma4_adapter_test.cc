// Adapters of Gemma 4: those of its own matrices are merged, and those of
// matrices that its layers lack are refused with the reason.

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "compression/packed_row.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "src/session/model_impl.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

const std::string kModules = "base_model.model.model.";
constexpr float kScale = 2.0f;  // of B A, by the configuration below

class Gemma4Adapter : public ::testing::Test {
 protected:
  Gemma4Adapter() { std::filesystem::create_directory(adapter_); }

  // Loads a toy with an adapter of rank 1 that has these tensors.
  absl::StatusOr<Model> Load(const std::string& toy,
                             const TinyTensors& tensors) {
    const nlohmann::json config = {{"peft_type", "LORA"},
                                   {"r", 1},
                                   {"lora_alpha", kScale},
                                   {"bias", "none"}};
    WriteFile(adapter_ + "/adapter_config.json", config.dump());
    SafetensorsWriter out;
    for (const TinyTensor& tensor : tensors) {
      out.Tensor(tensor.name, "F32", tensor.shape, tensor.bytes());
    }
    WriteFile(adapter_ + "/adapter_model.safetensors", out.Finish());
    LoadOptions options;
    options.num_threads = 2;
    options.adapters = {{adapter_, 1.0f}};
    return Model::Load(ToyPath(toy), options);
  }

  // The error of an adapter of one module.
  std::string ErrorOfModule(const std::string& toy, const std::string& module,
                            const std::string& a = "lora_A.weight") {
    return ErrorOf(
        Load(toy, {MakeTensor(kModules + module + "." + a, {1, 8})}));
  }

  const std::string folder_ = TestDirectory();
  const std::string adapter_ = folder_ + "/adapter";
};

std::vector<float> UnpackedValues(const Matrix& matrix) {
  const PackedView& view = matrix.view;
  std::vector<float> values(view.rows * view.cols);
  for (size_t row = 0; row < view.rows; ++row) {
    DecodePackedRow(view, row, values.data() + row * view.cols);
  }
  return values;
}

// Checks that `after` is `before` plus kScale times the outer product b a.
void ExpectChanged(const Matrix& before, const Matrix& after,
                   const TinyTensor& a, const TinyTensor& b) {
  const std::vector<float> x = UnpackedValues(before);
  const std::vector<float> y = UnpackedValues(after);
  ASSERT_EQ(x.size(), y.size());
  const size_t cols = before.view.cols;
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(y[i], x[i] + kScale * b.values[i / cols] * a.values[i % cols],
                1e-5);
  }
}

TEST_F(Gemma4Adapter, ChangesPerLayerMatrices) {
  const auto pair = [](const std::string& module, size_t rows, size_t cols) {
    return TinyTensors{
        MakeTensor(kModules + module + ".lora_A.weight", {1, cols}),
        MakeTensor(kModules + module + ".lora_B.weight", {rows, 1})};
  };
  TinyTensors tensors;
  for (const TinyTensors& each : {pair("layers.0.per_layer_input_gate", 4, 32),
                                  pair("layers.3.per_layer_projection", 32, 4),
                                  pair("per_layer_model_projection", 20, 32)}) {
    tensors.insert(tensors.end(), each.begin(), each.end());
  }
  const absl::StatusOr<Model> model = Load("gemma4_e2b", tensors);
  ASSERT_EQ(ErrorOf(model), "OK");
  const Model plain = LoadExact(ToyPath("gemma4_e2b"));
  const Weights& before = plain.impl().weights;
  const Weights& after = model->impl().weights;
  ExpectChanged(before.layers[0].per_layer_gate, after.layers[0].per_layer_gate,
                tensors[0], tensors[1]);
  ExpectChanged(before.layers[3].per_layer_proj, after.layers[3].per_layer_proj,
                tensors[2], tensors[3]);
  ExpectChanged(before.per_layer_context, after.per_layer_context, tensors[4],
                tensors[5]);
}

TEST_F(Gemma4Adapter, RefusalsSayWhy) {
  EXPECT_THAT(ErrorOfModule("gemma4_moe", "layers.1.self_attn.v_proj"),
              HasSubstr("layers.1.self_attn.v_proj.lora_A.weight' changes no "
                        "matrix of the model: the values of layer 1 are its "
                        "keys"));
  EXPECT_THAT(ErrorOfModule("gemma4_moe", "layers.0.router.proj"),
              HasSubstr(": adapters of the router of experts are not read"));
  for (const char* module :
       {"layers.0.experts", "layers.0.experts.base_layer",
        "layers.0.experts.gate_up_proj", "layers.1.experts.down_proj"}) {
    EXPECT_THAT(ErrorOfModule("gemma4_moe", module),
                HasSubstr(": adapters of experts are not read"));
  }
  for (const char* module : {"k_proj", "v_proj"}) {
    EXPECT_THAT(ErrorOfModule("gemma4_e2b",
                              std::string("layers.3.self_attn.") + module),
                HasSubstr(": layer 3 reads the keys and values of layer 1"));
  }
  EXPECT_THAT(
      ErrorOfModule("gemma4_e2b", "embed_tokens_per_layer", "lora_embedding_A"),
      HasSubstr(": the table of per-layer embeddings stays"));
}

}  // namespace
}  // namespace gemma::internal

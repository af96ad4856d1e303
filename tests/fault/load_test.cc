// Allocations that fail while files are read.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gemma/gemma.h"
#include "gtest/gtest.h"
#include "tests/fault/fault_toys.h"
#include "tests/fault/faults.h"
#include "tests/scope/toy_autoencoders.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

// Loads the model with a fault at each allocation. If it loads, its logits must
// be the usual ones.
void SweepLoad(const std::string& path, const LoadOptions& options) {
  const std::vector<float> expected = FaultLogits(LoadOrDie(path, options));
  SweepMemory([&](Injector& faults) -> absl::Status {
    LoadOptions own = options;  // the caller's allocations
    absl::StatusOr<Model> model =
        faults([&] { return Model::Load(path, std::move(own)); });
    if (!model.ok()) return model.status();
    EXPECT_EQ(FaultLogits(*model), expected);
    EXPECT_TRUE(model->tokenizer().ok());
    return absl::OkStatus();
  });
}

TEST(LoadFaults, HuggingFaceDirectory) {
  SweepLoad(WriteFaultDirectory(TestDirectory()), FaultOptions());
}

TEST(LoadFaults, GgufFile) {
  SweepLoad(WriteFaultGguf(TestDirectory(), "gemma3"), FaultOptions());
}

TEST(LoadFaults, RecurrentGgufFile) {
  SweepLoad(WriteFaultGguf(TestDirectory(), "recurrentgemma"), FaultOptions());
}

TEST(LoadFaults, QuantizedWhileLoaded) {
  LoadOptions options = FaultOptions();
  options.quantize = WeightType::kQ8;
  SweepLoad(WriteFaultGguf(TestDirectory(), "gemma2"), options);
}

TEST(LoadFaults, PackedFile) {
  SweepLoad(WriteFaultPacked(TestDirectory(), "gemma3"), FaultOptions());
}

TEST(LoadFaults, GemmaCppFile) {
  SweepLoad(WriteFaultSbs(TestDirectory()), FaultOptions());
}

TEST(LoadFaults, MergedAdapter) {
  const std::string folder = TestDirectory();
  const std::string model = WriteFaultPacked(folder, "gemma2");
  const std::string module = "base_model.model.model.layers.0.mlp.up_proj.";
  SafetensorsWriter weights;
  for (const TinyTensor& tensor :
       {MakeTensor(module + "lora_A.weight", {2, 8}),
        MakeTensor(module + "lora_B.weight", {6, 2})}) {
    weights.Tensor(tensor.name, "F32", tensor.shape, tensor.bytes());
  }
  WriteFile(folder + "/adapter_model.safetensors", weights.Finish());
  WriteFile(folder + "/adapter_config.json",
            R"({"peft_type": "LORA", "r": 1, "rank_pattern": {"up_.*": 2}})");
  LoadOptions options = FaultOptions();
  options.adapters = {{folder}};
  SweepLoad(model, options);
}

TEST(LoadFaults, TokenizerAlone) {
  const std::string path = WriteFaultDirectory(TestDirectory());
  SweepMemory([&](Injector& faults) -> absl::Status {
    const auto tokens = faults([&]() -> absl::StatusOr<std::vector<TokenId>> {
      const auto tokenizer = Tokenizer::Load(path);
      if (!tokenizer.ok()) return tokenizer.status();
      return tokenizer->Encode("hello the cat");
    });
    if (!tokens.ok()) return tokens.status();
    EXPECT_EQ(*tokens, *Tokenizer::Load(path)->Encode("hello the cat"));
    return absl::OkStatus();
  });
}

void SweepAutoencoder(const std::string& path, TapPoint output) {
  SparseAutoencoderOptions options;
  options.weights = FeatureWeights::kInt8;
  options.site = FeatureSite{TapPoint::kBlockOutput, output, 0};
  options.num_threads = 1;
  const auto loaded = SparseAutoencoder::Load(path, options);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const std::vector<float> x(loaded->input_dim(), 0.5f);
  const auto indices = [](const std::vector<std::vector<Feature>>& rows) {
    std::vector<std::pair<size_t, float>> all;
    for (const Feature& f : rows[0]) all.emplace_back(f.index, f.value);
    return all;
  };
  const auto expected = indices(*loaded->Encode(x));
  SweepMemory([&](Injector& faults) -> absl::Status {
    const auto features =
        faults([&]() -> absl::StatusOr<std::vector<std::vector<Feature>>> {
          const auto autoencoder = SparseAutoencoder::Load(path, options);
          if (!autoencoder.ok()) return autoencoder.status();
          return autoencoder->Encode(x);
        });
    if (!features.ok()) return features.status();
    EXPECT_EQ(indices(*features), expected);
    return absl::OkStatus();
  });
}

TEST(LoadFaults, AutoencoderOfNpz) {
  SweepAutoencoder(ScopePath("arrays/params.npz"), TapPoint::kBlockOutput);
}

TEST(LoadFaults, AutoencoderOfSafetensors) {
  SweepAutoencoder(ScopePath("arrays/affine_bf16"), TapPoint::kFfwOutput);
}

TEST(LoadFaults, Policies) {
  const std::string json =
      R"([{"name": "a", "title": "A", "prompt_rule": "The prompt is not a."}])";
  SweepMemory([&](Injector& faults) -> absl::Status {
    const auto policies = faults([&] { return ParsePolicies(json); });
    if (!policies.ok()) return policies.status();
    EXPECT_EQ(policies->size(), 1u);
    return absl::OkStatus();
  });
}

TEST(LoadFaults, Grammars) {
  const std::string schema =
      R"({"type": "object", "properties": {"a": {"type": "integer"},
          "b": {"enum": ["x", 1, null]}, "c": {"pattern": "^[a-f]{2,3}$"}}})";
  const std::function<absl::StatusOr<Grammar>()> makers[] = {
      [] { return Grammar::FromRegex("(ab|cd)+[0-9]{2,4}"); },
      [] {
        return Grammar::FromChoices({"left", "right"});
      },
      [&] { return Grammar::FromJsonSchema(schema); }};
  const std::string texts[] = {"ab12", "left", R"({"a": 1})"};
  for (size_t i = 0; i < 3; ++i) {
    SweepMemory([&](Injector& faults) -> absl::Status {
      const auto grammar = faults([&] { return makers[i](); });
      if (!grammar.ok()) return grammar.status();
      EXPECT_TRUE(grammar->Matches(texts[i]).value()) << texts[i];
      return absl::OkStatus();
    });
  }
}

}  // namespace
}  // namespace gemma::internal

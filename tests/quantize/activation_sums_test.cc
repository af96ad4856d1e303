#include "src/quantize/activation_sums.h"

#include <cmath>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/formats/gguf.h"
#include "src/model/tensors/tensor_names.h"
#include "src/model/tensors/weight_table.h"
#include "src/quantize/importance.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;
using ::testing::Pointwise;
using ::testing::StartsWith;

const ImportanceSource kSource = {"text.txt", 3, 64};

Bytes ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

// Returns the file for a toy that reads `tokens`, up to `chunk` at once.
Bytes FileOf(const Toy& toy, const std::vector<TokenId>& tokens,
             size_t num_threads, size_t chunk, const std::string& path) {
  const Model model = LoadToy(toy, num_threads, chunk);
  Session session = NewSession(model);
  ActivationSums sums;
  session.SetTap([&](const TapSite& site, absl::Span<float> activations) {
    sums.Add(site, activations);
  });
  EXPECT_TRUE(session.Append(tokens).ok());
  const absl::Status status =
      sums.Write(model.config(), /*own_head=*/false, kSource, path);
  EXPECT_TRUE(status.ok()) << status;
  return ReadBytes(path);
}

class ActivationSumsOf : public ::testing::TestWithParam<Toy> {};

// The toys of tools/reference/importance.py, which follows transformers.
const Toy kToys[] = {
    {"gemma", "gemma"},
    {"gemma2", "gemma2"},
    {"gemma3", "gemma3"},
    {"gemma3n", "gemma3n"},
    {"gemma4_e2b", "gemma4_e2b"},
    {"gemma4_moe", "gemma4_moe"},
    {"recurrent", "recurrent_gemma", RecurrentWindow::kTransformers}};
INSTANTIATE_TEST_SUITE_P(Toys, ActivationSumsOf, ::testing::ValuesIn(kToys),
                         [](const auto& toy) { return toy.param.name; });

TEST_P(ActivationSumsOf, EqualWhatTransformersMultiplies) {
  const Toy& toy = GetParam();
  const std::string path = TestDirectory() + "/F.gguf";
  const std::vector<TokenId> tokens = ReadReference(toy).tokens;
  FileOf(toy, tokens, 2, 256, path);
  const absl::StatusOr<Importance> importance = Importance::Load(path);
  ASSERT_TRUE(importance.ok()) << importance.status();
  const Model model = LoadToy(toy);
  const std::string file = GEMMA_TESTDATA_DIR "/importance/" + toy.folder;
  size_t tensors = 0;
  for (const WeightSpec& spec : WeightsOf(model.config(), false)) {
    const bool has_experts = spec.kind == WeightKind::kExperts;
    const bool is_stack = spec.kind == WeightKind::kStack;
    if (spec.kind != WeightKind::kMatrix && !has_experts && !is_stack) continue;
    if (!RowOf(spec.role).input.has_value()) continue;
    ++tensors;
    const std::string name = TensorNames::Gguf().Name(spec.role, spec.layer);
    SCOPED_TRACE(name);
    const size_t columns = spec.shape.back();
    const size_t matrices = has_experts || is_stack ? spec.shape[0] : 1;
    EXPECT_TRUE(importance->CheckColumns(name, columns, matrices).ok());
    const absl::Span<const float> means = importance->Of(name);
    const std::vector<float> sums = ReadFloats(file + ".npz", name);
    std::vector<TokenId> counts(matrices, static_cast<TokenId>(tokens.size()));
    if (has_experts) counts = ReadTokens(file + ".npz", name + ".counts");
    ASSERT_EQ(means.size(), sums.size());
    for (size_t i = 0; i < sums.size(); ++i) {
      const float count = static_cast<float>(counts[i / columns]);
      EXPECT_NEAR(means[i], sums[i] / count, 1e-4 * means[i] + 1e-9);
    }
  }
  EXPECT_EQ(importance->size(), tensors);
}

TEST_P(ActivationSumsOf, SameBytesAnyThreads) {
  const std::string path = TestDirectory() + "/F.gguf";
  const std::vector<TokenId> tokens = ReadReference(GetParam()).tokens;
  const Bytes expected = FileOf(GetParam(), tokens, 1, 256, path);
  for (const size_t num_threads : {1, 2, 3, 4}) {
    for (const size_t chunk : {1, 5, 32, 256}) {
      EXPECT_EQ(FileOf(GetParam(), tokens, num_threads, chunk, path), expected)
          << num_threads << " threads, " << chunk << " tokens at once";
    }
  }
}

// A model of one block, with rows for each of its points.
class OneBlock : public ::testing::Test {
 protected:
  OneBlock() {
    config_.model_dim = 2;
    config_.vocab_size = 8;
    LayerConfig& layer = config_.layers.emplace_back();
    layer.ffw_dim = 3;
    layer.num_heads = layer.num_kv_heads = 1;
    layer.head_dim = 1;
  }

  void Add(TapPoint point, size_t layer, std::vector<float> rows,
           size_t num_rows = 1) {
    sums_.Add({point, layer, 0, num_rows}, rows);
  }
  void AddAll() {
    Add(TapPoint::kMixInput, 0, {1, 2});
    Add(TapPoint::kMixHidden, 0, {3});
    Add(TapPoint::kFfwInput, 0, {4, 5});
    Add(TapPoint::kFfwHidden, 0, {6, 7, 8});
    Add(TapPoint::kHeadInput, 1, {9, 10});
  }
  absl::Status Write(bool own_head = false) {
    return sums_.Write(config_, own_head, kSource, path_);
  }

  ModelConfig config_;
  ActivationSums sums_;
  const std::string path_ = TestDirectory() + "/F.gguf";
};

TEST_F(OneBlock, MatricesGetTheirInputs) {
  AddAll();
  // Activations that no matrix multiplies do not count.
  Add(TapPoint::kMixOutput, 0, {20, 20});
  Add(TapPoint::kFfwOutput, 0, {20, 20});
  Add(TapPoint::kBlockOutput, 0, {20, 20});
  Add(TapPoint::kFfwInput, 0, {2, 1, 0, 0, 0, 0}, 3);
  ASSERT_TRUE(Write().ok());
  const absl::StatusOr<Importance> importance = Importance::Load(path_);
  ASSERT_TRUE(importance.ok()) << importance.status();
  EXPECT_EQ(importance->size(), 8u);
  for (const char* name : {"q", "k", "v"}) {
    EXPECT_THAT(importance->Of(absl::StrCat("blk.0.attn_", name, ".weight")),
                ElementsAre(1, 4));
  }
  EXPECT_THAT(importance->Of("blk.0.attn_output.weight"), ElementsAre(9));
  for (const char* name : {"gate", "up"}) {
    EXPECT_THAT(importance->Of(absl::StrCat("blk.0.ffn_", name, ".weight")),
                ElementsAre(5, 6.5));
  }
  EXPECT_THAT(importance->Of("blk.0.ffn_down.weight"), ElementsAre(36, 49, 64));
  EXPECT_THAT(importance->Of("token_embd.weight"), ElementsAre(81, 100));
}

TEST_F(OneBlock, UntiedHeadGetsInputs) {
  AddAll();
  ASSERT_TRUE(Write(/*own_head=*/true).ok());
  const absl::StatusOr<Importance> importance = Importance::Load(path_);
  ASSERT_TRUE(importance.ok()) << importance.status();
  EXPECT_EQ(importance->size(), 8u);
  EXPECT_THAT(importance->Of("output.weight"), ElementsAre(81, 100));
}

TEST_F(OneBlock, WritesLlamaCppFormat) {
  AddAll();
  Add(TapPoint::kMixHidden, 0, {1, 1}, 2);
  ASSERT_TRUE(Write().ok());
  const Bytes bytes = ReadBytes(path_);
  const absl::StatusOr<GgufFile> file = ParseGguf(bytes, path_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->tensors.size(), 16u);
  std::string type;
  uint32_t chunk_count = 0;
  uint32_t chunk_size = 0;
  std::vector<std::string_view> datasets;
  const GgufMetadata& keys = file->metadata;
  EXPECT_TRUE(keys.ReadRequired("general.type", type).ok());
  EXPECT_TRUE(keys.ReadRequired("imatrix.chunk_count", chunk_count).ok());
  EXPECT_TRUE(keys.ReadRequired("imatrix.chunk_size", chunk_size).ok());
  EXPECT_TRUE(keys.ReadRequired("imatrix.datasets", datasets).ok());
  EXPECT_EQ(type, "imatrix");
  EXPECT_EQ(chunk_count, 3u);
  EXPECT_EQ(chunk_size, 64u);
  EXPECT_THAT(datasets, ElementsAre("text.txt"));
  for (const char* key : {"imatrix.chunk_count", "imatrix.chunk_size"}) {
    EXPECT_EQ(keys.TypeOf(key), GgufType::kUint32);
  }
  const Tensor& sums = file->tensors.at("blk.0.attn_output.weight.in_sum2");
  const Tensor& counts = file->tensors.at("blk.0.attn_output.weight.counts");
  EXPECT_THAT(sums.shape, ElementsAre(1, 1));
  EXPECT_THAT(counts.shape, ElementsAre(1, 1));
  const auto value = [](const Tensor& tensor) {
    float out = 0;
    std::memcpy(&out, tensor.data, sizeof(out));
    return out;
  };
  EXPECT_EQ(value(sums), 11.0f);
  EXPECT_EQ(value(counts), 3.0f);
}

// Each expert has the sums of the rows that chose it.
TEST_F(OneBlock, ExpertsGetTheirRows) {
  LayerConfig& layer = config_.layers[0];
  layer.num_experts = 3;
  layer.experts_used = 2;
  layer.expert_dim = 1;
  AddAll();
  // The rows choose experts 0 and 2, and twice 0; nothing chooses 1.
  Add(TapPoint::kExpertInput, 0, {1, 2, 3, 4}, 2);
  Add(TapPoint::kExpertChoice, 0, {0, 0.5f, 2, 0.5f, 0, 0.7f, 2, 0.3f}, 2);
  Add(TapPoint::kExpertHidden, 0, {1, 2, 3, 4}, 2);
  Add(TapPoint::kExpertInput, 0, {5, 6});
  Add(TapPoint::kExpertChoice, 0, {0, 0.5f, 1, 0.5f});
  Add(TapPoint::kExpertHidden, 0, {5, 0});
  ASSERT_EQ(ErrorOf(Write()), "OK");
  const absl::StatusOr<Importance> importance = Importance::Load(path_);
  ASSERT_TRUE(importance.ok()) << importance.status();
  EXPECT_THAT(importance->notes(), ElementsAre());
  for (const char* name : {"gate", "up"}) {
    EXPECT_THAT(
        importance->Of(absl::StrCat("blk.0.ffn_", name, "_exps.weight")),
        Pointwise(FloatEq(),
                  {35.0f / 3, 56.0f / 3, 25.0f, 36.0f, 5.0f, 10.0f}));
  }
  EXPECT_THAT(importance->Of("blk.0.ffn_down_exps.weight"),
              Pointwise(FloatEq(), {35.0f / 3, 0.0f, 10.0f}));
}

TEST_F(OneBlock, RefusesUnusableSums) {
  EXPECT_EQ(Write().code(), absl::StatusCode::kFailedPrecondition);
  AddAll();
  WriteFile(path_, std::string_view("what was there"));
  // 2e19 squared is beyond float32.
  for (const float bad : {NAN, std::numeric_limits<float>::infinity(), 2e19f}) {
    ActivationSums before = sums_;
    Add(TapPoint::kFfwHidden, 0, {1, bad, 1});
    const absl::Status status = Write();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(ErrorOf(status), AllOf(HasSubstr("'blk.0.ffn_down.weight'"),
                                       HasSubstr("column 1")));
    sums_ = before;
  }
  EXPECT_EQ(ReadBytes(path_).size(), std::string_view("what was there").size());
  EXPECT_THAT(
      ErrorOf(sums_.Write(config_, false, kSource, "/no/folder/F.gguf")),
      StartsWith("/no/folder/F.gguf"));
  EXPECT_TRUE(Write().ok());
}

}  // namespace
}  // namespace gemma::internal

// Writes models that embed texts to one file.

#include <string>
#include <vector>

#include "gemma/embedder.h"
#include "gemma/quantize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/config_text.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::Contains;
using ::testing::Field;

const std::vector<std::string> kTexts = {
    "", "the model", "it is the time for all of them to have more than that"};

std::vector<float> EmbeddingValues(const Model& model) {
  const absl::StatusOr<Embedder> embedder = Embedder::Create(model);
  EXPECT_TRUE(embedder.ok()) << embedder.status();
  return embedder->Embed(kTexts)->values;
}

std::vector<std::string> Sources() {
  const std::string gguf = GEMMA_TESTDATA_DIR "/gguf/";
  return {ToyPath("embedding_gemma"), gguf + "gemma_embedding.gguf",
          gguf + "gemma_embedding_bare.gguf"};
}

TEST(QuantizeEmbeddingTest, KeptWeightsSameBits) {
  const std::string target = TestDirectory() + "/m.gguf";
  for (const std::string& source : Sources()) {
    const Model before = LoadExact(source);
    for (const FileLayout layout : {FileLayout::kGguf, FileLayout::kPacked}) {
      QuantizeOptions options;
      options.type = WeightType::kKeep;
      options.layout = layout;
      options.overwrite = true;
      ASSERT_EQ(ErrorOf(Quantize(source, target, options)), "OK") << source;
      const Model after = LoadExact(target);
      EXPECT_EQ(ConfigText(after.config()), ConfigText(before.config()));
      EXPECT_EQ(EmbeddingValues(after), EmbeddingValues(before)) << source;
    }
  }
}

TEST(QuantizeEmbeddingTest, EightBitsStayClose) {
  const std::string target = TestDirectory() + "/m.gguf";
  const std::string source = Sources()[1];  // its rows are whole blocks
  for (const FileLayout layout : {FileLayout::kGguf, FileLayout::kPacked}) {
    QuantizeOptions options;
    options.type = WeightType::kQ8;
    options.layout = layout;
    options.overwrite = true;
    ASSERT_EQ(ErrorOf(Quantize(source, target, options)), "OK");
    const Model model = LoadExact(target);
    EXPECT_THAT(model.tensors(),
                Contains(Field(&TensorSummary::name, "dense_3.weight")));
    const std::vector<float> expected = EmbeddingValues(LoadExact(source));
    const std::vector<float> found = EmbeddingValues(model);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_NEAR(found[i], expected[i], 0.02);
    }
  }
}

TEST(QuantizeEmbeddingTest, BudgetFavorsDenseLayers) {
  const std::string target = TestDirectory() + "/m.gguf";
  QuantizeOptions options;
  options.bits = 7.5;
  ASSERT_EQ(ErrorOf(Quantize(Sources()[1], target, options)), "OK");
  const Model model = LoadExact(target);
  for (const TensorSummary& tensor : model.tensors()) {
    if (tensor.name == "dense_2.weight" || tensor.name == "dense_3.weight") {
      // These matrices lose the most when bits are saved.
      EXPECT_THAT(tensor.format, ::testing::AnyOf("BF16", "Q8_0", "N6_16"));
    }
  }
}

}  // namespace
}  // namespace gemma::internal

// A written model must equal the model that was read.

#include "gemma/quantize.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/config_text.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::Truly;

namespace fs = std::filesystem;

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

QuantizeOptions As(WeightType type) {
  QuantizeOptions options;
  options.type = type;
  options.layout = FileLayout::kGguf;
  options.num_threads = 2;
  return options;
}

std::string Error(const std::string& source, const std::string& target,
                  const QuantizeOptions& options = As(WeightType::kKeep)) {
  return ErrorOf(Quantize(source, target, options));
}

std::string ToyGguf(const std::string& name) {
  return std::string(GEMMA_TESTDATA_DIR) + "/gguf/" + name;
}

std::vector<std::string> FormatsOf(const Model& model) {
  std::vector<std::string> formats;
  for (const TensorSummary& tensor : model.tensors()) {
    formats.push_back(tensor.format);
  }
  return formats;
}

// Root mean square of the differences, relative to that of `exact`.
double RelativeError(const std::vector<float>& found,
                     const std::vector<float>& exact) {
  double error = 0, size = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    error += std::pow(found[i] - exact[i], 2);
    size += std::pow(exact[i], 2);
  }
  return std::sqrt(error / size);
}

const std::vector<TokenId> kTokens = {2, 17, 4, 99, 5, 6, 7, 21, 4, 4, 3, 60};

class QuantizeTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name = "m.gguf") const {
    return directory_ + "/" + name;
  }
  size_t NumFiles() const {
    const fs::directory_iterator files(directory_);
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }

  const std::string directory_ = TestDirectory();
};

// Checks that a toy and its written copy have the same configuration and
// logits.
void ExpectSameModel(const std::string& source, const std::string& written,
                     RecurrentWindow window) {
  LoadOptions options;
  options.activations = Activations::kFloat32;
  options.recurrent_window = window;
  options.num_threads = 2;
  const Model before = LoadOrDie(source, options);
  const Model after = LoadOrDie(written, options);
  // Written tables have a row for each token; see quantize_gemma4_test.cc.
  ModelConfig config = after.config();
  config.per_layer_vocab = before.config().per_layer_vocab;
  EXPECT_EQ(ConfigText(config), ConfigText(before.config()));
  EXPECT_EQ(AllLogits(after, kTokens), AllLogits(before, kTokens));
}

TEST_F(QuantizeTest, ToysKeepTheirBits) {
  for (const Toy& toy : AllToys()) {
    SCOPED_TRACE(toy.name);
    ASSERT_EQ(Error(ToyPath(toy.folder), Path(toy.name)), "OK");
    ExpectSameModel(ToyPath(toy.folder), Path(toy.name), toy.window);
  }
}

TEST_F(QuantizeTest, FileFormsKeepBits) {
  const auto window = RecurrentWindow::kDeepMind;
  for (const char* folder : {"gemma2_bf16", "gemma3_bf16", "gemma2_sharded"}) {
    SCOPED_TRACE(folder);
    ASSERT_EQ(Error(ToyPath(folder), Path(folder)), "OK");
    ExpectSameModel(ToyPath(folder), Path(folder), window);
  }
  for (const char* name :
       {"gemma.gguf", "gemma2.gguf", "gemma3.gguf", "recurrent_gemma.gguf",
        "gemma3_mixed.gguf", "gemma_mha-v2.gguf",
        "gemma_mha-00002-of-00003.gguf"}) {
    SCOPED_TRACE(name);
    ASSERT_EQ(Error(ToyGguf(name), Path(name)), "OK");
    // The result is one file, so its name need not be that of a part.
    fs::rename(Path(name), Path("one.gguf"));
    ExpectSameModel(ToyGguf(name), Path("one.gguf"), window);
  }
}

TEST_F(QuantizeTest, KeepsUntiedHead) {
  nlohmann::json config = TinyConfig("gemma3_text");
  config["tie_word_embeddings"] = false;
  TinyTensors tensors = TinyHfTensors("gemma3_text");
  tensors.push_back(MakeTensor("lm_head.weight", {8, 8}));
  tensors.back().values[3] = 7.0f;
  WriteTinyDirectory(Path("hf"), config, tensors);
  ASSERT_EQ(Error(Path("hf"), Path()), "OK");
  const Model before = LoadExact(Path("hf"));
  const Model after = LoadExact(Path());
  EXPECT_EQ(after.tensors().size(), before.tensors().size());
  EXPECT_EQ(AllLogits(after, {2, 3}), AllLogits(before, {2, 3}));
}

TEST_F(QuantizeTest, OnlyMatricesBecomeBfloat16) {
  for (const char* toy : {"gemma3", "recurrent_gemma"}) {
    ASSERT_EQ(Error(ToyPath(toy), Path(toy), As(WeightType::kBF16)), "OK");
    const Model before = LoadExact(ToyPath(toy));
    const Model after = LoadExact(Path(toy));
    for (const TensorSummary& tensor : after.tensors()) {
      const bool is_matrix = tensor.shape.size() == 2 &&
                             tensor.name.find("conv") == std::string::npos &&
                             tensor.name.find("bias") == std::string::npos;
      EXPECT_EQ(tensor.format, is_matrix ? "BF16" : "F32") << tensor.name;
    }
    EXPECT_EQ(ConfigText(after.config()), ConfigText(before.config()));
    const std::vector<float> exact = AllLogits(before, kTokens);
    const std::vector<float> rounded = AllLogits(after, kTokens);
    const double error = RelativeError(rounded, exact);
    EXPECT_GT(error, 0);
    EXPECT_LT(error, 0.02);  // about 8 bits are left
  }
}

TEST_F(QuantizeTest, WritesEveryType) {
  struct Case {
    WeightType type;
    const char* format;
    double error;
  };
  const Model before = LoadExact(ToyPath("gemma3"));
  const std::vector<float> exact = AllLogits(before, kTokens);
  for (const Case& c : {Case{WeightType::kQ8, "Q8_0", 0.05},
                        Case{WeightType::kQ6, "Q8_0", 0.05},
                        Case{WeightType::kQ4, "IQ4_NL", 0.5},
                        Case{WeightType::kQ4_0, "Q4_0", 0.5}}) {
    SCOPED_TRACE(WeightTypeName(c.type));
    ASSERT_EQ(Error(ToyPath("gemma3"), Path(c.format), As(c.type)), "OK");
    const Model after = LoadExact(Path(c.format));
    for (const TensorSummary& tensor : after.tensors()) {
      EXPECT_EQ(tensor.format, tensor.shape.size() == 2 ? c.format : "F32")
          << tensor.name;
    }
    EXPECT_EQ(ConfigText(after.config()), ConfigText(before.config()));
    const std::vector<float> rounded = AllLogits(after, kTokens);
    const double error = RelativeError(rounded, exact);
    EXPECT_GT(error, 0);
    EXPECT_LT(error, c.error);
    fs::remove(Path(c.format));
  }
  // Rows that are not whole blocks.
  ASSERT_EQ(Error(ToyPath("gemma2_odd"), Path(), As(WeightType::kQ4)), "OK");
  EXPECT_THAT(AllLogits(LoadExact(Path()), kTokens),
              Each(Truly([](float logit) { return std::isfinite(logit); })));
}

TEST_F(QuantizeTest, KeepsFewerBits) {
  ASSERT_EQ(Error(ToyGguf("gemma3_mixed.gguf"), Path(), As(WeightType::kBF16)),
            "OK");
  const Model before = LoadExact(ToyGguf("gemma3_mixed.gguf"));
  const Model after = LoadExact(Path());
  EXPECT_EQ(FormatsOf(after), FormatsOf(before));
  EXPECT_EQ(AllLogits(after, kTokens), AllLogits(before, kTokens));
}

// The embedding scale is rounded to the type of the source's table, as in the
// reference, and stays when the table is converted.
TEST_F(QuantizeTest, KeepsEmbeddingScale) {
  ASSERT_EQ(Error(ToyPath("gemma2_odd"), Path(), As(WeightType::kBF16)), "OK");
  const float scale = LoadExact(Path()).config().embedding_scale;
  EXPECT_EQ(scale, LoadExact(ToyPath("gemma2_odd")).config().embedding_scale);
  // The second time, it is read from the key.
  ASSERT_EQ(Error(Path(), Path("again"), As(WeightType::kKeep)), "OK");
  EXPECT_EQ(LoadExact(Path("again")).config().embedding_scale, scale);
}

TEST_F(QuantizeTest, SameBytesAnyThreads) {
  QuantizeOptions options = As(WeightType::kBF16);
  options.num_threads = 1;
  ASSERT_EQ(Error(ToyPath("recurrent_gemma"), Path("1"), options), "OK");
  options.num_threads = 5;
  ASSERT_EQ(Error(ToyPath("recurrent_gemma"), Path("5"), options), "OK");
  EXPECT_EQ(Contents(Path("1")), Contents(Path("5")));
  // Writing the result again changes nothing.
  ASSERT_EQ(Error(Path("1"), Path("again"), options), "OK");
  EXPECT_EQ(Contents(Path("again")), Contents(Path("1")));
}

TEST_F(QuantizeTest, ReplacesOnlyIfTold) {
  WriteFile(Path(), "mine");
  EXPECT_EQ(Error(ToyPath("gemma"), Path()), Path() + ": already exists");
  EXPECT_EQ(Contents(Path()), "mine");
  fs::create_symlink("nothing", Path("dangling"));
  EXPECT_THAT(Error(ToyPath("gemma"), Path("dangling")),
              HasSubstr("already exists"));
  QuantizeOptions options = As(WeightType::kKeep);
  options.overwrite = true;
  EXPECT_EQ(Error(ToyPath("gemma"), Path(), options), "OK");
  EXPECT_THAT(Contents(Path()), StartsWith("GGUF"));
  fs::create_directory(Path("folder"));
  EXPECT_THAT(Error(ToyPath("gemma"), Path("folder"), options),
              AllOf(StartsWith(Path("folder")), HasSubstr("a directory")));
  EXPECT_EQ(NumFiles(), 3u);
}

// Even if another process creates the file in the meantime.
TEST_F(QuantizeTest, KeepsConcurrentFile) {
  QuantizeOptions options = As(WeightType::kKeep);
  options.progress = [&](const QuantizeProgress&) {
    WriteFile(Path(), "theirs");
    return true;
  };
  EXPECT_THAT(Error(ToyPath("gemma"), Path(), options), StartsWith(Path()));
  EXPECT_EQ(Contents(Path()), "theirs");
  EXPECT_EQ(NumFiles(), 1u);
}

TEST_F(QuantizeTest, RefusesSourceAsTarget) {
  fs::copy_file(ToyGguf("gemma.gguf"), Path());
  fs::create_symlink(Path(), Path("link"));
  fs::create_hard_link(Path(), Path("same"));
  const std::string before = Contents(Path());
  QuantizeOptions options = As(WeightType::kBF16);
  options.overwrite = true;
  for (const char* name : {"m.gguf", "link", "same", "../"}) {
    EXPECT_THAT(Error(Path(), Path(name), options), StartsWith(Path(name)));
  }
  EXPECT_THAT(Error(Path("link"), Path(), options),
              HasSubstr("wanted another file"));
  EXPECT_EQ(Contents(Path()), before);
  EXPECT_EQ(NumFiles(), 3u);
}

TEST_F(QuantizeTest, TellsProgressAndStops) {
  QuantizeOptions options = As(WeightType::kBF16);
  std::vector<uint64_t> done;
  uint64_t total = 0;
  options.progress = [&](const QuantizeProgress& progress) {
    done.push_back(progress.done_bytes);
    total = progress.total_bytes;
    return true;
  };
  ASSERT_EQ(Error(ToyPath("gemma2"), Path(), options), "OK");
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  EXPECT_EQ(done.back(), total);

  for (size_t stop = 0; stop < done.size(); stop += 7) {
    size_t calls = 0;
    options.progress = [&](const QuantizeProgress&) { return calls++ < stop; };
    const absl::Status status =
        Quantize(ToyPath("gemma2"), Path("stopped"), options);
    EXPECT_TRUE(absl::IsCancelled(status)) << status;
    EXPECT_EQ(calls, stop + 1);
    EXPECT_EQ(NumFiles(), 1u);
  }
}

TEST_F(QuantizeTest, RefusesNonFiniteWeights) {
  const TinyTensors good = TinyHfTensors("recurrent_gemma");
  for (size_t i = 0; i < good.size(); ++i) {
    TinyTensors bad = good;
    const size_t cols = bad[i].shape.back();
    bad[i].values.back() = i % 2 == 0 ? std::nanf("") : -INFINITY;
    WriteTinyDirectory(Path("hf"), TinyConfig("recurrent_gemma"), bad);
    const absl::Status status =
        Quantize(Path("hf"), Path(), As(WeightType::kKeep));
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(
        ErrorOf(status),
        AllOf(HasSubstr("hf/model.safetensors: tensor '" + good[i].name + "'"),
              HasSubstr("row " +
                        std::to_string(good[i].values.size() / cols - 1)),
              HasSubstr("column " + std::to_string(cols - 1))));
    EXPECT_FALSE(fs::exists(Path()));
  }
  // Finite values that are too large for a type stay finite.
  TinyTensors large = TinyHfTensors("gemma");
  large[0].values[9] = std::numeric_limits<float>::max();
  WriteTinyDirectory(Path("large"), TinyConfig("gemma"), large);
  EXPECT_EQ(Error(Path("large"), Path("kept"), As(WeightType::kBF16)), "OK");
  EXPECT_EQ(Error(Path("kept"), Path("again")), "OK");
}

TEST_F(QuantizeTest, RefusesUnloadableTokenizers) {
  GgufWriter gguf = TinyGgufKeys("gemma");
  AddTokenizer({"more", "than", "rows"}, gguf);
  AddTensors(TinyGgufTensors("gemma"), gguf);
  WriteFile(Path("source"), gguf.Finish());
  EXPECT_THAT(Error(Path("source"), Path()),
              AllOf(StartsWith(Path("source")),
                    HasSubstr("263 tokens, the embedding table only 8")));
  EXPECT_EQ(Error(Path("source"), Path()),
            ErrorOf(Model::Load(Path("source")).status()));
  EXPECT_EQ(NumFiles(), 1u);
}

TEST_F(QuantizeTest, ErrorsNameCause) {
  EXPECT_THAT(Error(Path("none"), Path()), StartsWith(Path("none")));
  EXPECT_EQ(Error(ToyPath("gemma"), Path("no/m.gguf")),
            Path("no/m.gguf") + ": No such file or directory");
  EXPECT_NE(Error(ToyPath("gemma"), ""), "OK");
  EXPECT_NE(Error(ToyPath("gemma"), std::string("a\0b", 3)), "OK");
  QuantizeOptions options = As(WeightType::kKeep);
  options.num_threads = 5000;
  EXPECT_THAT(Error(ToyPath("gemma"), Path(), options),
              StartsWith("num_threads is 5000"));
  EXPECT_EQ(NumFiles(), 0u);
}

TEST(WeightType, NamesAreReadBack) {
  for (const auto type :
       {WeightType::kKeep, WeightType::kBF16, WeightType::kQ8, WeightType::kQ6,
        WeightType::kQ4, WeightType::kQ4_0}) {
    EXPECT_EQ(ParseWeightType(WeightTypeName(type)), type);
  }
  EXPECT_EQ(ParseWeightType("Q8"), std::nullopt);
}

}  // namespace
}  // namespace gemma::internal

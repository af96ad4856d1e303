// The effects of an importance file on the written model.

#include <cmath>
#include <string>
#include <vector>

#include "compression/codec.h"
#include "gemma/quantize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/formats/checkpoint.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

constexpr size_t kImportanceCols = 64;
constexpr char kMatrix[] = "blk.0.attn_q.weight";

// Importance in which some columns matter much more.
std::vector<float> Uneven(size_t cols) {
  std::vector<float> importance(cols);
  for (size_t i = 0; i < cols; ++i) {
    importance[i] = i % 5 == 0 ? 100.0f : 0.01f;
  }
  return importance;
}

void WriteImportance(const std::string& path, const std::string& matrix,
                     const std::vector<float>& sums) {
  ByteWriter bytes;
  for (const float sum : sums) bytes.Number(sum);
  GgufWriter gguf;
  gguf.String("general.type", "imatrix")
      .Strings("imatrix.datasets", {"text.txt"})
      .Uint32("imatrix.chunk_count", 1)
      .Uint32("imatrix.chunk_size", 512)
      .Tensor(matrix + ".in_sum2", {sums.size(), 1}, 0, bytes.bytes())
      .Tensor(matrix + ".counts", {1, 1}, 0, ByteWriter().Number(1.0f).bytes());
  WriteFile(path, gguf.Finish());
}

class WriteImportanceTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const {
    return directory_ + "/" + name;
  }

  absl::Status Write(const std::string& importance, WeightType type,
                     FileLayout layout = FileLayout::kGguf) const {
    QuantizeOptions options;
    options.type = type;
    options.layout = layout;
    options.importance = importance;
    options.overwrite = true;
    options.num_threads = 2;
    return Quantize(ToyPath("gemma3"), Path("m.gguf"), options);
  }

  // The values of a matrix in a written file or in the source.
  std::vector<float> Values(const std::string& path,
                            const std::string& name) const {
    const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(path);
    EXPECT_EQ(ErrorOf(checkpoint), "OK");
    const absl::StatusOr<std::vector<float>> values =
        Decode(checkpoint->tensors.at(name));
    EXPECT_EQ(ErrorOf(values), "OK");
    return *values;
  }

  const std::string directory_ = TestDirectory();
};

double WeightedError(const std::vector<float>& found,
                     const std::vector<float>& exact,
                     const std::vector<float>& importance) {
  double error = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    error += importance[i % importance.size()] *
             std::pow(double{found[i]} - exact[i], 2);
  }
  return error;
}

TEST_F(WriteImportanceTest, LowersWeightedError) {
  const std::vector<float> importance = Uneven(kImportanceCols);
  WriteImportance(Path("i"), kMatrix, importance);
  const std::vector<float> exact =
      Values(ToyPath("gemma3"), "model.layers.0.self_attn.q_proj.weight");
  for (const WeightType type :
       {WeightType::kQ8, WeightType::kQ4, WeightType::kQ4_0}) {
    SCOPED_TRACE(WeightTypeName(type));
    ASSERT_EQ(ErrorOf(Write("", type)), "OK");
    const std::vector<float> without = Values(Path("m.gguf"), kMatrix);
    const std::vector<float> other =
        Values(Path("m.gguf"), "blk.0.attn_k.weight");
    ASSERT_EQ(ErrorOf(Write(Path("i"), type)), "OK");
    const std::vector<float> with = Values(Path("m.gguf"), kMatrix);
    EXPECT_LT(WeightedError(with, exact, importance),
              WeightedError(without, exact, importance));
    // The file does not affect other matrices.
    EXPECT_EQ(Values(Path("m.gguf"), "blk.0.attn_k.weight"), other);
  }
}

TEST_F(WriteImportanceTest, CountsInPackedFiles) {
  WriteImportance(Path("i"), kMatrix, Uneven(kImportanceCols));
  for (const WeightType type : {WeightType::kQ5, WeightType::kQ4S}) {
    ASSERT_EQ(ErrorOf(Write("", type, FileLayout::kPacked)), "OK");
    const auto without = AllLogits(LoadExact(Path("m.gguf")), {2, 5, 9});
    ASSERT_EQ(ErrorOf(Write(Path("i"), type, FileLayout::kPacked)), "OK");
    EXPECT_NE(AllLogits(LoadExact(Path("m.gguf")), {2, 5, 9}), without);
  }
}

TEST_F(WriteImportanceTest, ColumnsMustMatchModel) {
  for (const size_t cols :
       {kImportanceCols - 1, kImportanceCols + 1, 2 * kImportanceCols}) {
    WriteImportance(Path("i"), kMatrix, Uneven(cols));
    const absl::Status status = Write(Path("i"), WeightType::kQ4);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_EQ(ErrorOf(status), Path("i") + ": tensor '" + kMatrix + "' has " +
                                   std::to_string(cols) +
                                   " columns, the model's has 64");
  }
}

TEST_F(WriteImportanceTest, MustNameModelMatrices) {
  for (const char* name : {"blk.99.attn_q.weight", "blk.0.attn_norm.weight",
                           "model.layers.0.self_attn.q_proj.weight"}) {
    WriteImportance(Path("i"), name, Uneven(kImportanceCols));
    EXPECT_EQ(ErrorOf(Write(Path("i"), WeightType::kQ4)),
              Path("i") + ": has none of the matrices of " + ToyPath("gemma3"));
  }
  EXPECT_THAT(ErrorOf(Write(Path("none"), WeightType::kQ4)),
              HasSubstr(Path("none")));
  EXPECT_THAT(
      ErrorOf(Write(ToyPath("gemma3") + "/config.json", WeightType::kQ4)),
      HasSubstr("config.json"));
}

}  // namespace
}  // namespace gemma::internal

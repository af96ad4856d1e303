// Written files of Gemma 3n, Gemma 4 and EmbeddingGemma 2: experts, tables of
// per-layer embeddings, routers, and AltUp's stacks of matrices.

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compression/codec.h"
#include "gemma/quantize.h"
#include "gemma/verify_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/formats/checkpoint.h"
#include "src/model/tensors/weight_table.h"
#include "src/session/model_impl.h"
#include "tests/support/config_text.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char* const kGemma4Toys[] = {
    "models/gemma3n",          "gguf/gemma3n.gguf",
    "models/gemma4_e2b",       "models/gemma4_moe",
    "models/gemma4_31b",       "models/gemma4_bf16",
    "models/gemma4_nested",    "models/gemma4_shared",
    "models/gemma4_chat",      "models/gemma4_unified",
    "gguf/gemma4_e2b.gguf",    "gguf/gemma4_moe.gguf",
    "gguf/gemma4_31b.gguf",    "gguf/gemma4_chat.gguf",
    "models/embedding_gemma2", "gguf/gemma_embedding2.gguf"};

std::string Gemma4Toy(const std::string& name) {
  return std::string(GEMMA_TESTDATA_DIR) + "/" + name;
}

bool SameBytes(const uint8_t* a, const uint8_t* b, size_t size) {
  return (a == nullptr) == (b == nullptr) &&
         (a == nullptr || std::memcmp(a, b, size) == 0);
}

void ExpectSame(const Matrix& a, const Matrix& b) {
  ASSERT_EQ(a.view.layout, b.view.layout);
  ASSERT_EQ(a.view.Bytes(), b.view.Bytes());
  EXPECT_TRUE(SameBytes(a.view.data, b.view.data, a.view.Bytes()));
}

void ExpectSame(const std::vector<Matrix>& a, const std::vector<Matrix>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) ExpectSame(a[i], b[i]);
}

// As ExpectSame, but `b` may have more rows, all equal to the first.
void ExpectSameTable(const WeightView& a, const WeightView& b) {
  ASSERT_EQ(a.format, b.format);
  ASSERT_GE(b.rows, a.rows);
  EXPECT_TRUE(SameBytes(a.data, b.data, a.rows * a.RowBytes()));
  for (size_t row = a.rows; row < b.rows; ++row) {
    EXPECT_TRUE(SameBytes(b.Row(0), b.Row(row), b.RowBytes())) << row;
  }
}

// Checks that two models hold the same bits, whatever their files hold.
void ExpectSameWeights(const Model& before, const Model& after) {
  ModelConfig config = after.config();
  config.per_layer_vocab = before.config().per_layer_vocab;
  EXPECT_EQ(ConfigText(config), ConfigText(before.config()));
  const Weights& a = before.impl().weights;
  const Weights& b = after.impl().weights;
  ExpectSame(a.embedding, b.embedding);
  ExpectSame(a.per_layer_context, b.per_layer_context);
  ExpectSame(a.dense, b.dense);
  ExpectSame(a.altup_proj, b.altup_proj);
  ExpectSame(a.altup_unembed, b.altup_unembed);
  EXPECT_EQ(a.final_norm, b.final_norm);
  EXPECT_EQ(a.per_layer_norm, b.per_layer_norm);
  ExpectSameTable(a.per_layer_table.view, b.per_layer_table.view);
  ASSERT_EQ(a.layers.size(), b.layers.size());
  for (const WeightRow& row : WeightTable()) {
    for (size_t i = 0; i < a.layers.size(); ++i) {
      const LayerWeights& x = a.layers[i];
      const LayerWeights& y = b.layers[i];
      if (const auto* m = std::get_if<Matrix LayerWeights::*>(&row.slot)) {
        ExpectSame(x.**m, y.**m);
      } else if (const auto* all =
                     std::get_if<std::vector<Matrix> LayerWeights::*>(
                         &row.slot)) {
        ExpectSame(x.**all, y.**all);
      } else if (const auto* v =
                     std::get_if<std::vector<float> LayerWeights::*>(
                         &row.slot)) {
        EXPECT_EQ(x.**v, y.**v);
      }
    }
  }
}

class QuantizeGemma4Test : public ::testing::Test {
 protected:
  std::string Path(const std::string& name = "m.gguf") const {
    return directory_ + "/" + name;
  }

  std::string Error(const std::string& source, QuantizeOptions options) {
    options.num_threads = 2;
    options.overwrite = true;
    return ErrorOf(Quantize(source, Path(), options));
  }

  // The types of a written file's tensors.
  std::map<std::string, std::string> TypesOf() const {
    const Model model = LoadExact(Path());
    std::map<std::string, std::string> types;
    for (const TensorSummary& tensor : model.tensors()) {
      types[tensor.name] = tensor.format;
    }
    return types;
  }

  const std::string directory_ = TestDirectory();
};

TEST_F(QuantizeGemma4Test, KeptWeightsSameBits) {
  for (const char* name : kGemma4Toys) {
    const std::string source = Gemma4Toy(name);
    const Model before = LoadExact(source);
    for (const FileLayout layout : {FileLayout::kPacked, FileLayout::kGguf}) {
      SCOPED_TRACE(std::string(name) +
                   (layout == FileLayout::kGguf ? " gguf" : " packed"));
      ASSERT_EQ(Error(source, {.layout = layout}), "OK");
      const Model after = LoadExact(Path());
      ExpectSameWeights(before, after);
      const size_t rows = before.config().per_layer_vocab;
      EXPECT_EQ(after.config().per_layer_vocab,
                layout == FileLayout::kGguf && rows != 0
                    ? before.config().vocab_size
                    : rows);
      const absl::StatusOr<FileCheck> check = VerifyFile(Path(), {});
      ASSERT_EQ(ErrorOf(check), "OK");
      EXPECT_TRUE(check->has_checksums);
    }
  }
}

// RoPE of only half of each head has factors for that half.
TEST_F(QuantizeGemma4Test, FewRopeFactorsSurvive) {
  std::ifstream in(Gemma4Toy("gguf/gemma4_31b.gguf"), std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto change = [&](std::string_view name, char from, char to) {
    // The name is followed by a number of four bytes: the type of a key's
    // value, or a tensor's number of dimensions.
    const size_t at = bytes.find(std::string(name) + from) + name.size();
    ASSERT_LT(at + 4, bytes.size());
    ASSERT_EQ(bytes[at + 4], to * 2);
    bytes[at + 4] = to;
  };
  change("gemma4.rope.dimension_count", 4, 8);  // of heads of 16 values
  change("rope_freqs.weight", 1, 4);
  const std::string source = Path("source.gguf");
  WriteFile(source, Bytes(bytes.begin(), bytes.end()));
  const Model before = LoadExact(source);
  const LayerConfig& global = before.config().layers.back();
  EXPECT_EQ(global.rope.rotary_dim, 8u);
  EXPECT_EQ(global.rope.num_rotating, 2u);
  for (const FileLayout layout : {FileLayout::kPacked, FileLayout::kGguf}) {
    ASSERT_EQ(Error(source, {.layout = layout}), "OK");
    ExpectSameWeights(before, LoadExact(Path()));
  }
}

// A written table is used from the mapped file, in its own type.
TEST_F(QuantizeGemma4Test, TablesStayInFile) {
  for (const char* name : {"models/gemma4_e2b", "models/gemma4_bf16"}) {
    SCOPED_TRACE(name);
    ASSERT_EQ(Error(Gemma4Toy(name), {}), "OK");
    const Model model = LoadExact(Path());
    const RowTable& table = model.impl().weights.per_layer_table;
    EXPECT_EQ(table.memory.data(), nullptr);
    const MemoryUse use = model.MemoryFor({.max_tokens = 8});
    EXPECT_EQ(use.table, table.view.rows * table.view.RowBytes());
    EXPECT_EQ(use.table_per_token, table.view.RowBytes());
    EXPECT_EQ(use.weights,
              LoadExact(Gemma4Toy(name)).MemoryFor({.max_tokens = 8}).weights);
  }
}

// Rows of 20 values are no whole blocks, so the table becomes bfloat16.
TEST_F(QuantizeGemma4Test, TablesHaveOwnType) {
  constexpr char kTable[] = "per_layer_token_embd.weight";
  constexpr char kGate[] = "blk.0.ffn_gate.weight";
  const std::string source = Gemma4Toy("models/gemma4_e2b");
  for (const FileLayout layout : {FileLayout::kPacked, FileLayout::kGguf}) {
    ASSERT_EQ(Error(source, {.type = WeightType::kQ8, .layout = layout}), "OK");
    EXPECT_EQ(TypesOf().at(kTable), "BF16");
    EXPECT_EQ(TypesOf().at(kGate), "Q8_0");
    ASSERT_EQ(Error(source, {.type = WeightType::kQ8,
                             .table_type = WeightType::kKeep,
                             .layout = layout}),
              "OK");
    EXPECT_EQ(TypesOf().at(kTable), "F32");
    EXPECT_EQ(TypesOf().at(kGate), "Q8_0");
    ASSERT_EQ(Error(source, {.table_type = WeightType::kQ4, .layout = layout}),
              "OK");
    EXPECT_EQ(TypesOf().at(kTable), "BF16");
    EXPECT_EQ(TypesOf().at(kGate), "F32");
  }
}

TEST_F(QuantizeGemma4Test, RoutersStayExact) {
  const std::string source = Gemma4Toy("models/gemma4_moe");
  for (const FileLayout layout : {FileLayout::kPacked, FileLayout::kGguf}) {
    ASSERT_EQ(Error(source, {.type = WeightType::kQ8,
                             .expert_type = WeightType::kQ4_0,
                             .layout = layout}),
              "OK");
    const auto types = TypesOf();
    EXPECT_EQ(types.at("blk.0.ffn_gate_inp.weight"), "F32");
    EXPECT_EQ(types.at("blk.0.ffn_gate.weight"), "Q8_0");
    for (const char* part : {"gate", "up", "down"}) {
      EXPECT_EQ(types.at(absl::StrCat("blk.1.ffn_", part, "_exps.weight")),
                "Q4_0");
    }
    ExpectSame(LoadExact(source).impl().weights.layers[1].router,
               LoadExact(Path()).impl().weights.layers[1].router);
  }
}

// A mapped packed file holds what packing the source on loading makes.
TEST_F(QuantizeGemma4Test, EqualsQuantizingOnLoad) {
  for (const WeightType type : {WeightType::kBF16, WeightType::kQ4,
                                WeightType::kQ5, WeightType::kQ4S}) {
    SCOPED_TRACE(WeightTypeName(type));
    const std::string source = Gemma4Toy("gguf/gemma4_moe.gguf");
    ASSERT_EQ(Error(source, {.type = type}), "OK");
    ExpectSameWeights(LoadOrDie(source, {.num_threads = 2, .quantize = type}),
                      LoadOrDie(Path(), {.num_threads = 2}));
  }
}

TEST_F(QuantizeGemma4Test, BudgetsCoverAllMatrices) {
  const std::string source = Gemma4Toy("models/gemma4_moe");
  ASSERT_EQ(Error(source, {.bits = 12}), "OK");
  EXPECT_NE(TypesOf().at("blk.0.ffn_up_exps.weight"), "F32");
  // Formats that are asked for count.
  ASSERT_EQ(Error(source, {.bits = 12, .expert_type = WeightType::kQ4_0}),
            "OK");
  EXPECT_EQ(TypesOf().at("blk.0.ffn_up_exps.weight"), "Q4_0");
  EXPECT_THAT(Error(source, {.bits = 12, .expert_type = WeightType::kKeep}),
              HasSubstr("too few"));
  ASSERT_EQ(Error(Gemma4Toy("models/gemma4_e2b"), {.bits = 9}), "OK");
  EXPECT_EQ(TypesOf().at("per_layer_token_embd.weight"), "BF16");
}

TEST_F(QuantizeGemma4Test, RefusesTypesGgufLacks) {
  const std::string source = Gemma4Toy("models/gemma4_e2b");
  EXPECT_EQ(Error(source, {.table_type = WeightType::kQ5}),
            "table_type is q5, which GGUF cannot store, wanted another type, "
            "because tables are stored row by row");
  EXPECT_EQ(Error(source, {.expert_type = WeightType::kQ4S,
                           .layout = FileLayout::kGguf}),
            "expert_type is q4s, which GGUF cannot store, wanted another type "
            "or layout packed");
  EXPECT_THAT(Error(Gemma4Toy("models/vaultgemma"), {}),
              HasSubstr("'vaultgemma', for which GGUF has no keys"));
}

// Values of each expert's matrix follow that expert's importance.
TEST_F(QuantizeGemma4Test, ExpertsHaveOwnImportance) {
  constexpr size_t kExperts = 5;
  constexpr size_t kCols = 32;
  constexpr char kDown[] = "blk.0.ffn_down_exps.weight";
  // Expert 1 has no count; expert 2 needs its first column above all.
  ByteWriter sums, counts;
  for (size_t e = 0; e < kExperts; ++e) {
    for (size_t i = 0; i < kCols; ++i) {
      sums.Number(e == 1 ? 0.0f : e == 2 && i == 0 ? 1e6f : 1.0f);
    }
    counts.Number(e == 1 ? 0.0f : 1.0f);
  }
  GgufWriter gguf;
  gguf.String("general.type", "imatrix")
      .Tensor(std::string(kDown) + ".in_sum2", {kCols, kExperts}, 0,
              sums.bytes())
      .Tensor(std::string(kDown) + ".counts", {1, kExperts}, 0, counts.bytes());
  WriteFile(Path("i"), gguf.Finish());
  std::vector<std::string> notes;
  QuantizeOptions options = {.type = WeightType::kQ4_0,
                             .layout = FileLayout::kGguf};
  options.note = [&](std::string_view note) { notes.emplace_back(note); };
  const std::string source = Gemma4Toy("models/gemma4_moe");
  const auto values = [&] {
    const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(Path());
    EXPECT_EQ(ErrorOf(checkpoint), "OK");
    const auto decoded = Decode(checkpoint->tensors.at(kDown));
    EXPECT_EQ(ErrorOf(decoded), "OK");
    return *decoded;
  };
  ASSERT_EQ(Error(source, options), "OK");
  const std::vector<float> without = values();
  options.importance = Path("i");
  ASSERT_EQ(Error(source, options), "OK");
  EXPECT_THAT(
      notes,
      ElementsAre(Path("i") +
                  ": lacks 1 matrices, in 1 tensors, of experts that no token "
                  "chose: uses the mean of the other experts"));
  const std::vector<float> with = values();
  // The errors of the first column of expert e.
  const absl::StatusOr<Checkpoint> exact = OpenCheckpoint(source);
  ASSERT_EQ(ErrorOf(exact), "OK");
  const auto all =
      Decode(exact->tensors.at("model.layers.0.experts.down_proj"));
  ASSERT_EQ(ErrorOf(all), "OK");
  const auto error = [&](const std::vector<float>& found, size_t e) {
    double sum = 0;
    for (size_t row = 0; row < kCols; ++row) {
      const size_t at = (e * kCols + row) * kCols;
      sum += std::abs(found[at] - (*all)[at]);
    }
    return sum;
  };
  EXPECT_LT(error(with, 2), 0.5 * error(without, 2));
  // The first column of expert 1 matters, too: its importance is the mean.
  EXPECT_LT(error(with, 1), error(without, 1));
  // Experts whose columns matter alike hardly change.
  EXPECT_GT(error(with, 3), 0.5 * error(without, 3));
}

TEST_F(QuantizeGemma4Test, ImportanceNeedsAllExperts) {
  GgufWriter gguf;
  gguf.String("general.type", "imatrix")
      .Tensor("blk.0.ffn_up_exps.weight.in_sum2", {32, 4}, 0, Bytes(4 * 32 * 4))
      .Tensor("blk.0.ffn_up_exps.weight.counts", {1, 4}, 0,
              ByteWriter()
                  .Number(1.0f)
                  .Number(1.0f)
                  .Number(1.0f)
                  .Number(1.0f)
                  .bytes());
  WriteFile(Path("i"), gguf.Finish());
  EXPECT_EQ(Error(Gemma4Toy("models/gemma4_moe"), {.importance = Path("i")}),
            Path("i") +
                ": tensor 'blk.0.ffn_up_exps.weight' has 128 numbers, wanted "
                "32 for each of 5 matrices");
}

}  // namespace
}  // namespace gemma::internal

// A mapped packed file must compute the same as a model that is packed while it
// is loaded.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "compression/half.h"
#include "gemma/quantize.h"
#include "gemma/verify_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/formats/gguf.h"
#include "src/session/model_impl.h"
#include "tests/support/config_text.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::vector<TokenId> kPrompt = {2, 17, 4, 99, 5, 6, 7, 21, 4, 4, 3, 60};

constexpr WeightType kSmaller[] = {
    WeightType::kBF16, WeightType::kQ8,  WeightType::kQ6,  WeightType::kQ5,
    WeightType::kQ4,   WeightType::kQ4S, WeightType::kQ4_0};

Bytes PackedBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

QuantizeOptions PackedAs(WeightType type) {
  QuantizeOptions options;
  options.type = type;
  options.num_threads = 2;
  return options;
}

std::string AlreadyPacked(const std::string& path) {
  return path + ": is packed already, wanted the file that it was made from";
}

class PackedFileTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name = "m.gguf") const {
    return directory_ + "/" + name;
  }

  // Writes a file and returns its path. Fails the test on errors.
  std::string Write(const std::string& source, QuantizeOptions options,
                    const std::string& name = "m.gguf") const {
    options.overwrite = true;
    EXPECT_EQ(ErrorOf(Quantize(source, Path(name), options)), "OK") << source;
    return Path(name);
  }

  std::string Error(const std::string& source,
                    const QuantizeOptions& options) const {
    return ErrorOf(Quantize(source, Path("refused"), options));
  }

  const std::string directory_ = TestDirectory();
};

LoadOptions Exact(WeightType quantize, RecurrentWindow window) {
  LoadOptions options;
  options.num_threads = 2;
  options.activations = Activations::kFloat32;
  options.recurrent_window = window;
  options.quantize = quantize;
  return options;
}

TEST_F(PackedFileTest, ToysKeepTheirBits) {
  for (const Toy& toy : AllToys()) {
    SCOPED_TRACE(toy.name);
    const std::string packed =
        Write(ToyPath(toy.folder), PackedAs(WeightType::kKeep));
    const LoadOptions options = Exact(WeightType::kKeep, toy.window);
    const Model before = LoadOrDie(ToyPath(toy.folder), options);
    const Model after = LoadOrDie(packed, options);
    EXPECT_EQ(ConfigText(after.config()), ConfigText(before.config()));
    EXPECT_EQ(AllLogits(after, kPrompt), AllLogits(before, kPrompt));
  }
}

TEST_F(PackedFileTest, FileFormatsKeepBits) {
  for (const char* file :
       {"models/gemma2_bf16", "models/gemma3_bf16", "gguf/gemma3_mixed.gguf",
        "gguf/gemma.gguf", "gguf/recurrent_gemma.gguf"}) {
    SCOPED_TRACE(file);
    const std::string source = std::string(GEMMA_TESTDATA_DIR) + "/" + file;
    const std::string packed = Write(source, PackedAs(WeightType::kKeep));
    EXPECT_EQ(AllLogits(LoadExact(packed), kPrompt),
              AllLogits(LoadExact(source), kPrompt));
    // The same with the layouts' other kernels.
    EXPECT_EQ(AllLogits(LoadOrDie(packed, {}), kPrompt),
              AllLogits(LoadOrDie(source, {}), kPrompt));
  }
}

// Rows of 42 and 48 values, which are not whole blocks of 32, are bfloat16 in
// both. Loading converts no table of per-layer embeddings.
TEST_F(PackedFileTest, EqualsQuantizingOnLoad) {
  for (const Toy& toy : AllToys()) {
    const std::string source = ToyPath(toy.folder);
    const std::vector<float> exact = AllLogits(
        LoadOrDie(source, Exact(WeightType::kKeep, toy.window)), kPrompt);
    for (const WeightType type : kSmaller) {
      SCOPED_TRACE(toy.name + " as " + std::string(WeightTypeName(type)));
      QuantizeOptions options = PackedAs(type);
      options.table_type = WeightType::kKeep;
      const std::string packed = Write(source, options);
      const Model written =
          LoadOrDie(packed, Exact(WeightType::kKeep, toy.window));
      const Model loaded = LoadOrDie(source, Exact(type, toy.window));
      EXPECT_EQ(ConfigText(written.config()), ConfigText(loaded.config()));
      const std::vector<float> logits = AllLogits(loaded, kPrompt);
      EXPECT_EQ(AllLogits(written, kPrompt), logits);
      EXPECT_NE(logits, exact);
    }
  }
}

TEST_F(PackedFileTest, EqualsWithRoundedActivations) {
  for (const WeightType type : kSmaller) {
    SCOPED_TRACE(WeightTypeName(type));
    const std::string packed =
        Write(ToyPath("recurrent_gemma"), PackedAs(type));
    LoadOptions options;
    options.quantize = type;
    EXPECT_EQ(
        AllLogits(LoadOrDie(packed, {}), kPrompt),
        AllLogits(LoadOrDie(ToyPath("recurrent_gemma"), options), kPrompt));
  }
}

TEST_F(PackedFileTest, SameBytesAnyThreads) {
  for (const WeightType type :
       {WeightType::kKeep, WeightType::kQ8, WeightType::kQ6, WeightType::kQ4}) {
    QuantizeOptions options = PackedAs(type);
    options.num_threads = 1;
    const Bytes first = PackedBytes(Write(ToyPath("recurrent_gemma"), options));
    for (size_t threads = 1; threads <= 4; ++threads) {
      options.num_threads = threads;
      EXPECT_EQ(PackedBytes(Write(ToyPath("recurrent_gemma"), options)), first)
          << threads;
    }
  }
}

// ---------------------------------------------------------------------------
// In memory

// All matrices of a model.
std::vector<const Matrix*> MatricesOf(const Weights& weights) {
  std::vector<const Matrix*> all = {&weights.embedding, &weights.head};
  for (const LayerWeights& w : weights.layers) {
    for (const auto member :
         {&LayerWeights::q_proj, &LayerWeights::k_proj, &LayerWeights::v_proj,
          &LayerWeights::o_proj, &LayerWeights::gate_proj,
          &LayerWeights::up_proj, &LayerWeights::down_proj,
          &LayerWeights::linear_x, &LayerWeights::linear_y,
          &LayerWeights::linear_out}) {
      all.push_back(&(w.*member));
    }
    for (const Matrix& gate : w.input_gate) all.push_back(&gate);
    for (const Matrix& gate : w.recurrent_gate) all.push_back(&gate);
  }
  std::erase_if(all, [](const Matrix* m) { return m->view.rows == 0; });
  return all;
}

TEST_F(PackedFileTest, UsesWeightsInPlace) {
  for (const char* toy : {"gemma3", "gemma2_odd", "recurrent_gemma"}) {
    for (const WeightType type :
         {WeightType::kKeep, WeightType::kQ8, WeightType::kQ4}) {
      const Model model = LoadExact(Write(ToyPath(toy), PackedAs(type)));
      ASSERT_EQ(model.impl().files.size(), 1u);
      const absl::Span<const uint8_t> file = model.impl().files[0].bytes();
      const auto matrices = MatricesOf(model.impl().weights);
      EXPECT_GT(matrices.size(), 10u);
      for (const Matrix* matrix : matrices) {
        EXPECT_EQ(matrix->memory.data(), nullptr);
        EXPECT_GE(matrix->view.data, file.begin());
        EXPECT_LE(matrix->view.data + matrix->view.Bytes(), file.end());
        EXPECT_EQ(reinterpret_cast<uintptr_t>(matrix->view.data) % 64, 0u);
      }
      // Memory in the file counts, too.
      const Model loaded =
          LoadOrDie(ToyPath(toy), Exact(type, RecurrentWindow::kDeepMind));
      EXPECT_EQ(model.MemoryFor({}).weights, loaded.MemoryFor({}).weights);
      EXPECT_TRUE(loaded.impl().files.empty());
    }
  }
}

TEST_F(PackedFileTest, FileMayBeRemoved) {
  const std::string packed =
      Write(ToyPath("gemma2"), PackedAs(WeightType::kQ6));
  const std::vector<float> expected = AllLogits(LoadExact(packed), kPrompt);
  Model model = LoadExact(packed);
  std::remove(packed.c_str());
  const Model moved = std::move(model);
  EXPECT_EQ(AllLogits(moved, kPrompt), expected);
}

// ---------------------------------------------------------------------------
// PackedAs a source

TEST_F(PackedFileTest, CopiesByteForByte) {
  for (const char* toy : {"gemma3", "gemma2_odd", "recurrent_gemma"}) {
    Write(ToyPath(toy), PackedAs(WeightType::kKeep), "kept");
    Write(Path("kept"), PackedAs(WeightType::kKeep), "again");
    EXPECT_EQ(PackedBytes(Path("again")), PackedBytes(Path("kept"))) << toy;
    for (const WeightType type : kSmaller) {
      SCOPED_TRACE(std::string(toy) + " as " +
                   std::string(WeightTypeName(type)));
      Write(ToyPath(toy), PackedAs(type), "packed");
      for (const WeightType again : {WeightType::kKeep, type}) {
        Write(Path("packed"), PackedAs(again), "again");
        EXPECT_EQ(PackedBytes(Path("again")), PackedBytes(Path("packed")));
      }
    }
  }
}

TEST_F(PackedFileTest, ChangesNoMore) {
  const std::string packed =
      Write(ToyPath("gemma3"), PackedAs(WeightType::kBF16));
  for (const WeightType type : kSmaller) {
    if (type == WeightType::kBF16) continue;
    EXPECT_EQ(Error(packed, PackedAs(type)), AlreadyPacked(packed));
    EXPECT_EQ(
        ErrorOf(Model::Load(packed, Exact(type, RecurrentWindow::kDeepMind))),
        AlreadyPacked(packed));
  }
  QuantizeOptions options;
  options.layout = FileLayout::kGguf;
  EXPECT_EQ(Error(packed, options), AlreadyPacked(packed));
  options = {};
  options.bits = 8;
  EXPECT_EQ(Error(packed, options), AlreadyPacked(packed));
}

// PackedAs in other files, a matrix keeps its format if that needs no more
// bits.
TEST_F(PackedFileTest, LoadingKeepsFormats) {
  for (const char* toy : {"gemma3", "gemma2_odd", "recurrent_gemma"}) {
    for (const WeightType type : {WeightType::kQ4, WeightType::kQ6}) {
      const std::string packed = Write(ToyPath(toy), PackedAs(type));
      const std::vector<float> expected = AllLogits(LoadExact(packed), kPrompt);
      for (const WeightType quantize :
           {type, WeightType::kQ8, WeightType::kBF16}) {
        const auto model =
            Model::Load(packed, Exact(quantize, RecurrentWindow::kDeepMind));
        ASSERT_EQ(ErrorOf(model), "OK") << toy;
        EXPECT_EQ(AllLogits(*model, kPrompt), expected) << toy;
      }
    }
  }
}

// ---------------------------------------------------------------------------
// Under a budget

TEST_F(PackedFileTest, BitsBoundTheFile) {
  for (const auto layout : {FileLayout::kPacked, FileLayout::kGguf}) {
    QuantizeOptions options;
    options.layout = layout;
    uint64_t before = 0;
    for (const double bits : {7.0, 8.0, 12.0}) {
      options.bits = bits;
      const Model model = LoadExact(Write(ToyPath("gemma3"), options));
      uint64_t bytes = 0, values = 0;
      for (const TensorSummary& tensor : model.tensors()) {
        bytes += tensor.bytes;
        uint64_t count = 1;
        for (const size_t size : tensor.shape) count *= size;
        values += count;
      }
      EXPECT_LE(8.0 * static_cast<double>(bytes),
                bits * static_cast<double>(values));
      EXPECT_GT(bytes, before);
      before = bytes;
      EXPECT_EQ(AllLogits(model, kPrompt).size(),
                kPrompt.size() * model.config().vocab_size);
    }
    options.bits = 2;
    EXPECT_THAT(Error(ToyPath("gemma3"), options), HasSubstr("are too few"));
  }
  QuantizeOptions options;
  for (const double bits : {-1.0, 0.5, 33.0, std::nan("")}) {
    options.bits = bits;
    EXPECT_THAT(Error(ToyPath("gemma3"), options), StartsWith("bits is "));
  }
}

TEST_F(PackedFileTest, GgufLacksOwnFormats) {
  for (const WeightType type : {WeightType::kQ5, WeightType::kQ4S}) {
    QuantizeOptions options = PackedAs(type);
    options.layout = FileLayout::kGguf;
    EXPECT_THAT(
        Error(ToyPath("gemma3"), options),
        AllOf(StartsWith("type is " + std::string(WeightTypeName(type))),
              HasSubstr("layout packed")));
  }
}

// ---------------------------------------------------------------------------
// Verified

TEST_F(PackedFileTest, VerifyFindsChangedTensor) {
  const Bytes good =
      PackedBytes(Write(ToyPath("recurrent_gemma"), PackedAs(WeightType::kQ4)));
  EXPECT_EQ(ErrorOf(VerifyFile(Path())), "OK");
  const absl::StatusOr<GgufFile> gguf = ParseGguf(good, Path());
  ASSERT_EQ(ErrorOf(gguf), "OK");
  for (const auto& [name, tensor] : gguf->tensors) {
    const size_t begin = static_cast<size_t>(tensor.data - good.data());
    for (const size_t at : {begin, begin + tensor.bytes - 1}) {
      Bytes bad = good;
      bad[at] ^= 0x10;
      WriteFile(Path("changed"), bad);
      EXPECT_THAT(ErrorOf(VerifyFile(Path("changed"))),
                  HasSubstr("tensor '" + name + "' has the checksum"));
    }
  }
}

// The tensors have no checksums, so VerifyFile finds the values.
TEST_F(PackedFileTest, VerifyFindsNonFinite) {
  constexpr uint32_t kPackedBF16 = 0x6E02;
  constexpr size_t kOddRows = 17, kFewCols = 2;
  const size_t bytes =
      PackedView{Layout::kBF16, kOddRows, kFewCols, nullptr}.Bytes();
  for (const uint16_t value : {0x7F80, 0xFF80, 0x7FC0}) {
    std::vector<std::string> found;
    for (size_t at = 0; at + 1 < bytes; at += 2) {
      Bytes data(bytes, 0);
      std::memcpy(data.data() + at, &value, sizeof(value));
      WriteFile(Path(),
                GgufWriter()
                    .Alignment(64)
                    .Tensor("x", {kFewCols, kOddRows}, kPackedBF16, data)
                    .Finish());
      const std::string error = ErrorOf(VerifyFile(Path()));
      if (error != "OK") found.push_back(error);
    }
    // Each value is found once; padding in the last panel does not count.
    EXPECT_EQ(found.size(), kOddRows * kFewCols);
    for (size_t row = 0; row < kOddRows; ++row) {
      for (size_t col = 0; col < kFewCols; ++col) {
        const std::string at =
            Path() + ": tensor 'x' has a value that is not finite at row " +
            std::to_string(row) + ", column " + std::to_string(col);
        EXPECT_EQ(std::count(found.begin(), found.end(), at), 1) << at;
      }
    }
  }
}

}  // namespace
}  // namespace gemma::internal

// Cuts and changes packed files, whose bytes are used in place; see
// hostile_model_test.cc.

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "compression/weight_view.h"
#include "gemma/quantize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "src/formats/gguf.h"
#include "src/formats/gguf_types.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_files.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr uint32_t kFirstPacked = 0x6E00;
constexpr uint32_t kLastPacked = 0x6E1A;
constexpr uint32_t kPackedF32 = 0x6E00;

// The smallest model, packed without conversion, up to the padding after its
// data.
Bytes PackedModel(const std::string& folder, const std::string& type) {
  WriteTinyDirectory(folder + "/hf", TinyConfig(type), TinyHfTensors(type));
  EXPECT_EQ(ErrorOf(Quantize(folder + "/hf", folder + "/packed", {})), "OK");
  std::ifstream stream(folder + "/packed", std::ios::binary);
  Bytes file((std::istreambuf_iterator<char>(stream)),
             std::istreambuf_iterator<char>());
  const absl::StatusOr<GgufFile> parsed = ParseGguf(file, "m.gguf");
  EXPECT_EQ(ErrorOf(parsed.status()), "OK");
  size_t end = 0;
  for (const auto& [name, tensor] : parsed->tensors) {
    end = std::max<size_t>(end, tensor.data + tensor.bytes - file.data());
  }
  file.resize(end);
  return file;
}

// Offset of the first tensor's data.
size_t DataBegin(const Bytes& file) {
  const absl::StatusOr<GgufFile> parsed = ParseGguf(file, "m.gguf");
  EXPECT_EQ(ErrorOf(parsed.status()), "OK");
  size_t data = file.size();
  for (const auto& [name, tensor] : parsed->tensors) {
    data = std::min<size_t>(data, tensor.data - file.data());
  }
  return data;
}

// End of the header without its padding.
size_t HeaderEnd(const Bytes& file) {
  size_t end = DataBegin(file);
  while (file[end - 1] == 0) --end;
  return end + 8;
}

class HostilePacked : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Types, HostilePacked,
                         ::testing::Values("gemma3_text", "recurrent_gemma"),
                         [](const auto& test) { return test.param; });

TEST_P(HostilePacked, CutAnywhereIsRefused) {
  const Folder folder;
  const Bytes good = PackedModel(folder.path(), GetParam());
  ChangingFile file(folder.path() + "/m.gguf", good);
  CutEverywhere(folder.path() + "/m.gguf", file, HeaderEnd(good));
}

TEST_P(HostilePacked, ChangedByteIsSafe) {
  const Folder folder;
  const Bytes good = PackedModel(folder.path(), GetParam());
  ChangingFile file(folder.path() + "/m.gguf", good);
  ChangeEverywhere(folder.path() + "/m.gguf", file, HeaderEnd(good));
}

// ---------------------------------------------------------------------------
// Tensors with wrong types, shapes or values

using Shape = std::vector<uint64_t>;

// A model whose matrices are all [256, 256], so that a row consists of whole
// blocks in every format. Shapes are as in files: innermost first.
class WideModel {
 public:
  explicit WideModel(std::string path) : path_(std::move(path)) {
    gguf_.String("general.architecture", "gemma")
        .Uint32("gemma.embedding_length", 256)
        .Uint32("gemma.block_count", 1)
        .Uint32("gemma.feed_forward_length", 256)
        .Uint32("gemma.attention.head_count", 1)
        .Uint32("gemma.attention.key_length", 256)
        .Alignment(64);
  }

  static std::vector<std::string> Matrices() {
    return {"token_embd.weight",        "blk.0.attn_q.weight",
            "blk.0.attn_k.weight",      "blk.0.attn_v.weight",
            "blk.0.attn_output.weight", "blk.0.ffn_gate.weight",
            "blk.0.ffn_up.weight",      "blk.0.ffn_down.weight"};
  }

  WideModel& Tensor(const std::string& name, const Shape& sizes, uint32_t type,
                    const Bytes& data) {
    gguf_.Tensor(name, sizes, type, data);
    names_.push_back(name);
    return *this;
  }

  // Adds the missing tensors. Returns the error of loading, or "OK" if the
  // model loads and runs.
  std::string Run() {
    for (const std::string& name : Matrices()) Add(name, {256, 256});
    for (const char* name :
         {"output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"}) {
      Add(std::string(name) + ".weight", {256});
    }
    WriteFile(path_, gguf_.Finish());
    if (LoadAndRun(path_)) return "OK";
    return ErrorOf(Model::Load(path_, {.num_threads = 1}).status());
  }

 private:
  void Add(const std::string& name, const Shape& sizes) {
    if (std::count(names_.begin(), names_.end(), name) != 0) return;
    const Shape shape(sizes.rbegin(), sizes.rend());
    gguf_.Tensor(name, sizes, /*type=*/0, MakeTensor(name, shape).bytes());
  }

  std::string path_;
  GgufWriter gguf_;
  std::vector<std::string> names_;
};

Bytes RandomBytes(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  Bytes bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

size_t BytesOf(uint32_t type, size_t rows, size_t cols) {
  const GgufTensorType known = *GgufTypeOf(type);
  return PackedView{*known.packed, rows, cols, nullptr}.Bytes();
}

// Any layout for any matrix, with arbitrary bytes, including layouts that we
// would not have chosen.
TEST(HostilePackedTypes, AnyLayoutRunsAnywhere) {
  const Folder folder;
  const std::string path = folder.path() + "/m.gguf";
  for (uint32_t type = kFirstPacked; type <= kLastPacked; ++type) {
    const size_t bytes = BytesOf(type, 256, 256);
    for (const std::string& name : WideModel::Matrices()) {
      EXPECT_EQ(WideModel(path)
                    .Tensor(name, {256, 256}, type, RandomBytes(bytes, type))
                    .Run(),
                "OK")
          << name << " of type " << type;
    }
    for (const uint8_t fill : {0x00, 0xff, 0x7f}) {
      WideModel model(path);
      for (const std::string& name : WideModel::Matrices()) {
        model.Tensor(name, {256, 256}, type, Bytes(bytes, fill));
      }
      EXPECT_EQ(model.Run(), "OK") << type << " of " << int{fill};
    }
  }
}

TEST(HostilePackedTypes, VectorsAreNotPacked) {
  const Folder folder;
  const std::string path = folder.path() + "/m.gguf";
  for (uint32_t type = kFirstPacked; type <= kLastPacked; ++type) {
    EXPECT_THAT(WideModel(path)
                    .Tensor("blk.0.attn_norm.weight", {256}, type,
                            Bytes(BytesOf(type, 1, 256), 0))
                    .Run(),
                HasSubstr("tensor 'blk.0.attn_norm.weight' is packed as a "
                          "matrix, wanted rows of F32"));
  }
}

TEST(HostilePackedTypes, UnknownNumbersAreRefused) {
  const Folder folder;
  const std::string path = folder.path() + "/m.gguf";
  for (const uint32_t type :
       {0x6DFFu, kLastPacked + 1, 0x6EFFu, 0x6E02u << 16, 0xFFFFFFFFu}) {
    EXPECT_THAT(
        WideModel(path)
            .Tensor("blk.0.attn_q.weight", {256, 256}, type, Bytes(1 << 18, 0))
            .Run(),
        AllOf(StartsWith(path), HasSubstr("'blk.0.attn_q.weight' has type " +
                                          std::to_string(type))));
  }
}

// The shape says how many matrices follow each other, so no dimension may be
// left out or added.
TEST(HostilePackedTypes, ShapesAreExact) {
  const Folder folder;
  const std::string path = folder.path() + "/m.gguf";
  const size_t row = BytesOf(kPackedF32, 1, 256);
  for (const Shape& sizes :
       {Shape{256, 255}, Shape{256, 257}, Shape{256, 1, 256},
        Shape{256, 256, 1}, Shape{256, 1}, Shape{256, 128, 2}}) {
    EXPECT_THAT(WideModel(path)
                    .Tensor("blk.0.attn_q.weight", sizes, kPackedF32,
                            Bytes(row * 256, 0))
                    .Run(),
                HasSubstr("'blk.0.attn_q.weight' is ["))
        << ::testing::PrintToString(sizes);
  }
}

// Gates of one channel each. Without the dimension of size 1, they would hold
// the same number of values, but in one panel instead of one panel each.
TEST(HostilePackedTypes, GatesOfOneChannel) {
  const Folder folder;
  const std::string path = folder.path() + "/m.gguf";
  for (const bool is_exact : {true, false}) {
    nlohmann::json config = TinyConfig("recurrent_gemma");
    config["lru_width"] = 2;
    TinyTensors tensors = TinyHfTensors("recurrent_gemma");
    for (TinyTensor& tensor : tensors) {
      const auto is = [&](const char* part) {
        return tensor.name.find(part) != std::string::npos;
      };
      Shape shape = tensor.shape;
      if (is("linear_out.weight")) {
        shape = {8, 2};
      } else if (is("gate_weight")) {
        shape = {2, 1, 1};
      } else if (is("gate_bias")) {
        shape = {2, 1};
      } else if (is("linear_x") || is("linear_y") || is("conv_1d") ||
                 is("recurrent_param")) {
        shape[0] = 2;
      }
      tensor = MakeTensor(tensor.name, shape);
    }
    WriteTinyDirectory(folder.path() + "/hf", config, tensors);
    QuantizeOptions options;
    options.overwrite = true;
    ASSERT_EQ(ErrorOf(Quantize(folder.path() + "/hf", path, options)), "OK");
    std::ifstream in(path, std::ios::binary);
    Bytes file((std::istreambuf_iterator<char>(in)),
               std::istreambuf_iterator<char>());
    if (is_exact) {
      EXPECT_TRUE(LoadAndRun(path));
      continue;
    }
    // [2, 1, 1] becomes [1, 2, 1], which needs half of the bytes.
    const std::string name = "blk.0.rec_gate_in.weight";
    const auto at =
        std::search(file.begin(), file.end(), name.begin(), name.end());
    ASSERT_NE(at, file.end());
    const auto sizes = at + static_cast<std::ptrdiff_t>(name.size()) + 4;
    std::swap(sizes[8], sizes[16]);
    WriteFile(path, file);
    EXPECT_FALSE(LoadAndRun(path));
    EXPECT_THAT(ErrorOf(Model::Load(path).status()),
                HasSubstr("is [1, 2, 1], the configuration needs [2, 1, 1]"));
  }
}

TEST(HostilePackedTypes, HugeSizesAreRefused) {
  const Folder folder;
  const std::string path = folder.path() + "/m.gguf";
  for (const Shape& sizes :
       {Shape{256, uint64_t{1} << 40}, Shape{uint64_t{1} << 40, 256},
        Shape{uint64_t{1} << 63, uint64_t{1} << 63}, Shape{256, ~uint64_t{0}},
        Shape{~uint64_t{0} - 255, 1},
        Shape{256, 256, uint64_t{1} << 50, uint64_t{1} << 50}}) {
    for (uint32_t type = kFirstPacked; type <= kLastPacked; ++type) {
      EXPECT_THAT(WideModel(path)
                      .Tensor("blk.0.attn_q.weight", sizes, type, Bytes(64, 0))
                      .Run(),
                  AllOf(StartsWith(path), HasSubstr("'blk.0.attn_q.weight'")))
          << ::testing::PrintToString(sizes);
    }
  }
}

// Kernels read whole SIMD vectors, so matrices must be aligned.
TEST(HostilePackedTypes, MatricesAreAligned) {
  const Folder folder;
  const std::string path = folder.path() + "/m.gguf";
  const Bytes data(BytesOf(kPackedF32, 2, 8), 0);
  for (const size_t before : {0, 32, 64, 96}) {
    GgufWriter gguf;
    gguf.Alignment(32).Tensor("before", {before / 4 + 8}, 0,
                              Bytes(before + 32, 0));
    gguf.Tensor("x", {8, 2}, kPackedF32, data);
    const Bytes file = gguf.Finish();
    const size_t at = file.size() - data.size();
    const std::string error = ErrorOf(ParseGguf(file, "m.gguf").status());
    if (at % 64 == 0) {
      EXPECT_EQ(error, "OK");
    } else {
      EXPECT_EQ(error, "m.gguf: packed tensor 'x' starts at byte " +
                           std::to_string(at) + ", wanted a multiple of 64");
    }
  }
}

}  // namespace
}  // namespace gemma::internal

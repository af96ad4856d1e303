// Models whose matrices have one of GGUF's types compute the same logits as
// with the dequantized values in F32. codec_test.cc compares these values with
// the package `gguf`.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "compression/codec.h"
#include "gemma/quantize.h"
#include "gemma/verify_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/formats/gguf_types.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::ResultOf;

constexpr size_t kSize = 256;  // rows and columns of all matrices
constexpr Format kNewFormats[] = {
    Format::kIQ2_XXS, Format::kIQ2_XS, Format::kIQ2_S, Format::kIQ3_XXS,
    Format::kIQ3_S,   Format::kMXFP4,  Format::kNVFP4, Format::kF64};

const std::vector<std::string> kMatrices = {
    "token_embd",        "blk.0.attn_q",   "blk.0.attn_k", "blk.0.attn_v",
    "blk.0.attn_output", "blk.0.ffn_gate", "blk.0.ffn_up", "blk.0.ffn_down"};

// Returns [kSize, kSize] values in a format: random codes, moderate scales.
Bytes RandomMatrix(Format format, uint32_t seed) {
  std::mt19937 random(seed);
  const WeightView view = {format, kSize, kSize, nullptr};
  Bytes bytes(kSize * view.RowBytes());
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  for (size_t at = 0; at < bytes.size(); at += BlockBytes(format)) {
    if (format == Format::kF64) {
      const double value = (random() % 2001 - 1000.0) / 30000.0;
      std::memcpy(&bytes[at], &value, sizeof(value));
    } else if (format == Format::kMXFP4) {
      bytes[at] = static_cast<uint8_t>(118 + random() % 4);
    } else if (format == Format::kNVFP4) {
      for (size_t i = 0; i < 4; ++i)
        bytes[at + i] = static_cast<uint8_t>(random() % 12);
    } else {  // 2^-13 to 2^-11, with either sign
      bytes[at + 1] =
          static_cast<uint8_t>((random() % 2 << 7) | 8 | random() % 8);
    }
  }
  return bytes;
}

Bytes Dequantized(Format format, const Bytes& bytes) {
  std::vector<float> values(kSize * kSize);
  for (size_t row = 0; row < kSize; ++row) {
    DecodeRow({format, kSize, kSize, bytes.data()}, row,
              values.data() + row * kSize);
  }
  const auto* begin = reinterpret_cast<const uint8_t*>(values.data());
  return Bytes(begin, begin + values.size() * sizeof(float));
}

// Writes a model. `scale` multiplies each matrix; 1: there is no such tensor.
void WriteModel(const std::string& path, Format format, bool is_dequantized,
                float scale = 1.0f) {
  GgufWriter gguf;
  gguf.String("general.architecture", "gemma")
      .Uint32("gemma.embedding_length", kSize)
      .Uint32("gemma.block_count", 1)
      .Uint32("gemma.feed_forward_length", kSize)
      .Uint32("gemma.attention.head_count", 1)
      .Uint32("gemma.attention.key_length", kSize);
  for (const char* name :
       {"output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"}) {
    gguf.Tensor(std::string(name) + ".weight", {kSize}, 0,
                MakeTensor(name, {kSize}).bytes());
  }
  for (size_t i = 0; i < kMatrices.size(); ++i) {
    const Bytes stored = RandomMatrix(format, static_cast<uint32_t>(i));
    const std::string name = kMatrices[i] + ".weight";
    if (!is_dequantized) {
      gguf.Tensor(name, {kSize, kSize}, *GgufTypeNumber(format), stored);
      if (scale == 1.0f) continue;
      gguf.Tensor(kMatrices[i] + ".scale", {1}, 0,
                  ByteWriter().Number(scale).bytes());
      continue;
    }
    Bytes values = Dequantized(format, stored);
    for (size_t at = 0; at < values.size(); at += sizeof(float)) {
      float value = 0;
      std::memcpy(&value, &values[at], sizeof(value));
      value *= scale;
      std::memcpy(&values[at], &value, sizeof(value));
    }
    gguf.Tensor(name, {kSize, kSize}, 0, values);
  }
  WriteFile(path, gguf.Finish());
}

// Returns logits in float32. (By default, the cache is in float32 only if the
// embeddings are.)
std::vector<float> TypedLogits(const std::string& path) {
  const Model model = LoadExact(path);
  Session session = NewSession(model, {.cache_format = CacheFormat::kFloat32});
  return AllLogits(session, {2, 200, 5, 77});
}

bool IsFinite(float value) { return std::isfinite(value); }

TEST(TensorTypes, LogitsOfDequantizedValues) {
  const std::string directory = TestDirectory();
  for (const Format format : kNewFormats) {
    SCOPED_TRACE(FormatName(format));
    WriteModel(directory + "/q.gguf", format, false);
    WriteModel(directory + "/f.gguf", format, true);
    const std::vector<float> expected = TypedLogits(directory + "/f.gguf");
    ASSERT_THAT(expected, Each(ResultOf(IsFinite, true)));
    EXPECT_NE(expected.front(), expected.back());
    EXPECT_EQ(TypedLogits(directory + "/q.gguf"), expected);
  }
}

// A written file with the same formats computes the same bits.
TEST(TensorTypes, QuantizeKeepsSmallFormats) {
  const std::string directory = TestDirectory();
  for (const Format format : kNewFormats) {
    SCOPED_TRACE(FormatName(format));
    WriteModel(directory + "/q.gguf", format, false);
    const std::vector<float> expected = TypedLogits(directory + "/q.gguf");
    for (const FileLayout layout : {FileLayout::kPacked, FileLayout::kGguf}) {
      QuantizeOptions options;
      options.layout = layout;
      options.overwrite = true;
      const std::string out = directory + "/out.gguf";
      ASSERT_EQ(ErrorOf(Quantize(directory + "/q.gguf", out, options)), "OK");
      EXPECT_EQ(ErrorOf(VerifyFile(out).status()), "OK");
      EXPECT_EQ(TypedLogits(out), expected);
    }
  }
}

// From the exact values, quantizing gives the same file.
TEST(TensorTypes, QuantizeReadsExactValues) {
  const std::string directory = TestDirectory();
  QuantizeOptions options;
  options.type = WeightType::kQ8;
  for (const Format format : {Format::kF64}) {
    WriteModel(directory + "/q.gguf", format, false);
    WriteModel(directory + "/f.gguf", format, true);
    for (const char* name : {"q", "f"}) {
      const std::string path = directory + "/" + name;
      ASSERT_EQ(ErrorOf(Quantize(path + ".gguf", path, options)), "OK");
    }
    EXPECT_EQ(TypedLogits(directory + "/q"), TypedLogits(directory + "/f"));
  }
}

TEST(TensorTypes, ScaleOfGgufMatrix) {
  const std::string directory = TestDirectory();
  WriteModel(directory + "/q.gguf", Format::kNVFP4, false, 0.37f);
  WriteModel(directory + "/f.gguf", Format::kNVFP4, true, 0.37f);
  EXPECT_EQ(TypedLogits(directory + "/q.gguf"),
            TypedLogits(directory + "/f.gguf"));
}

TEST(TensorTypes, PlanEqualsLoadedMemory) {
  const std::string path = TestDirectory() + "/q.gguf";
  // Bits of a weight in memory; compression/README.md.
  const double bits[] = {4.3125, 4.5625, 4.5625, 4.3125, 4.3125, 4.5, 5, 32};
  for (size_t i = 0; i < std::size(kNewFormats); ++i) {
    WriteModel(path, kNewFormats[i], false);
    const Model loaded = LoadExact(path);
    LoadOptions options = {.num_threads = 1};
    options.skip_weights = true;
    const Model planned = LoadOrDie(path, options);
    const uint64_t weights = loaded.MemoryFor({}).weights;
    EXPECT_EQ(planned.MemoryFor({}).weights, weights);
    const double matrices = 8.0 * kSize * kSize * bits[i] / 8;
    EXPECT_EQ(static_cast<double>(weights), matrices + 3 * 4 * kSize)
        << FormatName(kNewFormats[i]);
  }
}

TEST(TensorTypes, UnreadTypeIsNamed) {
  const std::string path = TestDirectory() + "/m.gguf";
  GgufWriter gguf;
  gguf.String("general.architecture", "gemma")
      .Tensor("token_embd.weight", {256, 2}, 19, Pattern(100));
  WriteFile(path, gguf.Finish());
  EXPECT_THAT(
      ErrorOf(Model::Load(path, {.num_threads = 1}).status()),
      HasSubstr("m.gguf: tensor 'token_embd.weight' is of type IQ1_S, which "
                "is not read yet; wanted one of F32 (0), "));
}

}  // namespace
}  // namespace gemma::internal

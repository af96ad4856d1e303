// Cuts whole models and changes them byte by byte. Loading and running them may
// fail, but only with a Status. The sanitizers are the assertion.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "src/formats/gguf.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_files.h"
#include "tests/support/hostile_gemma4.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

class HostileGguf : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(
    Architectures, HostileGguf,
    ::testing::ValuesIn(std::vector<std::string>(std::begin(kArchitectures),
                                                 std::end(kArchitectures))),
    [](const auto& test) { return test.param; });

size_t StructureOf(const std::string& architecture) {
  GgufWriter gguf = TinyGgufKeys(architecture);
  AddTensors(TinyGgufTensors(architecture), gguf);
  return gguf.Header().size();
}

TEST_P(HostileGguf, CutAnywhereIsRefused) {
  const Folder folder;
  const std::string path = folder.path() + "/m.gguf";
  ChangingFile file(path, TinyGgufModel(GetParam()));
  CutEverywhere(path, file, StructureOf(GetParam()));
}

TEST_P(HostileGguf, ChangedByteIsSafe) {
  const Folder folder;
  const std::string path = folder.path() + "/m.gguf";
  ChangingFile file(path, TinyGgufModel(GetParam()));
  ChangeEverywhere(path, file, StructureOf(GetParam()));
}

// The vocabulary is long and regular, so only some of its bytes are changed.
TEST(HostileTokenizer, ChangedByteIsSafe) {
  GgufWriter gguf = TinyGgufKeys("gemma");
  AddTokenizer({"ab",
                "\xE2\x96\x81"
                "c"},
               gguf);
  const size_t structure = gguf.Header().size();
  TinyTensors tensors = TinyGgufTensors("gemma");
  Find(tensors, "token_embd.weight") =
      MakeTensor("token_embd.weight", {262, 8});
  AddTensors(tensors, gguf);
  const Folder folder;
  const std::string path = folder.path() + "/m.gguf";
  ChangingFile file(path, gguf.Finish());
  ASSERT_TRUE(LoadAndRun(path));
  for (size_t i = 24; i < structure; i += 23) {
    for (const int flip : {0x01, 0x80}) {
      file.Put(i, static_cast<uint8_t>(file.bytes()[i] ^ flip));
      LoadAndRun(path);
    }
    file.Put(i, file.bytes()[i]);
  }
}

class HostileDirectory : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Types, HostileDirectory,
                         ::testing::ValuesIn(std::vector<std::string>(
                             std::begin(kModelTypes), std::end(kModelTypes))),
                         [](const auto& test) { return test.param; });

Bytes TextBytes(const std::string& text) {
  return Bytes(text.begin(), text.end());
}

Bytes TinyWeights(const std::string& model_type) {
  SafetensorsWriter weights;
  for (const TinyTensor& tensor : TinyHfTensors(model_type)) {
    weights.Tensor(tensor.name, "F32", tensor.shape, tensor.bytes());
  }
  return weights.Finish();
}

size_t HeaderSize(const Bytes& weights) {
  return 8 + weights[0] + 256 * weights[1];  // a length of 8 bytes, and text
}

TEST_P(HostileDirectory, ChangedConfigIsSafe) {
  const Folder folder;
  const auto config = TinyConfig(GetParam());
  WriteTinyDirectory(folder.path(), config, TinyHfTensors(GetParam()));
  ChangingFile file(folder.path() + "/config.json", TextBytes(config.dump()));
  CutEverywhere(folder.path(), file, file.bytes().size());
  ChangeEverywhere(folder.path(), file, file.bytes().size());
}

TEST_P(HostileDirectory, CutWeightsAreRefused) {
  const Folder folder;
  WriteTinyDirectory(folder.path(), TinyConfig(GetParam()), {});
  const Bytes weights = TinyWeights(GetParam());
  ChangingFile file(folder.path() + "/model.safetensors", weights);
  CutEverywhere(folder.path(), file, HeaderSize(weights));
}

// One type is enough: the headers of types differ only in names.
TEST(HostileWeights, ChangedByteIsSafe) {
  const Folder folder;
  WriteTinyDirectory(folder.path(), TinyConfig("gemma"), {});
  const Bytes weights = TinyWeights("gemma");
  ChangingFile file(folder.path() + "/model.safetensors", weights);
  ChangeEverywhere(folder.path(), file, HeaderSize(weights));
}

// ---------------------------------------------------------------------------
// Values that no model has

struct TinyModel {
  std::string name;
  GgufWriter keys;
  TinyTensors tensors;
};

std::vector<TinyModel> TinyModels() {
  std::vector<TinyModel> models;
  for (const char* name : kArchitectures) {
    models.push_back({name, TinyGgufKeys(name), TinyGgufTensors(name)});
  }
  for (const char* form : kGemma4Forms) {
    models.push_back({form, Gemma4GgufKeys(form), Gemma4GgufTensors(form)});
  }
  return models;
}

// Whether the reader refuses values other than those of the rule that they
// state.
bool IsChecked(const TinyTensor& tensor) {
  return tensor.name == "rope_freqs.weight";
}

TEST(HostileValues, AllWeightsExtreme) {
  using Limits = std::numeric_limits<float>;
  const Folder folder;
  for (const TinyModel& model : TinyModels()) {
    for (const float value :
         {Limits::quiet_NaN(), Limits::signaling_NaN(), Limits::infinity(),
          -Limits::infinity(), Limits::denorm_min(), Limits::max(),
          Limits::lowest(), Limits::min(), 0.0f, -0.0f, 1e-30f}) {
      TinyTensors tensors = model.tensors;
      for (TinyTensor& tensor : tensors) {
        if (IsChecked(tensor)) continue;
        std::fill(tensor.values.begin(), tensor.values.end(), value);
      }
      GgufWriter gguf = model.keys;
      AddTensors(tensors, gguf);
      WriteFile(folder.path() + "/m.gguf", gguf.Finish());
      EXPECT_TRUE(LoadAndRun(folder.path() + "/m.gguf"))
          << model.name << " of " << value;
    }
  }
}

TEST(HostileValues, OneTensorNotFinite) {
  const Folder folder;
  for (const TinyModel& model : TinyModels()) {
    for (size_t i = 0; i < model.tensors.size(); ++i) {
      if (IsChecked(model.tensors[i])) continue;
      TinyTensors changed = model.tensors;
      changed[i].values.back() = NAN;
      changed[i].values.front() = INFINITY;
      GgufWriter gguf = model.keys;
      AddTensors(changed, gguf);
      WriteFile(folder.path() + "/m.gguf", gguf.Finish());
      EXPECT_TRUE(LoadAndRun(folder.path() + "/m.gguf"))
          << model.name << " " << changed[i].name;
    }
  }
}

TEST(HostileValues, ExtremeParametersOfRope) {
  const Folder folder;
  for (const float value : {1e-38f, 1e38f, 1e-45f, 1.0f}) {
    GgufWriter gguf = TinyGgufKeys("gemma3");
    gguf.Float32("gemma3.rope.freq_base", value)
        .Float32("gemma3.rope.freq_base_swa", value)
        .String("gemma3.rope.scaling.type", "linear")
        .Float32("gemma3.rope.scaling.factor", value)
        .Float32("gemma3.attn_logit_softcapping", value)
        .Float32("gemma3.final_logit_softcapping", value)
        .Float32("gemma3.attention.layer_norm_rms_epsilon", value);
    AddTensors(TinyGgufTensors("gemma3"), gguf);
    WriteFile(folder.path() + "/m.gguf", gguf.Finish());
    EXPECT_TRUE(LoadAndRun(folder.path() + "/m.gguf")) << value;
  }
}

// Every quantized format, with arbitrary bytes in its blocks.
TEST(HostileValues, ArbitraryQuantizedBlocks) {
  std::ifstream file(
      std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma3_mixed.gguf",
      std::ios::binary);
  const Bytes good((std::istreambuf_iterator<char>(file)),
                   std::istreambuf_iterator<char>());
  const absl::StatusOr<GgufFile> parsed = ParseGguf(good, "m.gguf");
  ASSERT_EQ(ErrorOf(parsed.status()), "OK");
  size_t data = good.size();  // offset of the first tensor
  for (const auto& [name, tensor] : parsed->tensors) {
    data = std::min<size_t>(data, tensor.data - good.data());
  }
  const Folder folder;
  const std::string path = folder.path() + "/m.gguf";
  std::mt19937 random(1);
  for (const int fill : {0x00, 0xff, 0x7f, 0x80, -1, -1}) {
    Bytes bad = good;
    for (size_t i = data; i < bad.size(); ++i) {
      bad[i] = static_cast<uint8_t>(fill < 0 ? random() : fill);
    }
    WriteFile(path, bad);
    EXPECT_TRUE(LoadAndRun(path)) << fill;
  }
}

// A window costs memory only where it is used, so it may be huge.
TEST(HostileValues, HugeWindowRuns) {
  const Folder folder;
  auto config = TinyConfig("gemma2");
  config["sliding_window"] = 1 << 24;
  WriteTinyDirectory(folder.path(), config, TinyHfTensors("gemma2"));
  EXPECT_TRUE(LoadAndRun(folder.path()));
}

}  // namespace
}  // namespace gemma::internal

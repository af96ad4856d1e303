// Whole models, cut and changed byte by byte: loading and running them may
// fail, but only with a Status. The sanitizers are the assertion.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/formats/gguf.h"
#include "tests/formats/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma {
namespace {

using ::testing::HasSubstr;

// A directory in memory, if there is one, that ends with the test.
class Folder {
 public:
  Folder() : path_(TestDirectory()) {
    const std::string name = std::filesystem::path(path_).filename();
    std::error_code error;
    if (!std::filesystem::is_directory("/dev/shm", error)) return;
    const std::string fast =
        "/dev/shm/gemma_hostile_" + name + "_" + std::to_string(getpid());
    std::filesystem::create_directories(fast, error);
    if (!error) path_ = fast;
  }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A file that is changed in place, which is faster than writing it anew.
class ChangingFile {
 public:
  ChangingFile(const std::string& path, const Bytes& bytes) : bytes_(bytes) {
    WriteFile(path, bytes);
    file_ = open(path.c_str(), O_RDWR);
    EXPECT_GE(file_, 0);
  }
  ~ChangingFile() { close(file_); }

  const Bytes& bytes() const { return bytes_; }
  void Put(size_t offset, uint8_t byte) {
    EXPECT_EQ(pwrite(file_, &byte, 1, static_cast<off_t>(offset)), 1);
  }
  void Cut(size_t size) {
    EXPECT_EQ(ftruncate(file_, static_cast<off_t>(size)), 0);
  }
  void Restore() {
    EXPECT_EQ(pwrite(file_, bytes_.data(), bytes_.size(), 0),
              static_cast<ssize_t>(bytes_.size()));
  }

 private:
  Bytes bytes_;
  int file_ = -1;
};

// Loads the model and, if that works, computes three positions and samples.
// Returns whether it loaded.
bool LoadAndRun(const std::string& path) {
  const absl::StatusOr<Model> model =
      Model::Load(path, {.num_threads = 1, .prefill_chunk = 4});
  if (!model.ok()) {
    const std::string error = ErrorOf(model.status());
    // One line that names the file.
    EXPECT_THAT(error, HasSubstr(path));
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    return false;
  }
  absl::StatusOr<Session> session = Session::Create(*model, {.max_tokens = 8});
  if (!session.ok()) return true;
  const size_t vocab_size = model->config().vocab_size;
  const auto last = static_cast<TokenId>(vocab_size - 1);
  const absl::StatusOr<absl::Span<float>> logits =
      session->Forward({0, last, last / 2});
  EXPECT_EQ(ErrorOf(logits.status()), "OK");
  if (!logits.ok()) return true;
  EXPECT_EQ(logits->size(), vocab_size);
  for (const float temperature : {0.0f, 1.0f}) {
    std::vector<float> copy(logits->begin(), logits->end());
    Sampler sampler({.temperature = temperature});
    const TokenId token = sampler.Sample(absl::MakeSpan(copy));
    EXPECT_GE(token, 0);
    EXPECT_LE(token, last);
  }
  return true;
}

// Cuts the file of the model at `path` at every structural byte, and in the
// data after them now and then.
void CutEverywhere(const std::string& path, ChangingFile& file,
                   size_t structure) {
  ASSERT_TRUE(LoadAndRun(path));
  for (size_t size = file.bytes().size(); size-- > 0;) {
    if (size > structure && size % 997 != 0 &&
        size + 1 != file.bytes().size()) {
      continue;
    }
    file.Cut(size);
    EXPECT_FALSE(LoadAndRun(path)) << "first " << size << " bytes";
  }
  file.Restore();
  ASSERT_TRUE(LoadAndRun(path));
}

// Changes every structural byte in four ways. A changed byte may still be a
// valid model.
void ChangeEverywhere(const std::string& path, ChangingFile& file,
                      size_t structure) {
  for (size_t i = 0; i < structure; ++i) {
    const uint8_t good = file.bytes()[i];
    uint8_t before = good;
    for (const int byte : {0x00, 0xff, good ^ 0x01, 0x80}) {
      if (byte == good || byte == before) continue;
      before = static_cast<uint8_t>(byte);
      file.Put(i, before);
      SCOPED_TRACE(testing::Message() << "byte " << i << " is " << byte);
      LoadAndRun(path);
    }
    file.Put(i, good);
  }
  ASSERT_TRUE(LoadAndRun(path));
}

class HostileGguf : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Architectures, HostileGguf,
                         ::testing::ValuesIn(kArchitectures),
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

TEST_P(HostileGguf, AnyChangedByteDoesNoHarm) {
  const Folder folder;
  const std::string path = folder.path() + "/m.gguf";
  ChangingFile file(path, TinyGgufModel(GetParam()));
  ChangeEverywhere(path, file, StructureOf(GetParam()));
}

// The vocabulary is long and regular, so only some of its bytes are changed.
TEST(HostileTokenizer, ChangedByteDoesNoHarm) {
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

class HostileDirectory : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Types, HostileDirectory,
                         ::testing::ValuesIn(kModelTypes),
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

TEST_P(HostileDirectory, ConfigCutOrChangedDoesNoHarm) {
  const Folder folder;
  const auto config = TinyConfig(GetParam());
  WriteTinyDirectory(folder.path(), config, TinyHfTensors(GetParam()));
  ChangingFile file(folder.path() + "/config.json", TextBytes(config.dump()));
  CutEverywhere(folder.path(), file, file.bytes().size());
  ChangeEverywhere(folder.path(), file, file.bytes().size());
}

TEST_P(HostileDirectory, WeightsCutAnywhereAreRefused) {
  const Folder folder;
  WriteTinyDirectory(folder.path(), TinyConfig(GetParam()), {});
  const Bytes weights = TinyWeights(GetParam());
  ChangingFile file(folder.path() + "/model.safetensors", weights);
  CutEverywhere(folder.path(), file, HeaderSize(weights));
}

// One type is enough: names apart, the headers are alike.
TEST(HostileWeights, AnyChangedByteDoesNoHarm) {
  const Folder folder;
  WriteTinyDirectory(folder.path(), TinyConfig("gemma"), {});
  const Bytes weights = TinyWeights("gemma");
  ChangingFile file(folder.path() + "/model.safetensors", weights);
  ChangeEverywhere(folder.path(), file, HeaderSize(weights));
}

// ---------------------------------------------------------------------------
// Values that no model has

TEST(HostileValues, EveryWeightOfAKind) {
  using Limits = std::numeric_limits<float>;
  const Folder folder;
  for (const char* architecture : kArchitectures) {
    for (const float value :
         {Limits::quiet_NaN(), Limits::signaling_NaN(), Limits::infinity(),
          -Limits::infinity(), Limits::denorm_min(), Limits::max(),
          Limits::lowest(), Limits::min(), 0.0f, -0.0f, 1e-30f}) {
      TinyTensors tensors = TinyGgufTensors(architecture);
      for (TinyTensor& tensor : tensors) {
        std::fill(tensor.values.begin(), tensor.values.end(), value);
      }
      GgufWriter gguf = TinyGgufKeys(architecture);
      AddTensors(tensors, gguf);
      WriteFile(folder.path() + "/m.gguf", gguf.Finish());
      EXPECT_TRUE(LoadAndRun(folder.path() + "/m.gguf"))
          << architecture << " of " << value;
    }
  }
}

TEST(HostileValues, OneTensorNotANumber) {
  const Folder folder;
  for (const char* architecture : kArchitectures) {
    const TinyTensors tensors = TinyGgufTensors(architecture);
    for (size_t i = 0; i < tensors.size(); ++i) {
      TinyTensors changed = tensors;
      changed[i].values.back() = NAN;
      changed[i].values.front() = INFINITY;
      GgufWriter gguf = TinyGgufKeys(architecture);
      AddTensors(changed, gguf);
      WriteFile(folder.path() + "/m.gguf", gguf.Finish());
      EXPECT_TRUE(LoadAndRun(folder.path() + "/m.gguf"))
          << architecture << " " << changed[i].name;
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

// Every quantized format, its blocks full of anything.
TEST(HostileValues, AnyBytesInQuantizedBlocks) {
  std::ifstream file(
      std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma3_mixed.gguf",
      std::ios::binary);
  const Bytes good((std::istreambuf_iterator<char>(file)),
                   std::istreambuf_iterator<char>());
  const absl::StatusOr<GgufFile> parsed = ParseGguf(good, "m.gguf");
  ASSERT_EQ(ErrorOf(parsed.status()), "OK");
  size_t data = good.size();  // where it begins
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
}  // namespace gemma

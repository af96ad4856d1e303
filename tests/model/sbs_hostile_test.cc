// Cut, changed and wrong files of gemma.cpp.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/formats/sbs.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_files.h"
#include "tests/support/hostile_model.h"
#include "tests/support/sbs_files.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

// The configuration of the tiny model of a type.
ModelConfig ConfigOf(const std::string& type) {
  const std::string directory = TestDirectory();
  WriteTinyDirectory(directory, TinyConfig(type), TinyHfTensors(type));
  LoadOptions options;
  options.skip_weights = true;
  options.recurrent_window = RecurrentWindow::kTransformers;
  return LoadOrDie(directory, options).config();
}

Bytes TinySbs(const std::string& type, const SbsForm& form) {
  const TinyTensors tensors = RoundedTensors(TinyHfTensors(type), form);
  return SbsModel(ConfigOf(type), tensors, form);
}

std::string LoadError(const std::string& path) {
  return ErrorOf(Model::Load(path, {.num_threads = 1}).status());
}

// The file's bytes that do not belong to tensors: those before `front`, and
// those from `back` on.
struct Structure {
  explicit Structure(const Bytes& bytes) : front(bytes.size()) {
    const absl::StatusOr<SbsFile> file = ParseSbs(bytes, "m.sbs");
    EXPECT_EQ(ErrorOf(file), "OK");
    for (const auto& [name, tensor] : file->tensors) {
      const size_t begin = tensor.data.data() - bytes.data();
      front = std::min(front, begin);
      back = std::max(back, begin + tensor.data.size());
    }
  }
  size_t front;
  size_t back = 0;
};

class SbsHostile : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Types, SbsHostile,
                         testing::ValuesIn(std::vector<std::string>(
                             std::begin(kModelTypes), std::end(kModelTypes))),
                         [](const auto& test) { return test.param; });

TEST_P(SbsHostile, CutAnywhereIsRefused) {
  const Folder folder;
  const std::string path = folder.path() + "/m.sbs";
  for (const bool at_end : {false, true}) {
    const Bytes bytes = TinySbs(GetParam(), {.directory_at_end = at_end});
    ChangingFile file(path, bytes);
    CutEverywhere(path, file, bytes.size());
  }
}

TEST_P(SbsHostile, ChangedByteIsSafe) {
  const Folder folder;
  const std::string path = folder.path() + "/m.sbs";
  // The directory is at the end, after the configuration and the toc.
  const Bytes bytes =
      TinySbs(GetParam(), {.type = SbsType::kNuq, .directory_at_end = true});
  ChangingFile file(path, bytes);
  ChangeEverywhere(path, file, bytes.size(), Structure(bytes).back);
}

// The directory is at the front, with the types in its keys. Only for these two
// model types do the tensors give the size of a head.

TEST(SbsHostile, ChangedByteWithoutToc) {
  const Folder folder;
  const std::string path = folder.path() + "/m.sbs";
  for (const char* type : {"gemma3_text", "recurrent_gemma"}) {
    const Bytes bytes =
        TinySbs(type, {.type = SbsType::kSfp, .has_toc = false, .scale = 3.0f});
    ChangingFile file(path, bytes);
    ChangeEverywhere(path, file, Structure(bytes).front);
    ChangeEverywhere(path, file, bytes.size(), Structure(bytes).back);
  }
}

TEST(SbsHostile, AnyValuesRun) {
  const Folder folder;
  const std::string path = folder.path() + "/m.sbs";
  for (const char* type : kModelTypes) {
    for (const SbsType matrices :
         {SbsType::kBF16, SbsType::kSfp, SbsType::kNuq}) {
      Bytes bytes = TinySbs(type, {.type = matrices});
      const Structure structure(bytes);
      for (const int fill : {0x00, 0x7f, 0x80, 0xff}) {
        std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(structure.front),
                  bytes.begin() + static_cast<std::ptrdiff_t>(structure.back),
                  static_cast<uint8_t>(fill));
        WriteFile(path, bytes);
        EXPECT_TRUE(LoadAndRun(path)) << type << " of " << fill;
      }
    }
  }
}

// ---------------------------------------------------------------------------
// Wrong files whose error is known

// Copies the store `bytes`. `change` may change each blob, or drop it by
// returning false.
template <class Change>
Bytes WithBlobs(const Bytes& bytes, Change change) {
  const absl::StatusOr<SbsFile> file = ParseSbs(bytes, "m.sbs");
  EXPECT_EQ(ErrorOf(file), "OK");
  SbsWriter out;
  const auto add = [&](std::string key, absl::Span<const uint8_t> data) {
    Bytes copy(data.begin(), data.end());
    if (change(key, copy)) out.Blob(key, copy);
  };
  for (const auto& [name, tensor] : file->tensors) {
    const char letter = tensor.type == "f32"    ? 'F'
                        : tensor.type == "bf16" ? 'B'
                                                : '$';
    add(std::string(1, letter) + name, tensor.data);
  }
  return out.Finish();
}

class OldFile {
 public:
  // Loads the old file of a Gemma 3 model with one blob changed.
  template <class Change>
  std::string Error(Change change) {
    WriteFile(path(), WithBlobs(good_, change));
    return LoadError(path());
  }
  std::string path() const { return folder_.path() + "/m.sbs"; }

 private:
  Folder folder_;
  Bytes good_ =
      TinySbs("gemma3_text", {.type = SbsType::kSfp, .has_toc = false});
};

TEST(SbsErrors, EveryTensorIsMissed) {
  OldFile file;
  EXPECT_EQ(file.Error([](std::string&, Bytes&) { return true; }), "OK");
  for (const char* name :
       {"Bc_embedding", "Bc_final_norm", "Bpre_att_ns_1", "Bpost_att_ns_1",
        "Bpost_ff_ns_0", "Bquery_norm_1", "Bkey_norm_0", "$qkv_ein_1",
        "$att_ein_1", "$gating_ein_0", "$linear_w_1"}) {
    EXPECT_THAT(
        file.Error([&](std::string& key, Bytes&) { return key != name; }),
        HasSubstr(file.path() + ": no tensor '" + std::string(name).substr(1) +
                  "'"))
        << name;
  }
}

TEST(SbsErrors, SizesMustFit) {
  OldFile file;
  EXPECT_EQ(file.Error([](std::string& key, Bytes& data) {
    if (key == "$linear_w_1") data.push_back(0);
    return true;
  }),
            file.path() +
                ": tensor 'linear_w_1' has 49 bytes, which does not fit [8, 6] "
                "of sfp");
  EXPECT_EQ(
      file.Error([](std::string& key, Bytes& data) {
        if (key == "$linear_w_0") data.push_back(0);
        return true;
      }),
      file.path() +
          ": no blob 'config', and the sizes match no known model: tensor "
          "'linear_w_0' has 49 values, wanted a multiple of 8");
}

TEST(SbsErrors, TypesMustBeKnown) {
  OldFile file;
  EXPECT_THAT(
      file.Error([](std::string& key, Bytes&) {
        if (key == "$linear_w_1") key[0] = 'X';
        return true;
      }),
      HasSubstr(file.path() +
                ": blob 'Xlinear_w_1' does not begin with the letter of a "
                "type, wanted 'F' (f32), 'B' (bf16), '$' (sfp) or '2' (nuq)"));
  EXPECT_EQ(file.Error([](std::string& key, Bytes&) {
    if (key == "$linear_w_1") key[0] = 'I';
    return true;
  }),
            file.path() +
                ": tensor 'linear_w_1' is of i8, wanted f32, bf16, sfp or nuq");
}

TEST(SbsErrors, ScalesMustMatchTensors) {
  const Folder folder;
  const std::string path = folder.path() + "/m.sbs";
  const Bytes good =
      TinySbs("gemma3_text", {.type = SbsType::kSfp, .has_toc = false});
  const absl::StatusOr<SbsFile> file = ParseSbs(good, "m.sbs");
  const auto load = [&](const std::vector<float>& scales) {
    SbsWriter out;
    for (const auto& [name, tensor] : file->tensors) {
      out.Blob((tensor.type == "sfp" ? "$" : "B") + name,
               Bytes(tensor.data.begin(), tensor.data.end()));
    }
    out.Blob("Fscales", EncodeSbs(SbsType::kF32, scales));
    WriteFile(path, out.Finish());
    return LoadError(path);
  };
  EXPECT_EQ(load(std::vector<float>(8, 2.0f)), "OK");
  EXPECT_EQ(load(std::vector<float>(7, 2.0f)),
            path +
                ": there are 7 scales, wanted 8 for the tensors that need "
                "one");
  EXPECT_THAT(load(std::vector<float>(8, NAN)),
              HasSubstr("the blob of scales holds nan"));
}

TEST(SbsErrors, UnknownHeadsAreRefused) {
  const Folder folder;
  const std::string path = folder.path() + "/m.sbs";
  for (const char* type : {"gemma", "gemma2"}) {
    WriteFile(path, TinySbs(type, {.has_toc = false}));
    EXPECT_EQ(LoadError(path),
              path +
                  ": no blob 'config', and the sizes match no known model: 8 "
                  "rows of queries and 8 of keys and values, wanted heads "
                  "of 256");
  }
}

TEST(SbsErrors, PaliGemmaIsRefused) {
  const Folder folder;
  const std::string path = folder.path() + "/m.sbs";
  SbsWriter out;
  for (const auto& [key, bytes] :
       std::vector<std::pair<std::string, size_t>>{{"Bc_embedding", 16 * 8},
                                                   {"Bc_final_norm", 16},
                                                   {"Bpre_ff_ns_0", 16},
                                                   {"$linear_w_0", 48},
                                                   {"$att_ein_0", 2048},
                                                   {"$qkv_ein_0", 3 * 2048},
                                                   {"Bimg_emb_kernel", 64}}) {
    out.Blob(key, Bytes(bytes));
  }
  WriteFile(path, out.Finish());
  EXPECT_THAT(LoadError(path),
              HasSubstr("tensor 'img_emb_kernel' belongs to PaliGemma"));
}

TEST(SbsErrors, BadConfigurationsAreRefused) {
  const Folder folder;
  const std::string path = folder.path() + "/m.sbs";
  const auto load = [&](const SbsRecord& config) {
    WriteFile(path, SbsWriter()
                        .Blob("config", config.Finish())
                        .Blob("Bc_embedding", Bytes(4))
                        .Finish());
    return LoadError(path);
  };
  const auto head = [](uint32_t layers) {
    SbsRecord out;
    out.Number(2).Text("x").Number(3).Number(0).Number(3).Number(layers);
    return out.Number(8).Number(8).Number(8).Number(0).Float(0).Float(0);
  };
  const std::string where = path + ": blob 'config': ";
  EXPECT_EQ(load(SbsRecord()),
            where +
                "num_layers is 0 and there are 0 layer_configs, wanted the "
                "same number, 1 to 1024");
  EXPECT_THAT(load(head(1).Number(1)), HasSubstr("absolute_pe is 1"));
  EXPECT_THAT(load(head(1).Number(0).Number(0).Number(9)),
              HasSubstr("query_scale 9, wanted 0 and at most 1"));
  EXPECT_THAT(load(head(1).Number(0).Number(0).Number(0).Number(70000)),
              HasSubstr("list 'layer_configs' has 70000 elements"));
  EXPECT_THAT(
      load(head(1).Number(0).Number(0).Number(0).Number(1).Number(1000)),
      HasSubstr("record 'layer' has 1000 words, but 0 remain"));
  EXPECT_THAT(load(head(1).Number(0).Number(7)), HasSubstr("layer_configs"));
  EXPECT_THAT(load(SbsRecord().Number(2).Number(1000)),
              HasSubstr("string 'display_name' has 1000 words"));
  SbsRecord huge = head(1).Number(0).Number(0).Number(0).Number(1);
  huge.Record(SbsRecord()
                  .Number(8)
                  .Number(0)
                  .Number(8)
                  .Number(0xFFFFFFFF)
                  .Number(0xFFFFFFFF)
                  .Number(0xFFFFFFFF));
  huge.Number(1).Number(8);
  EXPECT_THAT(load(huge), HasSubstr("4294967295 heads of 4294967295 values"));
}

}  // namespace
}  // namespace gemma::internal

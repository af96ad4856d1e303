// Wrong, truncated and hostile files of autoencoders: loading fails with a
// message that says why.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/autoencoder_files.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_files.h"
#include "tests/support/near.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Uses a folder in memory if the system has one.
class HostileAutoencoder : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const {
    return folder_.path() + "/" + name;
  }

  std::string Error(const Bytes& bytes, const std::string& name = "F.npz",
                    SparseAutoencoderOptions options = AtLayer1()) const {
    WriteFile(Path(name), bytes);
    return ErrorOf(SparseAutoencoder::Load(Path(name), options));
  }

  Folder folder_;
};

FileArrays Tiny(bool affine = false) {
  return RandomArrays(5, 18, affine ? 4 : 5, 1, affine);
}

FileArrays With(const std::string& name, FileArray array) {
  FileArrays arrays = Tiny();
  arrays[name] = std::move(array);
  return arrays;
}

FileArray Zeros(const std::vector<uint64_t>& shape) {
  uint64_t size = 1;
  for (const uint64_t extent : shape) size *= extent;
  return {shape, std::vector<float>(size)};
}

TEST_F(HostileAutoencoder, TheTinyOnesLoad) {
  for (const Packing packing : {Packing::kStored, Packing::kDeflated}) {
    EXPECT_EQ(Error(NpzOf(Tiny(), packing)), "OK");
    EXPECT_EQ(
        Error(NpzOf(Tiny(true), packing), "F.npz",
              {.site = FeatureSite{TapPoint::kFfwInput, TapPoint::kFfwOutput}}),
        "OK");
  }
  EXPECT_EQ(Error(SafetensorsOf(Tiny()), "F.safetensors"), "OK");
}

TEST_F(HostileAutoencoder, ArraysThatAreMissing) {
  for (const std::string name :
       {"W_enc", "W_dec", "b_enc", "b_dec", "threshold"}) {
    FileArrays arrays = Tiny();
    arrays.erase(name);
    std::string lower = name;
    lower[0] = static_cast<char>(lower[0] | 0x20);
    EXPECT_THAT(Error(NpzOf(arrays)),
                AllOf(StartsWith(Path("F.npz")),
                      HasSubstr(absl::StrCat("no array '", lower, "'"))));
    EXPECT_EQ(Error(SafetensorsOf(arrays), "F.safetensors"),
              absl::StrCat(Path("F.safetensors"), ": no tensor '", lower, "'"));
  }
}

TEST_F(HostileAutoencoder, WrongShapes) {
  struct Case {
    std::string name;
    std::vector<uint64_t> shape;
    std::string error;
  };
  for (const Case& c : std::vector<Case>{
           {"W_enc", {18, 5}, "'W_enc' is [18, 5], wanted [18, 18]"},
           {"W_enc", {5, 19}, "'W_enc' is [5, 19], wanted [5, 18]"},
           {"W_enc", {90}, "'W_enc' is [90], wanted two dimensions"},
           {"W_enc", {1, 5, 18}, "is [1, 5, 18], wanted two dimensions"},
           {"W_dec", {5, 18}, "'W_enc' is [5, 18], wanted [5, 5]"},
           {"W_dec", {90}, "'W_dec' is [90], wanted two dimensions"},
           {"b_enc", {17}, "'b_enc' is [17], wanted [18]"},
           {"b_enc", {1, 18}, "'b_enc' is [1, 18], wanted [18]"},
           {"b_enc", {18, 1}, "'b_enc' is [18, 1], wanted [18]"},
           {"threshold", {5}, "'threshold' is [5], wanted [18]"},
           {"threshold", {1}, "'threshold' is [1], wanted [18]"},
           {"b_dec", {18}, "'b_dec' is [18], wanted [5]"}}) {
    EXPECT_THAT(Error(NpzOf(With(c.name, Zeros(c.shape)))), HasSubstr(c.error));
  }
  EXPECT_THAT(Error(NpzOf(With("affine_skip_connection", Zeros({4, 5})))),
              HasSubstr("'affine_skip_connection' is [4, 5], wanted [5, 5]"));
  EXPECT_THAT(Error(NpzOf(Tiny(true))),
              HasSubstr("encodes 5 columns and decodes 4, which one site"));
}

TEST_F(HostileAutoencoder, EmptyAndHugeShapes) {
  EXPECT_THAT(Error(NpzOf(With("W_enc", Zeros({0, 18})))),
              HasSubstr("has 0 columns of input, wanted 1 to 65536"));
  EXPECT_THAT(Error(NpzOf(With("W_dec", Zeros({0, 5})))),
              HasSubstr("has 0 features, wanted 1 to 4194304"));
  EXPECT_THAT(Error(NpzOf(With("W_dec", Zeros({18, 0})))),
              HasSubstr("has 0 columns of output, wanted 1 to 65536"));
  EXPECT_THAT(Error(NpzOf(With("W_enc", Zeros({65537, 1})))),
              HasSubstr("has 65537 columns of input"));
  EXPECT_THAT(
      Error(NpzOf(With("W_dec", Zeros({4194305, 1})), Packing::kStored)),
      HasSubstr("has 4194305 features"));
}

TEST_F(HostileAutoencoder, ShapesWithoutData) {
  for (const std::string shape : {"(65536, 4194304)", "(5, 19)", "(5, 17)"}) {
    ZipWriter zip;
    for (const auto& [name, array] : Tiny()) {
      const std::string claim =
          name == "W_enc"
              ? shape
              : absl::StrCat("(", array.shape[0], ",",
                             array.shape.size() == 2 ? "5" : "", ")");
      zip.Add(name + ".npy",
              Npy(NpyDictionary("<f4", claim), BytesOf(array.values)),
              Packing::kDeflated);
    }
    EXPECT_THAT(Error(zip.Finish()), HasSubstr("bytes, found 360"));
  }
}

// Shapes agree, but the data would only fill memory.
TEST_F(HostileAutoencoder, Bombs) {
  FileArrays arrays = RandomArrays(256, 2048, 256, 1);
  EXPECT_EQ(Error(NpzOf(arrays)), "OK");
  arrays["W_dec"] = Zeros({2048, 256});
  EXPECT_THAT(Error(NpzOf(arrays)),
              HasSubstr("'W_dec' has 2097152 bytes, deflated to"));
  EXPECT_EQ(Error(NpzOf(arrays, Packing::kStored)), "OK");
}

TEST_F(HostileAutoencoder, OtherTypes) {
  for (const std::string descr : {"|O", "<i8", "<i4", ">f4", "|V2"}) {
    ZipWriter zip;
    for (const auto& [name, array] : Tiny()) {
      const std::string shape = name == "W_enc"            ? "(5, 18)"
                                : name == "W_dec"          ? "(18, 5)"
                                : array.values.size() == 5 ? "(5,)"
                                                           : "(18,)";
      const bool changed = name == "threshold";
      const size_t bytes = descr == "<i8" && changed ? 8 : 4;
      zip.Add(name + ".npy",
              Npy(NpyDictionary(changed ? descr : "<f4", shape),
                  std::string(array.values.size() * bytes, '\0')));
    }
    EXPECT_THAT(Error(zip.Finish()),
                AllOf(HasSubstr("array 'threshold'"), HasSubstr("wanted")));
  }
  SafetensorsWriter writer;
  for (const auto& [name, array] : Tiny()) {
    std::string lower = name;
    lower[0] = static_cast<char>(lower[0] | 0x20);
    const bool changed = name == "b_dec";
    writer.Tensor(lower, changed ? "I32" : "F32", array.shape,
                  Bytes(array.values.size() * 4));
  }
  EXPECT_THAT(Error(writer.Finish(), "F.safetensors"),
              HasSubstr("tensor 'b_dec' is of type I32, wanted F32, BF16 or "
                        "F16"));
}

TEST_F(HostileAutoencoder, BothSpellings) {
  FileArrays arrays = Tiny();
  arrays["w_dec"] = arrays["W_dec"];
  EXPECT_THAT(Error(NpzOf(arrays)),
              HasSubstr("has both 'w_dec' and 'W_dec', wanted one of them"));
}

TEST_F(HostileAutoencoder, NonFiniteValues) {
  struct Case {
    std::string name;
    size_t index;
    std::string error;
  };
  SparseAutoencoderOptions options;
  options.site = {TapPoint::kFfwInput, TapPoint::kFfwOutput};
  for (const Case& c : std::vector<Case>{
           {"W_enc", 2 * 18 + 17, "'W_enc': column 17 holds a value that is"},
           {"W_dec", 16 * 4 + 3, "'W_dec': row 16 holds a value that is not"},
           {"b_enc", 4, "'b_enc': value 4 is"},
           {"threshold", 0, "'threshold': value 0 is"},
           {"b_dec", 1, "'b_dec': value 1 is"},
           {"affine_skip_connection", 6, "connection': column 2 holds"}}) {
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      for (const FeatureWeights weights :
           {FeatureWeights::kFloat32, FeatureWeights::kBFloat16,
            FeatureWeights::kInt8}) {
        FileArrays arrays = Tiny(/*affine=*/true);
        arrays[c.name].values.at(c.index) = bad;
        options.weights = weights;
        EXPECT_THAT(Error(NpzOf(arrays), "F.npz", options), HasSubstr(c.error));
      }
    }
  }
}

TEST_F(HostileAutoencoder, EveryTruncation) {
  for (const bool is_npz : {true, false}) {
    const Bytes good = is_npz ? NpzOf(Tiny()) : SafetensorsOf(Tiny());
    const std::string path = Path(is_npz ? "F.npz" : "F.safetensors");
    ChangingFile file(path, good);
    for (size_t size = 0; size < good.size(); ++size) {
      file.Cut(size);
      EXPECT_FALSE(SparseAutoencoder::Load(path, AtLayer1()).ok())
          << "first " << size;
    }
  }
}

// A file with a flipped byte that no checksum covers may still load.
TEST_F(HostileAutoencoder, EveryFlippedByte) {
  for (const Packing packing : {Packing::kStored, Packing::kDeflated}) {
    const Bytes good = NpzOf(Tiny(), packing);
    ChangingFile file(Path("F.npz"), good);
    const std::vector<float> x = RandomVector(5, 1);
    for (size_t i = 0; i < good.size(); ++i) {
      file.Put(i, good[i] ^ 0xFF);
      const auto loaded = SparseAutoencoder::Load(Path("F.npz"), AtLayer1());
      if (loaded.ok()) {
        EXPECT_EQ(ErrorOf(loaded->Encode(x)), "OK") << i;
      } else {
        EXPECT_THAT(ErrorOf(loaded), HasSubstr("F.npz")) << i;
      }
      file.Put(i, good[i]);
    }
  }
}

TEST_F(HostileAutoencoder, WrongChecksums) {
  for (const std::string damaged :
       {"W_enc", "W_dec", "b_enc", "b_dec", "threshold"}) {
    ZipWriter zip;
    for (const auto& [name, array] : Tiny()) {
      const std::string shape =
          name == "W_enc" ? "(5, 18)"
                          : absl::StrCat("(", array.shape[0], ",",
                                         name == "W_dec" ? "5)" : ")");
      ZipWriter::Lies lies;
      if (name == damaged) lies.crc32_xor = 1;
      zip.Add(name + ".npy",
              Npy(NpyDictionary("<f4", shape), BytesOf(array.values)),
              Packing::kStored, lies);
    }
    EXPECT_EQ(Error(zip.Finish()),
              absl::StrCat(Path("F.npz"), ": array '", damaged,
                           "': the checksum (CRC-32) is wrong"));
  }
}

TEST_F(HostileAutoencoder, WhatIsNoAutoencoder) {
  EXPECT_THAT(Error({'t', 'e', 'x', 't'}, "F.txt"),
              HasSubstr("F.txt: is not an autoencoder, wanted .npz or"));
  EXPECT_THAT(Error({'t', 'e', 'x', 't'}, "F.npz"),
              HasSubstr("not a zip archive"));
  EXPECT_THAT(Error({'t', 'e', 'x', 't'}, "F.safetensors"),
              HasSubstr("has 4 bytes"));
  EXPECT_THAT(ErrorOf(SparseAutoencoder::Load(Path("missing.npz"))),
              HasSubstr("missing.npz"));
}

TEST_F(HostileAutoencoder, Folders) {
  const auto error = [&] {
    return ErrorOf(SparseAutoencoder::Load(folder_.path(), AtLayer1()));
  };
  EXPECT_EQ(error(),
            folder_.path() + ": has neither params.npz nor params.safetensors");
  WriteFile(Path("params.npz"), NpzOf(Tiny()));
  EXPECT_EQ(error(), "OK");
  WriteFile(Path("params.safetensors"), SafetensorsOf(Tiny()));
  EXPECT_EQ(error(), folder_.path() +
                         ": has both params.npz and params.safetensors, "
                         "wanted one of them");
  std::filesystem::remove(Path("params.npz"));
  EXPECT_EQ(error(), "OK");
}

TEST_F(HostileAutoencoder, ConfigsThatContradict) {
  const Bytes bytes = SafetensorsOf(Tiny());
  const auto error = [&](const std::string& config,
                         std::optional<FeatureSite> site = std::nullopt) {
    WriteFile(Path("config.json"), config);
    return Error(bytes, "params.safetensors", {.site = site});
  };
  const std::string hook = R"("hf_hook_point_in": "model.layers.3.output")";
  EXPECT_EQ(error("{" + hook + "}"), "OK");
  EXPECT_THAT(error("{" + hook + R"(, "width": 17})"),
              HasSubstr("config.json: 'width' is 17, wanted 18"));
  EXPECT_THAT(error("{" + hook + R"(, "affine_connection": true})"),
              HasSubstr("there is no 'affine_skip_connection'"));
  EXPECT_THAT(error("{}"), HasSubstr("no key 'hf_hook_point_in'"));
  EXPECT_EQ(error("{}", FeatureSite()), "OK");
  // A site from the caller does not change the kind of autoencoder.
  EXPECT_THAT(error(R"({"type": "clt"})", FeatureSite()),
              HasSubstr("'type' is the string 'clt'"));
  EXPECT_THAT(error("[]"), HasSubstr("wanted an object"));
  EXPECT_THAT(error("{"), HasSubstr("is not JSON"));
  // Neither a config nor the path says the site.
  std::filesystem::remove(Path("config.json"));
  EXPECT_THAT(Error(bytes, "params.safetensors", {}),
              HasSubstr("does not say what it is attached to"));
}

}  // namespace
}  // namespace gemma::internal

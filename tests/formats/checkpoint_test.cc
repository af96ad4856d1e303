#include "src/formats/checkpoint.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr uint32_t kF32 = 0;
constexpr std::string_view kIndex = "/model.safetensors.index.json";

// Part `number` (from 1) of `count`, with one tensor.
GgufWriter Part(uint16_t number, uint16_t count, int32_t tensors) {
  GgufWriter writer;
  writer.String("general.architecture", "gemma3")
      .Value("split.no", 2, static_cast<uint16_t>(number - 1))
      .Value("split.count", 2, count)
      .Value("split.tensors.count", 5, tensors)
      .Uint32("part", number)
      .Tensor(absl::StrCat("t", number), {2}, kF32, Pattern(8));
  return writer;
}

std::string PartName(int number, int count) {
  return absl::StrFormat("/model-%05d-of-%05d.gguf", number, count);
}

void WriteParts(const std::string& directory) {
  for (uint16_t number = 1; number <= 3; ++number) {
    WriteFile(directory + PartName(number, 3), Part(number, 3, 3).Finish());
  }
}

Bytes OneTensor(std::string_view name) {
  return SafetensorsWriter().Tensor(name, "F32", {2}, Pattern(8)).Finish();
}

// Writes two shards, "a" and "b".
void WriteShards(const std::string& directory) {
  WriteFile(directory + "/config.json", R"({"model_type": "gemma2"})");
  WriteFile(directory + kIndex.data(),
            R"({"weight_map": {"a": "s1.safetensors",
                "b": "s2.safetensors"}})");
  WriteFile(directory + "/s1.safetensors", OneTensor("a"));
  WriteFile(directory + "/s2.safetensors", OneTensor("b"));
}

TEST(Checkpoint, OpensAGgufFile) {
  const std::string directory = TestDirectory();
  const std::string path = directory + "/model.gguf";
  WriteFile(path, TinyGguf());
  for (const std::string& given : {path, directory}) {
    const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(given);
    ASSERT_EQ(ErrorOf(checkpoint), "OK");
    EXPECT_EQ(checkpoint->kind, CheckpointKind::kGguf);
    EXPECT_EQ(checkpoint->path, given);
    EXPECT_EQ(checkpoint->directory, directory);
    EXPECT_EQ(checkpoint->files.size(), 1u);
    EXPECT_EQ(checkpoint->tensors.size(), 3u);
    EXPECT_FALSE(checkpoint->has_chat_template);
    EXPECT_FALSE(checkpoint->config.has_value());
    ASSERT_TRUE(checkpoint->metadata.has_value());
    std::string architecture;
    EXPECT_EQ(ErrorOf(checkpoint->metadata->Read("general.architecture",
                                                 architecture)),
              "OK");
    EXPECT_EQ(architecture, "gemma3");
  }
}

// Metadata and tensors point into the mapping, which stays at its address.
TEST(Checkpoint, SurvivesMoves) {
  const std::string path = TestDirectory() + "/model.gguf";
  WriteFile(path, TinyGguf());
  absl::StatusOr<Checkpoint> opened = OpenCheckpoint(path);
  ASSERT_EQ(ErrorOf(opened), "OK");
  Checkpoint checkpoint = *std::move(opened);
  opened = absl::UnknownError("gone");
  std::vector<std::string_view> tokens;
  EXPECT_EQ(ErrorOf(checkpoint.metadata->Read("tokenizer.ggml.tokens", tokens)),
            "OK");
  EXPECT_EQ(tokens.at(0), "<pad>");
  const Tensor& tensor = checkpoint.tensors.at("output_norm.weight");
  EXPECT_EQ(Bytes(tensor.data, tensor.data + tensor.bytes), Pattern(12));
  checkpoint.Release(tensor);
  EXPECT_EQ(Bytes(tensor.data, tensor.data + tensor.bytes), Pattern(12));
}

TEST(Checkpoint, GgufChatTemplate) {
  const std::string path = TestDirectory() + "/model.gguf";
  WriteFile(path, GgufWriter().String("tokenizer.chat_template", "x").Finish());
  const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(path);
  ASSERT_EQ(ErrorOf(checkpoint), "OK");
  EXPECT_TRUE(checkpoint->has_chat_template);
}

TEST(Checkpoint, AnyPartOpensAll) {
  const std::string directory = TestDirectory();
  WriteParts(directory);
  for (const std::string& given :
       {directory + PartName(1, 3), directory + PartName(2, 3),
        directory + PartName(3, 3), directory}) {
    const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(given);
    ASSERT_EQ(ErrorOf(checkpoint), "OK") << given;
    EXPECT_EQ(checkpoint->path, given);
    EXPECT_EQ(checkpoint->files.size(), 3u);
    EXPECT_EQ(checkpoint->tensors.size(), 3u);
    EXPECT_EQ(checkpoint->tensors.at("t2").file, directory + PartName(2, 3));
    size_t part = 0;
    EXPECT_EQ(ErrorOf(checkpoint->metadata->Read("part", part)), "OK");
    EXPECT_EQ(part, 1u) << "the metadata is that of the first part";
  }
}

TEST(Checkpoint, OpensHuggingFaceDirectory) {
  const std::string directory = TestDirectory();
  WriteFile(directory + "/config.json", R"({"model_type": "gemma2"})");
  WriteFile(directory + "/model.safetensors", TinySafetensors());
  for (const std::string& given : {directory, directory + "/"}) {
    const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(given);
    ASSERT_EQ(ErrorOf(checkpoint), "OK");
    EXPECT_EQ(checkpoint->kind, CheckpointKind::kHuggingFace);
    EXPECT_EQ(checkpoint->directory, given);
    EXPECT_EQ(checkpoint->tensors.size(), 4u);
    EXPECT_EQ(checkpoint->files.size(), 1u);
    EXPECT_FALSE(checkpoint->metadata.has_value());
    EXPECT_FALSE(checkpoint->generation_config.has_value());
    EXPECT_FALSE(checkpoint->tokenizer_config.has_value());
    EXPECT_FALSE(checkpoint->has_chat_template);
    ASSERT_TRUE(checkpoint->config.has_value());
    std::string type;
    EXPECT_EQ(ErrorOf(checkpoint->config->Read("model_type", type)), "OK");
    EXPECT_EQ(type, "gemma2");
  }
}

TEST(Checkpoint, OpensShards) {
  const std::string directory = TestDirectory();
  WriteShards(directory);
  WriteFile(directory + "/generation_config.json", "{}");
  const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(directory);
  ASSERT_EQ(ErrorOf(checkpoint), "OK");
  EXPECT_EQ(checkpoint->files.size(), 2u);
  EXPECT_EQ(checkpoint->tensors.at("a").file, directory + "/s1.safetensors");
  EXPECT_EQ(checkpoint->tensors.at("b").file, directory + "/s2.safetensors");
  EXPECT_TRUE(checkpoint->generation_config.has_value());
}

// Files written by transformers and by the Python package gguf.
TEST(Checkpoint, OpensForeignFiles) {
  size_t num_opened = 0;
  for (const char* folder : {"/models", "/gguf"}) {
    for (const auto& entry : std::filesystem::directory_iterator(
             std::string(GEMMA_TESTDATA_DIR) + folder)) {
      const std::string path = entry.path().string();
      if (!entry.is_directory() && entry.path().extension() != ".gguf") {
        continue;
      }
      const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(path);
      ASSERT_EQ(ErrorOf(checkpoint), "OK");
      EXPECT_GT(checkpoint->tensors.size(), 10u) << path;
      ++num_opened;
    }
  }
  EXPECT_GT(num_opened, 10u);
}

// Hugging Face's cache holds links to files elsewhere.
TEST(Checkpoint, FollowsSymbolicLinks) {
  const std::string directory = TestDirectory();
  std::filesystem::create_directories(directory + "/blobs");
  std::filesystem::create_directories(directory + "/snapshot");
  WriteFile(directory + "/blobs/1", R"({"model_type": "gemma2"})");
  WriteFile(directory + "/blobs/2", OneTensor("a"));
  std::filesystem::create_symlink("../blobs/1",
                                  directory + "/snapshot/config.json");
  std::filesystem::create_symlink("../blobs/2",
                                  directory + "/snapshot/model.safetensors");
  EXPECT_EQ(ErrorOf(OpenCheckpoint(directory + "/snapshot")), "OK");
}

TEST(Checkpoint, IndexAllowsSkippedTensors) {
  const std::string directory = TestDirectory();
  WriteShards(directory);
  WriteFile(directory + "/s2.safetensors",
            SafetensorsWriter().Tensor("b", "I64", {1}, Pattern(8)).Finish());
  const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(directory);
  ASSERT_EQ(ErrorOf(checkpoint), "OK");
  EXPECT_EQ(checkpoint->tensors.size(), 1u);
}

TEST(Checkpoint, HuggingFaceChatTemplate) {
  const std::string directory = TestDirectory();
  WriteShards(directory);
  const auto chats = [&directory] {
    const absl::StatusOr<Checkpoint> checkpoint = OpenCheckpoint(directory);
    EXPECT_EQ(ErrorOf(checkpoint), "OK");
    return checkpoint->has_chat_template;
  };
  WriteFile(directory + "/tokenizer_config.json", "{}");
  EXPECT_FALSE(chats());
  WriteFile(directory + "/tokenizer_config.json", R"({"chat_template": null})");
  EXPECT_FALSE(chats());
  WriteFile(directory + "/tokenizer_config.json", R"({"chat_template": "x"})");
  EXPECT_TRUE(chats());
  WriteFile(directory + "/tokenizer_config.json", "{}");
  WriteFile(directory + "/chat_template.jinja", "x");
  EXPECT_TRUE(chats());
}

// ---------------------------------------------------------------------------
// Hostile files

TEST(CheckpointHostile, F1NotAModel) {
  const std::string directory = TestDirectory();
  const std::string file = directory + "/model.bin";
  WriteFile(file, "SBS\x01 more");
  EXPECT_EQ(ErrorOf(OpenCheckpoint(file)),
            file +
                ": not a GGUF or gemma.cpp file or a Hugging Face directory "
                "(found a file that begins with 'SBS\\x01', wanted a .gguf or "
                ".sbs file, or a directory with config.json and "
                "model.safetensors or model.safetensors.index.json)");
  WriteFile(file, "G");
  EXPECT_THAT(ErrorOf(OpenCheckpoint(file)), HasSubstr("begins with 'G'"));
  EXPECT_THAT(ErrorOf(OpenCheckpoint(directory)),
              HasSubstr("not a GGUF or gemma.cpp file or a Hugging Face "
                        "directory (found a directory with neither"));
  WriteFile(directory + "/config.json", "{}");
  EXPECT_THAT(ErrorOf(OpenCheckpoint(directory)),
              HasSubstr("found config.json without weights"));
  EXPECT_THAT(ErrorOf(OpenCheckpoint(directory + "/none")),
              HasSubstr("/none: No such file or directory"));
  EXPECT_NE(ErrorOf(OpenCheckpoint("")), "OK");
  EXPECT_NE(ErrorOf(OpenCheckpoint(std::string("\0", 1))), "OK");
  EXPECT_THAT(ErrorOf(OpenCheckpoint("/dev/zero")), HasSubstr("is a device"));
  const std::string pipe = directory + "/pipe.gguf";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(ErrorOf(OpenCheckpoint(pipe)), HasSubstr("is a pipe"));
}

TEST(CheckpointHostile, BareSafetensorsFile) {
  const std::string directory = TestDirectory();
  WriteShards(directory);
  EXPECT_EQ(ErrorOf(OpenCheckpoint(directory + "/s1.safetensors")),
            absl::StrCat(directory,
                         "/s1.safetensors: is a safetensors file, wanted the "
                         "directory with its config.json: give ",
                         directory));
}

TEST(CheckpointHostile, MissingConfig) {
  const std::string directory = TestDirectory();
  WriteFile(directory + "/model.safetensors", TinySafetensors());
  EXPECT_THAT(ErrorOf(OpenCheckpoint(directory)),
              HasSubstr("/config.json: No such file"));
  WriteFile(directory + "/config.json", "[]");
  EXPECT_THAT(ErrorOf(OpenCheckpoint(directory)),
              HasSubstr("config.json is an array, wanted an object"));
  WriteFile(directory + "/config.json", "");
  EXPECT_THAT(ErrorOf(OpenCheckpoint(directory)),
              HasSubstr("config.json: is empty"));
  WriteFile(directory + "/config.json", "{");
  EXPECT_THAT(ErrorOf(OpenCheckpoint(directory)),
              HasSubstr("config.json: is not JSON"));
  WriteFile(directory + "/config.json", "{}");
  WriteFile(directory + "/tokenizer_config.json", "{");
  EXPECT_THAT(ErrorOf(OpenCheckpoint(directory)),
              HasSubstr("tokenizer_config.json: is not JSON"));
}

TEST(CheckpointHostile, F9MissingShard) {
  const std::string directory = TestDirectory();
  WriteShards(directory);
  std::filesystem::remove(directory + "/s2.safetensors");
  EXPECT_EQ(ErrorOf(OpenCheckpoint(directory)),
            absl::StrCat(directory,
                         "/s2.safetensors: No such file or directory (wanted "
                         "by ",
                         directory, kIndex, ")"));
}

TEST(CheckpointHostile, F9ShardNames) {
  const std::string directory = TestDirectory();
  WriteShards(directory);
  for (const char* name :
       {"../x", "/etc/passwd", "", ".", "..", "a/b", "./s1.safetensors",
        "..\\\\x", "x\\n", "s1.safetensors\\u0000", "sub/../s1.safetensors"}) {
    WriteFile(directory + kIndex.data(),
              absl::StrCat(R"({"weight_map": {"a": ")", name, R"("}})"));
    EXPECT_THAT(ErrorOf(OpenCheckpoint(directory)),
                AllOf(HasSubstr("'weight_map.a' is the string"),
                      HasSubstr("wanted the name of a file in the same")))
        << name;
  }
}

TEST(CheckpointHostile, F9Index) {
  const std::string directory = TestDirectory();
  WriteShards(directory);
  const auto error = [&directory](std::string_view index) {
    WriteFile(directory + kIndex.data(), index);
    return ErrorOf(OpenCheckpoint(directory));
  };
  EXPECT_THAT(error("{}"), HasSubstr("'weight_map' is missing or empty"));
  EXPECT_THAT(error(R"({"weight_map": {}})"), HasSubstr("missing or empty"));
  EXPECT_THAT(error(R"({"weight_map": []})"),
              HasSubstr("'weight_map' is an array, wanted an object"));
  EXPECT_THAT(error(R"({"weight_map": {"a": 1}})"),
              HasSubstr("'weight_map.a' is 1, wanted a string"));
  EXPECT_THAT(error(R"({"weight_map": {"a": "s1.safetensors",
                                       "a": "s2.safetensors"}})"),
              HasSubstr("two keys 'a'"));
  EXPECT_THAT(error(R"({"weight_map": {"a": "s1.safetensors",
                                       "c": "s1.safetensors"}})"),
              HasSubstr("s1.safetensors: no tensor 'c', which "));
  // The index names the wrong shard.
  EXPECT_THAT(error(R"({"weight_map": {"a": "s1.safetensors",
                                       "b": "s1.safetensors"}})"),
              HasSubstr("s1.safetensors: no tensor 'b'"));
  WriteFile(directory + "/s2.safetensors", OneTensor("a"));
  EXPECT_THAT(error(R"({"weight_map": {"a": "s1.safetensors",
                                       "b": "s2.safetensors"}})"),
              HasSubstr("s2.safetensors: tensor 'a' is also in "));
}

TEST(CheckpointHostile, SplitGgufThatDisagrees) {
  const std::string directory = TestDirectory();
  WriteParts(directory);
  const std::string first = directory + PartName(1, 3);
  const std::string second = directory + PartName(2, 3);

  std::filesystem::remove(second);
  EXPECT_EQ(ErrorOf(OpenCheckpoint(first)),
            second + ": No such file or directory (part 2 of 3 of the model)");
  WriteFile(second, Part(3, 3, 3).Finish());
  EXPECT_EQ(ErrorOf(OpenCheckpoint(first)),
            second + ": split.no is 2 and split.count 3, wanted 1 and 3");
  WriteFile(second, Part(2, 4, 3).Finish());
  EXPECT_THAT(ErrorOf(OpenCheckpoint(first)), HasSubstr("split.count 4"));
  WriteFile(second, Part(2, 3, 4).Finish());
  EXPECT_THAT(ErrorOf(OpenCheckpoint(first)),
              HasSubstr("split.tensors.count is 4, but 3 in another part"));
  WriteFile(second, TinyGguf());
  EXPECT_THAT(ErrorOf(OpenCheckpoint(first)), HasSubstr("no key 'split.no'"));
  WriteFile(second, "GGU");
  EXPECT_THAT(ErrorOf(OpenCheckpoint(first)),
              HasSubstr("begins with 'GGU', wanted 'GGUF'"));
  WriteFile(second, Part(2, 3, 3).Tensor("t1", {2}, kF32, Pattern(8)).Finish());
  EXPECT_THAT(ErrorOf(OpenCheckpoint(first)),
              HasSubstr("tensor 't1' is also in " + first));
  WriteFile(second, Part(2, 3, 3).Tensor("t9", {2}, kF32, Pattern(8)).Finish());
  EXPECT_THAT(ErrorOf(OpenCheckpoint(first)),
              HasSubstr("is 3, but the 3 parts have 4 tensors"));
}

TEST(CheckpointHostile, SplitGgufMisnamed) {
  const std::string directory = TestDirectory();
  for (const char* name :
       {"/x.gguf", "/x-00001-of-00004.gguf", "/x-0001-of-0003.gguf",
        "/x-00001-of-00003", "/x-00000-of-00003.gguf",
        "/x-00004-of-00003.gguf"}) {
    WriteFile(directory + name, Part(1, 3, 3).Finish());
    EXPECT_EQ(ErrorOf(OpenCheckpoint(directory + name)),
              absl::StrCat(directory, name,
                           ": is one of 3 parts (split.count), wanted a name "
                           "that ends in -00001-of-00003.gguf or the like"));
  }
  const std::string other = directory + "/x-00002-of-00003.gguf";
  WriteFile(other, Part(1, 3, 3).Finish());
  EXPECT_THAT(ErrorOf(OpenCheckpoint(other)), HasSubstr("split.no is 0"));
}

TEST(CheckpointHostile, SeveralModelsInDirectory) {
  const std::string directory = TestDirectory();
  WriteParts(directory);
  WriteFile(directory + "/other.gguf", TinyGguf());
  EXPECT_THAT(ErrorOf(OpenCheckpoint(directory)),
              AllOf(StartsWith(directory + ": has 4 model files ("),
                    HasSubstr("give the path of the file")));
  std::filesystem::remove(directory + "/other.gguf");
  WriteFile(directory + "/other-00001-of-00003.gguf", TinyGguf());
  EXPECT_THAT(ErrorOf(OpenCheckpoint(directory)),
              HasSubstr("has 4 model files"));
}

TEST(CheckpointHostile, F12EveryTruncation) {
  const std::string directory = TestDirectory();
  const std::string gguf = directory + "/model.gguf";
  const Bytes good = TinyGguf();
  for (size_t size = 0; size < good.size(); size += 7) {
    WriteFile(gguf, Bytes(good.begin(), good.begin() + size));
    EXPECT_THAT(ErrorOf(OpenCheckpoint(gguf)), StartsWith(gguf + ": "));
  }
}

}  // namespace
}  // namespace gemma::internal

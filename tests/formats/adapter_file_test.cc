#include "src/formats/adapter_file.h"

#include <filesystem>
#include <string>

#include "gemma/error_reason.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/formats/checkpoint.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

constexpr char kConfig[] =
    R"({"peft_type": "LORA", "base_model_name_or_path": "google/gemma-2-2b"})";

Bytes Adapter() {
  return SafetensorsWriter().Tensor("x", "F32", {1}, Pattern(4)).Finish();
}

class AdapterFileTest : public ::testing::Test {
 protected:
  std::string OpenError(const std::string& path) {
    return ErrorOf(OpenAdapter(path));
  }

  // The error of opening the path as a model.
  std::string ModelError(const std::string& path) {
    const absl::Status status = OpenCheckpoint(path).status();
    EXPECT_EQ(ReasonOf(status), ErrorReason::kAdapter) << status;
    return ErrorOf(status);
  }

  const std::string folder_ = TestDirectory();
};

TEST_F(AdapterFileTest, OpensBothForms) {
  WriteFile(folder_ + "/adapter_config.json", kConfig);
  WriteFile(folder_ + "/adapter_model.safetensors", Adapter());
  const absl::StatusOr<AdapterFile> peft = OpenAdapter(folder_);
  ASSERT_EQ(ErrorOf(peft), "OK");
  EXPECT_EQ(peft->path, folder_ + "/adapter_model.safetensors");
  EXPECT_TRUE(peft->tensors.contains("x"));
  EXPECT_TRUE(peft->config.has_value());

  GgufWriter gguf;
  gguf.String("general.type", "adapter").Tensor("y", {1}, 0, Pattern(4));
  const std::string path = folder_ + "/a.gguf";
  WriteFile(path, gguf.Finish());
  const absl::StatusOr<AdapterFile> file = OpenAdapter(path);
  ASSERT_EQ(ErrorOf(file), "OK");
  EXPECT_EQ(file->path, path);
  EXPECT_TRUE(file->tensors.contains("y"));
  EXPECT_TRUE(file->metadata.has_value());
}

TEST_F(AdapterFileTest, NamesWhatIsFound) {
  EXPECT_EQ(OpenError(folder_ + "/nothing"),
            folder_ + "/nothing: No such file or directory");
  EXPECT_EQ(OpenError(folder_),
            folder_ +
                ": not a LoRA adapter (found a directory without "
                "adapter_config.json, wanted a directory with "
                "adapter_config.json and adapter_model.safetensors, or a GGUF "
                "file whose general.type is 'adapter')");
  const std::string weights = folder_ + "/model.safetensors";
  WriteFile(weights, Adapter());
  EXPECT_THAT(
      OpenError(weights),
      HasSubstr("found a safetensors file: give its directory, " + folder_));
  WriteFile(folder_ + "/text", "Once upon");
  EXPECT_THAT(OpenError(folder_ + "/text"),
              HasSubstr("found a file that begins with 'Once'"));
  WriteFile(folder_ + "/m.gguf", TinyGguf());
  EXPECT_THAT(OpenError(folder_ + "/m.gguf"),
              HasSubstr("found a GGUF file of type 'model'"));
}

TEST_F(AdapterFileTest, NeedsReadableWeights) {
  WriteFile(folder_ + "/adapter_config.json", "[]");
  EXPECT_THAT(OpenError(folder_), HasSubstr("adapter_config.json"));
  WriteFile(folder_ + "/adapter_config.json", kConfig);
  EXPECT_EQ(OpenError(folder_),
            folder_ + "/adapter_model.safetensors: No such file or directory");
  WriteFile(folder_ + "/adapter_model.bin", "x");
  EXPECT_EQ(OpenError(folder_),
            folder_ +
                "/adapter_model.bin: is a file of PyTorch, whose reading may "
                "run code, wanted adapter_model.safetensors");
  WriteFile(folder_ + "/adapter_model.safetensors",
            "version https://git-lfs.github.com/spec/v1\noid sha256:00\n");
  EXPECT_EQ(OpenError(folder_),
            folder_ +
                "/adapter_model.safetensors: is a Git LFS pointer, not the "
                "file itself");
  WriteFile(folder_ + "/adapter_model.safetensors",
            SafetensorsWriter().Tensor("z", "I64", {1}, Pattern(8)).Finish());
  EXPECT_EQ(OpenError(folder_),
            folder_ +
                "/adapter_model.safetensors: tensor 'z' is of a type that "
                "cannot be merged, wanted F32, F16 or BF16");
}

TEST_F(AdapterFileTest, AdapterIsNoModel) {
  const std::string peft = folder_ + "/peft";
  std::filesystem::create_directory(peft);
  WriteFile(peft + "/adapter_config.json", kConfig);
  WriteFile(peft + "/adapter_model.safetensors", Adapter());
  EXPECT_EQ(ModelError(peft), peft +
                                  ": holds only a LoRA adapter for "
                                  "'google/gemma-2-2b', wanted a model");
  WriteFile(peft + "/adapter_config.json", "{}");
  EXPECT_EQ(ModelError(peft),
            peft + ": holds only a LoRA adapter, wanted a model");
  const std::string file = folder_ + "/a.gguf";
  WriteFile(file, GgufWriter()
                      .String("general.type", "adapter")
                      .String("general.base_model.0.name", "Gemma 2 2b")
                      .Finish());
  EXPECT_EQ(
      ModelError(file),
      file + ": holds only a LoRA adapter for 'Gemma 2 2b', wanted a model");
}

}  // namespace
}  // namespace gemma::internal

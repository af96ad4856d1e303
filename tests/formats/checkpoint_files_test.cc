// The files that belong to a model, which outputs must not overwrite.

#include "src/formats/checkpoint_files.h"

#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gemma/model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;

class ModelFiles : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const {
    return (root_ / name).string();
  }
  void Write(const std::string& name, const std::string& text = "x") const {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  bool IsOneOf(const std::string& output, const std::string& model) const {
    const absl::Status status = CheckIsNoModelFile(Path(output), Path(model));
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status));
    return !status.ok();
  }

 private:
  const fs::path root_ = TestDirectory();
};

TEST_F(ModelFiles, HuggingFaceDirectory) {
  for (const char* name :
       {"m/config.json", "m/model.safetensors", "m/tokenizer.model",
        "m/README.md", "m/1_Pooling/config.json", "m/q4.gguf"}) {
    Write(name);
  }
  EXPECT_TRUE(IsOneOf("m/config.json", "m"));
  EXPECT_TRUE(IsOneOf("m/model.safetensors", "m"));
  EXPECT_TRUE(IsOneOf("m/tokenizer.model", "m"));
  EXPECT_TRUE(IsOneOf("m/README.md", "m"));
  EXPECT_TRUE(IsOneOf("m/1_Pooling/config.json", "m"));
  EXPECT_TRUE(IsOneOf("m/1_Pooling/../config.json", "m/"));
  EXPECT_FALSE(IsOneOf("m/q4.gguf", "m"));  // another model
  EXPECT_FALSE(IsOneOf("m/new.json", "m"));
}

// Where no more files can be opened, nobody knows whose file the output is.
TEST_F(ModelFiles, RefusesUnlistedDirectories) {
  Write("m/model.safetensors");
  Write("g/model.gguf");
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none = {0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status hf = CheckIsNoModelFile(Path("new"), Path("m"));
  const absl::Status gguf = CheckIsNoModelFile(Path("new"), Path("g"));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THAT(ErrorOf(hf), HasSubstr(Path("m")));
  EXPECT_THAT(ErrorOf(gguf), HasSubstr(Path("g")));
}

TEST_F(ModelFiles, ByWayOfLinks) {
  Write("m/model.safetensors");
  Write("blobs/tokenizer");
  fs::create_symlink(Path("blobs/tokenizer"), Path("m/tokenizer.model"));
  fs::create_hard_link(Path("m/model.safetensors"), Path("hard"));
  fs::create_symlink(Path("m/model.safetensors"), Path("soft"));
  fs::create_directory_symlink(Path("m"), Path("linked"));
  EXPECT_TRUE(IsOneOf("blobs/tokenizer", "m"));
  EXPECT_TRUE(IsOneOf("hard", "m"));
  EXPECT_TRUE(IsOneOf("soft", "m"));
  EXPECT_TRUE(IsOneOf("m/model.safetensors", "linked"));
  EXPECT_THAT(ErrorOf(CheckIsNoModelFile(Path("hard"), Path("m"))),
              HasSubstr("m/model.safetensors, wanted another file"));
}

TEST_F(ModelFiles, PartsOfOneFile) {
  Write("m-00001-of-00002.gguf");
  Write("m-00002-of-00002.gguf");
  Write("m-00002-of-00003.gguf");
  Write("tokenizer.model");
  EXPECT_TRUE(IsOneOf("m-00001-of-00002.gguf", "m-00002-of-00002.gguf"));
  EXPECT_TRUE(IsOneOf("m-00002-of-00002.gguf", "m-00001-of-00002.gguf"));
  EXPECT_FALSE(IsOneOf("m-00002-of-00003.gguf", "m-00001-of-00002.gguf"));
  EXPECT_FALSE(IsOneOf("tokenizer.model", "m-00001-of-00002.gguf"));
}

TEST_F(ModelFiles, TokenizerBesideSbs) {
  Write("m.sbs", "SBS\n0000000000000000");
  Write("tokenizer.spm");
  Write("other.spm");
  EXPECT_TRUE(IsOneOf("m.sbs", "m.sbs"));
  EXPECT_TRUE(IsOneOf("tokenizer.spm", "m.sbs"));
  EXPECT_FALSE(IsOneOf("other.spm", "m.sbs"));
}

TEST_F(ModelFiles, DirectoryWithOneFile) {
  Write("m/a.gguf");
  Write("m/notes");
  EXPECT_TRUE(IsOneOf("m/a.gguf", "m"));
  EXPECT_FALSE(IsOneOf("m/notes", "m"));
  EXPECT_FALSE(IsOneOf("m/a.gguf", "no such"));
}

}  // namespace
}  // namespace gemma::internal

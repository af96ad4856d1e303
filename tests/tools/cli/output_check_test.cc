// Outputs that would overwrite an input.

#include "tools/gemma/cli/output_check.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tests/support/tiny_files.h"

namespace gemma::tools {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::HasSubstr;

class OutputCheck : public ::testing::Test {
 protected:
  OutputCheck() {
    fs::create_directories(root_ / "model");
    for (const char* name : {"text", "model/model.safetensors",
                             "model/tokenizer.model", "other"}) {
      std::ofstream(root_ / name) << "x";
    }
  }

  std::string Path(const std::string& name) const {
    return (root_ / name).string();
  }

 private:
  const fs::path root_ = TestDirectory();
};

TEST_F(OutputCheck, IsAnInput) {
  fs::create_symlink(Path("text"), Path("link"));
  for (const char* output : {"text", "link"}) {
    const absl::Status status = CheckOutput(Path(output), {}, {Path("text")});
    EXPECT_TRUE(absl::IsInvalidArgument(status));
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(Path(output) + ": "), HasSubstr(Path("text")),
                      HasSubstr("wanted another file")));
  }
}

TEST_F(OutputCheck, IsAModelsFile) {
  const auto check = [&](const std::string& output) {
    return CheckOutput(Path(output), {"", Path("no such"), Path("model")});
  };
  EXPECT_TRUE(absl::IsInvalidArgument(check("model/tokenizer.model")));
  EXPECT_TRUE(absl::IsInvalidArgument(check("model/model.safetensors")));
  EXPECT_TRUE(check("other").ok());
  EXPECT_TRUE(check("model/new").ok());
}

TEST_F(OutputCheck, NothingIsThere) {
  EXPECT_TRUE(CheckOutput("", {Path("model")}, {Path("text"), "", "-"}).ok());
  EXPECT_TRUE(CheckOutput("-", {Path("model")}, {Path("text"), "-"}).ok());
  EXPECT_TRUE(CheckOutput(Path("new"), {Path("model")}, {Path("new")}).ok());
}

}  // namespace
}  // namespace gemma::tools

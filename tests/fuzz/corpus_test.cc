// Replays the inputs of tests/fuzz/corpus. The sanitizers and the targets'
// requirements are the assertion.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/targets.h"

namespace gemma::internal {
namespace {

class FuzzCorpus : public ::testing::TestWithParam<FuzzTarget> {};

INSTANTIATE_TEST_SUITE_P(Targets, FuzzCorpus, ::testing::ValuesIn(kFuzzTargets),
                         [](const auto& test) { return test.param.name; });

std::vector<std::string> InputsOf(const FuzzTarget& target) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(
           absl::StrCat(GEMMA_CORPUS_DIR "/", target.name))) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

TEST_P(FuzzCorpus, InputsAreSafe) {
  size_t num_accepted = 0;
  size_t num_refused = 0;
  for (const std::string& path : InputsOf(GetParam())) {
    SCOPED_TRACE(path);
    std::ifstream file(path, std::ios::binary);
    // An exact size, so that ASan sees reads past the end.
    const std::vector<uint8_t> input((std::istreambuf_iterator<char>(file)),
                                     std::istreambuf_iterator<char>());
    ++(GetParam().run(input) ? num_accepted : num_refused);
  }
  // A corpus that is only refused or only accepted tests little.
  EXPECT_GT(num_accepted, 0u);
  EXPECT_GT(num_refused, 0u);
}

TEST(FuzzInput, SplitsIntoFiles) {
  const std::vector<std::string> names = {"a", "b"};
  EXPECT_EQ(SplitInput("x=== b\n", names), InputFiles({{"a", "x=== b\n"}}));
  EXPECT_EQ(SplitInput("=== b\n1\n=== a\n\n2\n=== c\n3\n=== b\n4", names),
            InputFiles({{"b", "1"}, {"a", "\n2"}}));
  EXPECT_EQ(SplitInput("=== b\n=== a", names),
            InputFiles({{"b", ""}, {"a", ""}}));
  EXPECT_EQ(SplitInput("=== ../b\nx", names), InputFiles());
}

}  // namespace
}  // namespace gemma::internal

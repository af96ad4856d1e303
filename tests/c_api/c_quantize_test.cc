// Tests that files are written and checked in C as in C++.

#include "gemma/c_quantize.h"

#include <fstream>
#include <iterator>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_toys.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

std::string BytesOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Writes the source in both languages and expects the same bytes.
void ExpectSameFile(const std::string& source,
                    const gemma_quantize_options& options,
                    const QuantizeOptions& same) {
  const std::string expected = TestDirectory() + "/expected.gguf";
  const std::string made = TestDirectory() + "/made.gguf";
  ASSERT_TRUE(Quantize(source, expected, same).ok());
  ASSERT_EQ(gemma_quantize(source.c_str(), made.c_str(), &options), GEMMA_OK)
      << gemma_last_error();
  EXPECT_EQ(BytesOf(made), BytesOf(expected));
  EXPECT_FALSE(BytesOf(made).empty());
}

TEST(CQuantize, FilesEqualLibrary) {
  const std::string source = TestFile("models/gemma4_moe");
  gemma_quantize_options options = Initialized(gemma_quantize_options_init);
  options.overwrite = true;
  QuantizeOptions same;
  same.overwrite = true;
  ExpectSameFile(source, options, same);
  options.type = GEMMA_WEIGHTS_Q8;
  same.type = WeightType::kQ8;
  ExpectSameFile(source, options, same);
  const gemma_weight_type experts = GEMMA_WEIGHTS_Q4;
  options.expert_type = &experts;
  same.expert_type = WeightType::kQ4;
  ExpectSameFile(source, options, same);
  options.layout = GEMMA_LAYOUT_GGUF;
  same.layout = FileLayout::kGguf;
  ExpectSameFile(source, options, same);
  options.bits = same.bits = 6;
  ExpectSameFile(source, options, same);
  const gemma_weight_type tables = GEMMA_WEIGHTS_Q6;
  options.table_type = &tables;
  same.table_type = WeightType::kQ6;
  options.bits = same.bits = 0;
  ExpectSameFile(TestFile("models/gemma4_e2b"), options, same);
}

TEST(CQuantize, AdaptersAreMerged) {
  const std::string adapter = TestFile("lora/plain");
  const char* const paths[] = {adapter.c_str()};
  const float scales[] = {-2.0f};
  gemma_quantize_options options = Initialized(gemma_quantize_options_init);
  options.adapters = paths;
  options.adapter_scales = scales;
  options.num_adapters = 1;
  options.overwrite = true;
  QuantizeOptions same;
  same.adapters = {{adapter, -2.0f}};
  same.overwrite = true;
  ExpectSameFile(TestFile("models/gemma2"), options, same);
}

bool CancelWriting(uint64_t done, uint64_t total, void* user) {
  EXPECT_LE(done, total);
  ++*static_cast<int*>(user);
  return false;
}

TEST(CQuantize, ErrorsLeaveTheTarget) {
  const std::string source = TestFile("models/gemma2");
  const std::string target = TestDirectory() + "/t.gguf";
  WriteFile(target, "before");
  EXPECT_EQ(gemma_quantize(source.c_str(), target.c_str(), nullptr),
            GEMMA_ALREADY_EXISTS);
  gemma_quantize_options options = Initialized(gemma_quantize_options_init);
  options.overwrite = true;
  int calls = 0;
  options.progress = CancelWriting;
  options.user = &calls;
  EXPECT_EQ(gemma_quantize(source.c_str(), target.c_str(), &options),
            GEMMA_CANCELLED);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(BytesOf(target), "before");
  options.progress = nullptr;
  options.type = static_cast<gemma_weight_type>(8);
  ExpectRefused(gemma_quantize(source.c_str(), target.c_str(), &options),
                "type is 8, wanted 0 to 7");
  options.type = GEMMA_WEIGHTS_KEEP;
  options.expert_type = &options.type;
  options.table_type = reinterpret_cast<const gemma_weight_type*>(&calls);
  calls = 9;
  ExpectRefused(gemma_quantize(source.c_str(), target.c_str(), &options),
                "table_type is 9, wanted 0 to 7");
  options.table_type = nullptr;
  options.layout = static_cast<gemma_file_layout>(2);
  ExpectRefused(gemma_quantize(source.c_str(), target.c_str(), &options),
                "layout is 2, wanted 0 to 1");
}

TEST(CQuantize, FilesAreVerified) {
  const std::string path = TestDirectory() + "/v.gguf";
  ASSERT_EQ(
      gemma_quantize(TestFile("models/gemma2").c_str(), path.c_str(), nullptr),
      GEMMA_OK)
      << gemma_last_error();
  gemma_file_check check = Initialized(gemma_file_check_init);
  ASSERT_EQ(gemma_verify_file(path.c_str(), nullptr, &check), GEMMA_OK);
  const auto expected = VerifyFile(path);
  ASSERT_TRUE(expected.ok());
  EXPECT_TRUE(check.has_checksums);
  EXPECT_EQ(check.tensors, expected->tensors);
  EXPECT_EQ(check.bytes, expected->bytes);
  gemma_verify_options options = Initialized(gemma_verify_options_init);
  int calls = 0;
  options.progress = CancelWriting;
  options.user = &calls;
  EXPECT_EQ(gemma_verify_file(path.c_str(), &options, nullptr),
            GEMMA_CANCELLED);
  EXPECT_EQ(calls, 1);
  std::string bytes = BytesOf(path);
  bytes.back() ^= 1;
  WriteFile(path, bytes);
  EXPECT_EQ(gemma_verify_file(path.c_str(), nullptr, nullptr), GEMMA_DATA_LOSS);
  EXPECT_EQ(gemma_last_reason(), GEMMA_REASON_DAMAGED_FILE);
}

TEST(CQuantize, NullPointersAreRefused) {
  ExpectRefused(gemma_quantize(nullptr, "x", nullptr), "source is null");
  ExpectRefused(gemma_quantize("x", nullptr, nullptr), "target is null");
  ExpectRefused(gemma_verify_file(nullptr, nullptr, nullptr), "path is null");
  gemma_quantize_options options = Initialized(gemma_quantize_options_init);
  options.num_adapters = 1;
  ExpectRefused(gemma_quantize("x", "y", &options), "adapters is null");
  gemma_file_check check = {};
  EXPECT_EQ(gemma_verify_file("x", nullptr, &check), GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("gemma_file_check_init"));
}

}  // namespace
}  // namespace gemma::internal

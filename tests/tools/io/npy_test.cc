#include "tools/gemma/io/npy.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "src/formats/npy_header.h"
#include "tests/support/tiny_files.h"

namespace gemma::tools {
namespace {

using ::testing::ElementsAre;

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(NpyWriter, WritesReadableRows) {
  const std::string path = TestDirectory() + "/rows.npy";
  absl::StatusOr<NpyWriter> writer = NpyWriter::Create(path, 3, 2);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(writer->Append({1.0f, 2.0f}).ok());
  EXPECT_FALSE(std::filesystem::exists(path));  // not before it is complete
  ASSERT_TRUE(writer->Append({3.0f, 4.0f, 5.0f, 6.0f}).ok());
  ASSERT_TRUE(writer->Finish().ok());

  const std::string file = Contents(path);
  const absl::StatusOr<size_t> header_bytes = NpyHeaderBytes(
      {reinterpret_cast<const uint8_t*>(file.data()), kNpyPrefixBytes});
  ASSERT_TRUE(header_bytes.ok()) << header_bytes.status();
  EXPECT_EQ((kNpyPrefixBytes + *header_bytes) % 64, 0u);
  const absl::StatusOr<NpyHeader> header = ParseNpyHeader(
      std::string_view(file).substr(kNpyPrefixBytes, *header_bytes));
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_THAT(header->shape, ElementsAre(3, 2));
  EXPECT_EQ(file.size(), kNpyPrefixBytes + *header_bytes + 6 * sizeof(float));
  EXPECT_EQ(file.substr(file.size() - 4), std::string("\x00\x00\xC0\x40", 4));
}

TEST(NpyWriter, LeavesNothingUnlessFinished) {
  const std::string folder = TestDirectory();
  {
    absl::StatusOr<NpyWriter> writer =
        NpyWriter::Create(folder + "/rows.npy", 2, 2);
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE(writer->Append({1.0f, 2.0f}).ok());
    EXPECT_FALSE(writer->Finish().ok());
    EXPECT_FALSE(writer->Append({1.0f, 2.0f, 3.0f}).ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST(NpyWriter, NamesUnwritableFile) {
  const absl::StatusOr<NpyWriter> writer =
      NpyWriter::Create("/no/such/folder/rows.npy", 2, 2);
  ASSERT_FALSE(writer.ok());
  EXPECT_THAT(std::string(writer.status().message()),
              ::testing::HasSubstr("/no/such/folder/rows.npy"));
}

}  // namespace
}  // namespace gemma::tools

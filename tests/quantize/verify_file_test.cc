#include "gemma/verify_file.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gemma/quantize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/formats/gguf.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Bytes FileBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

class VerifyFileTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name = "m.gguf") const {
    return directory_ + "/" + name;
  }

  // A small model in a file that we wrote.
  Bytes Written() const {
    WriteTinyDirectory(Path("hf"), TinyConfig("recurrent_gemma"),
                       TinyHfTensors("recurrent_gemma"));
    QuantizeOptions options;
    options.layout = FileLayout::kGguf;
    options.overwrite = true;
    EXPECT_EQ(ErrorOf(Quantize(Path("hf"), Path(), options)), "OK");
    return FileBytes(Path());
  }

  absl::StatusOr<FileCheck> Check(const Bytes& bytes) const {
    WriteFile(Path("changed"), bytes);
    return VerifyFile(Path("changed"));
  }

  const std::string directory_ = TestDirectory();
};

TEST_F(VerifyFileTest, AcceptsWhatWasWritten) {
  const Bytes bytes = Written();
  const absl::StatusOr<GgufFile> gguf = ParseGguf(bytes, Path());
  ASSERT_EQ(ErrorOf(gguf), "OK");
  uint64_t done = 0, total = 0;
  VerifyOptions options;
  options.progress = [&](uint64_t done_bytes, uint64_t total_bytes) {
    done = done_bytes;
    total = total_bytes;
    return true;
  };
  const absl::StatusOr<FileCheck> check = VerifyFile(Path(), options);
  ASSERT_EQ(ErrorOf(check), "OK");
  EXPECT_TRUE(check->has_checksums);
  EXPECT_EQ(check->tensors, gguf->tensors.size());
  EXPECT_EQ(check->bytes, total);
  EXPECT_EQ(done, total);
  options.progress = [](uint64_t, uint64_t) { return false; };
  EXPECT_TRUE(absl::IsCancelled(VerifyFile(Path(), options).status()));
  options.num_threads = 1025;
  EXPECT_EQ(ErrorOf(VerifyFile(Path(), options)),
            "num_threads is 1025, wanted 0 (all) to 1024");
}

TEST_F(VerifyFileTest, FindsChangedTensor) {
  const Bytes good = Written();
  const absl::StatusOr<GgufFile> gguf = ParseGguf(good, Path());
  ASSERT_EQ(ErrorOf(gguf), "OK");
  for (const auto& [name, tensor] : gguf->tensors) {
    const size_t begin = static_cast<size_t>(tensor.data - good.data());
    for (const size_t at : {begin, begin + tensor.bytes - 1}) {
      Bytes bad = good;
      bad[at] ^= 0x01;
      const absl::Status status = Check(bad).status();
      EXPECT_TRUE(absl::IsDataLoss(status)) << status;
      EXPECT_THAT(ErrorOf(status),
                  AllOf(StartsWith(Path("changed")),
                        HasSubstr("tensor '" + name + "' has the checksum")));
    }
  }
}

TEST_F(VerifyFileTest, FindsChangedHeader) {
  const Bytes good = Written();
  const absl::StatusOr<GgufFile> gguf = ParseGguf(good, Path());
  ASSERT_EQ(ErrorOf(gguf), "OK");
  const uint8_t* data = good.data() + good.size();
  for (const auto& [name, tensor] : gguf->tensors) {
    data = std::min(data, tensor.data);
  }
  for (const uint8_t* at = good.data(); at < data; at += 5) {
    Bytes bad = good;
    bad[static_cast<size_t>(at - good.data())] ^= 0x04;
    EXPECT_NE(ErrorOf(Check(bad)), "OK") << at - good.data();
  }
}

TEST_F(VerifyFileTest, FindsCutFile) {
  const Bytes good = Written();
  for (size_t size = 0; size < good.size(); size += 37) {
    EXPECT_NE(ErrorOf(Check(Bytes(good.begin(), good.begin() + size))), "OK");
  }
}

TEST_F(VerifyFileTest, ReportsMissingChecksums) {
  const absl::StatusOr<FileCheck> check = Check(TinyGguf());
  ASSERT_EQ(ErrorOf(check), "OK");
  EXPECT_FALSE(check->has_checksums);
  EXPECT_THAT(ErrorOf(VerifyFile(Path("none"))), StartsWith(Path("none")));
  WriteFile(Path("text"), "no model");
  EXPECT_THAT(ErrorOf(VerifyFile(Path("text"))), HasSubstr("wanted 'GGUF'"));
}

TEST_F(VerifyFileTest, FindsNonFiniteWeights) {
  for (const float value : {std::nanf(""), INFINITY, -INFINITY}) {
    Bytes data(64, 0);
    std::memcpy(data.data() + 4 * 13, &value, 4);
    const Bytes file = GgufWriter()
                           .Tensor("zeros", {4}, 0, Bytes(16, 0))
                           .Tensor("x", {8, 2}, 0, data)
                           .Finish();
    EXPECT_EQ(ErrorOf(Check(file)),
              Path("changed") +
                  ": tensor 'x' has a value that is not finite at row 1, "
                  "column 5");
  }
  // The scale of a block is infinite.
  Bytes block(34, 1);
  block[0] = 0x00;
  block[1] = 0x7C;  // infinite
  const Bytes file = GgufWriter().Tensor("b", {32}, 8, block).Finish();
  EXPECT_THAT(ErrorOf(Check(file)), HasSubstr("tensor 'b'"));
}

// A list of checksums whose length differs from the number of tensors.
TEST_F(VerifyFileTest, RefusesForeignChecksums) {
  for (const size_t count : {0, 2}) {
    const Bytes file =
        GgufWriter()
            .Array("gemma.tensor_crc32c", 4, std::vector<uint32_t>(count))
            .Uint32("gemma.header_crc32c", 0)
            .Tensor("t", {4}, 0, Bytes(16, 0))
            .Finish();
    EXPECT_THAT(ErrorOf(Check(file)), HasSubstr("another program"));
  }
  for (const char* key : {"gemma.tensor_crc32c", "gemma.header_crc32c"}) {
    const Bytes file = GgufWriter()
                           .String(key, "text")
                           .Tensor("t", {4}, 0, Bytes(16, 0))
                           .Finish();
    EXPECT_NE(ErrorOf(Check(file)), "OK");
  }
  const Bytes file =
      GgufWriter()
          .Array("gemma.tensor_crc32c", 4, std::vector<uint32_t>(1))
          .Value("gemma.header_crc32c", 0, uint8_t{0})
          .Tensor("t", {4}, 0, Bytes(16, 0))
          .Finish();
  EXPECT_NE(ErrorOf(Check(file)), "OK");
}

}  // namespace
}  // namespace gemma::internal

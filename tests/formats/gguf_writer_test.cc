#include "src/formats/gguf_writer.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "absl/crc/crc32c.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/formats/gguf.h"
#include "src/os/mapped_file.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kKeep = AtomicFile::Existing::kKeep;
constexpr uint32_t kWrittenF32 = 0;

Bytes Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

uint32_t Checksum(const Bytes& bytes) {
  return static_cast<uint32_t>(absl::ComputeCrc32c(
      {reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
}

std::string TestPath() { return TestDirectory() + "/m.gguf"; }

// Compares a small file byte by byte. The alignment is not the default, the
// first tensor does not end at a multiple of it, and pieces have odd sizes.
TEST(GgufFileWriter, WritesTheseBytes) {
  const Bytes a = Pattern(24);
  const Bytes b = Pattern(8);
  const std::string path = TestPath();
  GgufFileWriter writer(/*alignment=*/64);
  writer.SetString("s", "text");
  writer.SetUint32("u", 7);
  writer.Declare("a", kWrittenF32, {3, 2}, a.size());
  writer.Declare("b", kWrittenF32, {2}, b.size());
  ASSERT_EQ(ErrorOf(writer.Begin(path)), "OK");
  ASSERT_EQ(ErrorOf(writer.Write("a", absl::MakeSpan(a).first(5))), "OK");
  ASSERT_EQ(ErrorOf(writer.Write("a", {})), "OK");
  ASSERT_EQ(ErrorOf(writer.Write("a", absl::MakeSpan(a).subspan(5))), "OK");
  ASSERT_EQ(ErrorOf(writer.Write("b", b)), "OK");
  ASSERT_EQ(ErrorOf(writer.Commit(kKeep)), "OK");

  const auto header = [&](uint32_t checksum) {
    ByteWriter out;
    out.Raw("GGUF").Number(uint32_t{3});
    out.Number(uint64_t{2}).Number(uint64_t{5});  // tensors, keys
    out.String("s").Number(uint32_t{8}).String("text");
    out.String("u").Number(uint32_t{4}).Number(uint32_t{7});
    out.String("general.alignment").Number(uint32_t{4}).Number(uint32_t{64});
    out.String("gemma.tensor_crc32c").Number(uint32_t{9});
    out.Number(uint32_t{4}).Number(uint64_t{2});
    out.Number(Checksum(a)).Number(Checksum(b));
    out.String("gemma.header_crc32c").Number(uint32_t{4}).Number(checksum);
    out.String("a").Number(uint32_t{2}).Number(uint64_t{2}).Number(uint64_t{3});
    out.Number(kWrittenF32).Number(uint64_t{0});
    out.String("b").Number(uint32_t{1}).Number(uint64_t{2});
    out.Number(kWrittenF32).Number(uint64_t{64});
    out.AlignTo(64);
    return out;
  };
  ByteWriter wanted = header(Checksum(header(0).bytes()));
  const std::string_view text(reinterpret_cast<const char*>(a.data()), 24);
  wanted.Raw(text).AlignTo(64).Raw(text.substr(0, 8)).AlignTo(64);
  EXPECT_EQ(Contents(path), wanted.bytes());
}

TEST(GgufFileWriter, ItsFilesAreRead) {
  const Bytes data = Pattern(32);
  const std::string path = TestPath();
  GgufFileWriter writer(kDefaultGgufAlignment);
  writer.SetUint32("u", 0xFFFFFFFF);
  writer.SetFloat32("f", -0.1f);
  writer.SetBool("b", true);
  writer.SetString("s", "");
  writer.SetUint32s("us", {1, 2});
  writer.SetInt32s("is", {-1});
  writer.SetFloat32s("fs", {0.5f, 1e30f});
  writer.SetBools("bs", {false, true});
  writer.SetStrings("ss", {"", "two"});
  writer.SetUint32("u", 5);  // a second time
  writer.Declare("t", kWrittenF32, {4, 1, 2}, data.size());
  ASSERT_EQ(ErrorOf(writer.Begin(path)), "OK");
  ASSERT_EQ(ErrorOf(writer.Write("t", data)), "OK");
  ASSERT_EQ(ErrorOf(writer.Commit(kKeep)), "OK");

  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  ASSERT_EQ(ErrorOf(file), "OK");
  const absl::StatusOr<GgufFile> gguf = ParseGguf(file->bytes(), path);
  ASSERT_EQ(ErrorOf(gguf), "OK");
  const GgufMetadata& metadata = gguf->metadata;
  EXPECT_EQ(metadata.size(), 11u);
  EXPECT_FALSE(metadata.Has("general.alignment"));
  const auto read = [&](std::string_view key, auto value) {
    EXPECT_EQ(ErrorOf(metadata.ReadRequired(key, value)), "OK");
    return value;
  };
  EXPECT_EQ(read("u", uint32_t{0}), 5u);
  EXPECT_EQ(read("f", 0.0f), -0.1f);
  EXPECT_TRUE(read("b", false));
  EXPECT_EQ(read("s", std::string("x")), "");
  EXPECT_THAT(read("us", std::vector<size_t>()), ElementsAre(1, 2));
  EXPECT_THAT(read("is", std::vector<int32_t>()), ElementsAre(-1));
  EXPECT_THAT(read("fs", std::vector<float>()), ElementsAre(0.5f, 1e30f));
  EXPECT_THAT(read("bs", std::vector<bool>()), ElementsAre(false, true));
  EXPECT_THAT(read("ss", std::vector<std::string_view>()),
              ElementsAre("", "two"));
  const Tensor& tensor = gguf->tensors.at("t");
  EXPECT_THAT(tensor.shape, ElementsAre(4, 1, 2));
  EXPECT_EQ(Bytes(tensor.data, tensor.data + tensor.bytes), data);
}

TEST(GgufFileWriter, CopiesEveryKeyType) {
  GgufWriter source;
  source.Uint32("uint32", 1).Float32("float32", 2.5f).Bool("bool", true);
  source.String("string", "text").Strings("strings", {"a", "", "ccc"});
  source.Value("uint8", 0, uint8_t{1}).Value("int8", 1, int8_t{-1});
  source.Value("uint16", 2, uint16_t{1}).Value("int16", 3, int16_t{-1});
  source.Value("int32", 5, int32_t{-1}).Value("uint64", 10, uint64_t{1});
  source.Value("int64", 11, int64_t{-1}).Value("float64", 12, 0.1);
  source.Array("int8s", 1, std::vector<int8_t>{1, -2, 3});
  source.Array("none", 6, std::vector<float>{});
  const Bytes bytes = source.Finish();
  const absl::StatusOr<GgufFile> from = ParseGguf(bytes, "source");
  ASSERT_EQ(ErrorOf(from), "OK");

  GgufFileWriter writer(kDefaultGgufAlignment);
  for (const std::string_view key : from->metadata.Keys()) {
    writer.Copy(from->metadata, key);
  }
  writer.Copy(from->metadata, "missing");
  const std::string path = TestPath();
  ASSERT_EQ(ErrorOf(writer.Begin(path)), "OK");
  ASSERT_EQ(ErrorOf(writer.Commit(kKeep)), "OK");
  const Bytes copied = Contents(path);
  const absl::StatusOr<GgufFile> to = ParseGguf(copied, path);
  ASSERT_EQ(ErrorOf(to), "OK");
  EXPECT_EQ(to->metadata.size(), from->metadata.size() + 2);
  for (const std::string_view key : from->metadata.Keys()) {
    EXPECT_EQ(to->metadata.RawValue(key), from->metadata.RawValue(key)) << key;
  }
}

TEST(GgufFileWriter, WritesOnlyDeclaredTensors) {
  const std::string path = TestPath();
  const Bytes data = Pattern(8);
  const auto begin = [&](GgufFileWriter& writer) {
    writer.Declare("a", kWrittenF32, {2}, 8);
    writer.Declare("b", kWrittenF32, {2}, 8);
    ASSERT_EQ(ErrorOf(writer.Begin(path)), "OK");
  };
  {
    GgufFileWriter writer(kDefaultGgufAlignment);
    EXPECT_THAT(ErrorOf(writer.Write("a", data)), HasSubstr("'a'"));
    EXPECT_NE(ErrorOf(writer.Commit(kKeep)), "OK");
    begin(writer);
    EXPECT_THAT(ErrorOf(writer.Write("b", data)), HasSubstr("'b'"));
    EXPECT_THAT(ErrorOf(writer.Write("a", Pattern(9))), HasSubstr("wanted 8"));
    EXPECT_EQ(ErrorOf(writer.Write("a", data)), "OK");
    EXPECT_THAT(ErrorOf(writer.Write("a", data)), HasSubstr("'a'"));
    EXPECT_EQ(ErrorOf(writer.Write("b", absl::MakeSpan(data).first(7))), "OK");
    EXPECT_THAT(ErrorOf(writer.Commit(kKeep)), HasSubstr("1 of 2 tensors"));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace gemma::internal

#include "src/quantize/importance.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr uint32_t kF32 = 0;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Bytes Floats(const std::vector<float>& values) {
  ByteWriter bytes;
  for (const float value : values) bytes.Number(value);
  return bytes.bytes();
}

GgufWriter Header() {
  GgufWriter writer;
  writer.String("general.type", "imatrix")
      .Strings("imatrix.datasets", {"text.txt"})
      .Uint32("imatrix.chunk_count", 2)
      .Uint32("imatrix.chunk_size", 512);
  return writer;
}

// Adds the two tensors of a matrix.
GgufWriter& Add(GgufWriter& writer, const std::string& name,
                const std::vector<float>& sums, float count) {
  return writer.Tensor(name + ".in_sum2", {sums.size(), 1}, kF32, Floats(sums))
      .Tensor(name + ".counts", {1, 1}, kF32, Floats({count}));
}

// Adds an entry of llama.cpp's older files.
ByteWriter& AddOld(ByteWriter& file, std::string_view name, int32_t calls,
                   const std::vector<float>& sums) {
  file.Number(static_cast<int32_t>(name.size())).Raw(name).Number(calls);
  file.Number(static_cast<int32_t>(sums.size()));
  for (const float sum : sums) file.Number(sum);
  return file;
}

Bytes TinyImportance() {
  GgufWriter writer = Header();
  Add(writer, "blk.0.attn_q.weight", {2, 4, 0}, 4);
  Add(writer, "output.weight", {9}, 2);
  return writer.Finish();
}

// An older file up to its optional end.
ByteWriter OldMatrices() {
  ByteWriter file;
  file.Number(int32_t{2});
  AddOld(file, "blk.0.attn_q.weight", 4, {2, 4, 0});
  AddOld(file, "output.weight", 2, {9});
  return file;
}

Bytes TinyOldImportance() {
  return OldMatrices().Number(int32_t{4}).Number(int32_t{3}).Raw("a.b").bytes();
}

absl::StatusOr<Importance> Parse(const Bytes& bytes) {
  // A copy of the exact size, so that ASan sees reads past its end.
  const Bytes copy(bytes.begin(), bytes.end());
  return Importance::Parse(copy, "F");
}

std::string ErrorOfFile(const GgufWriter& writer) {
  return ErrorOf(Parse(writer.Finish()));
}
std::string ErrorOfFile(const ByteWriter& writer) {
  return ErrorOf(Parse(writer.bytes()));
}

TEST(Importance, MeansFromBothFormats) {
  for (const Bytes& bytes :
       {TinyImportance(), TinyOldImportance(), OldMatrices().bytes()}) {
    const absl::StatusOr<Importance> importance = Parse(bytes);
    ASSERT_TRUE(importance.ok()) << importance.status();
    EXPECT_EQ(importance->size(), 2u);
    EXPECT_EQ(importance->path(), "F");
    EXPECT_THAT(importance->Of("blk.0.attn_q.weight"), ElementsAre(0.5, 1, 0));
    EXPECT_THAT(importance->Of("output.weight"), ElementsAre(4.5));
    EXPECT_THAT(importance->Of("blk.1.attn_q.weight"), IsEmpty());
    EXPECT_THAT(importance->Of(""), IsEmpty());
  }
}

TEST(Importance, ChecksColumns) {
  const absl::StatusOr<Importance> importance = Parse(TinyImportance());
  ASSERT_TRUE(importance.ok()) << importance.status();
  EXPECT_TRUE(importance->CheckColumns("blk.0.attn_q.weight", 3).ok());
  EXPECT_TRUE(importance->CheckColumns("blk.1.attn_q.weight", 7).ok());
  const absl::Status status =
      importance->CheckColumns("blk.0.attn_q.weight", 7);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "F: tensor 'blk.0.attn_q.weight' has 3 columns, the model's has 7");
}

TEST(Importance, ZeroCountIsUnknown) {
  GgufWriter writer = Header();
  Add(writer, "a", {0, 0}, 0);
  Add(writer, "b", {3, 6}, 3);
  // Newer versions of llama.cpp write these; later ones may add other tensors.
  writer.Tensor("b.in_sum", {2, 1}, kF32, Floats({-1, NAN}));
  ByteWriter old;
  old.Number(int32_t{2});
  AddOld(old, "a", 0, {0, 0});
  AddOld(old, "b", 3, {3, 6});
  for (const Bytes& bytes : {writer.Finish(), old.bytes()}) {
    const absl::StatusOr<Importance> importance = Parse(bytes);
    ASSERT_TRUE(importance.ok()) << importance.status();
    EXPECT_EQ(importance->size(), 1u);
    EXPECT_THAT(importance->Of("a"), IsEmpty());
    EXPECT_THAT(importance->Of("b"), ElementsAre(1, 2));
  }
}

// A matrix for each expert. One that no token chose has the mean over the
// tokens of the others, which a note says.
TEST(Importance, UnchosenExpertsGetMean) {
  GgufWriter writer = Header();
  writer.Tensor("a.in_sum2", {2, 3}, kF32, Floats({1, 2, 0, 0, 9, 12}))
      .Tensor("a.counts", {1, 3}, kF32, Floats({1, 0, 3}))
      .Tensor("b.in_sum2", {1, 2}, kF32, Floats({4, 6}))
      .Tensor("b.counts", {1, 2}, kF32, Floats({2, 3}));
  const Bytes bytes = writer.Finish();
  const absl::StatusOr<Importance> importance = Parse(bytes);
  ASSERT_TRUE(importance.ok()) << importance.status();
  EXPECT_THAT(importance->Of("a"), ElementsAre(1, 2, 2.5, 3.5, 3, 4));
  EXPECT_THAT(importance->Of("b"), ElementsAre(2, 2));
  EXPECT_TRUE(importance->CheckColumns("a", 2, 3).ok());
  EXPECT_EQ(importance->CheckColumns("a", 3, 3).message(),
            "F: tensor 'a' has 6 numbers, wanted 3 for each of 3 matrices");
  EXPECT_THAT(importance->notes(),
              ElementsAre("F: lacks 1 matrices, in 1 tensors, of experts that "
                          "no token chose: uses the mean of the other "
                          "experts"));
  EXPECT_THAT(Parse(TinyImportance())->notes(), IsEmpty());
}

TEST(Importance, RefusesBadNumbers) {
  for (const float bad : {-1.0f, kInfinity, -kInfinity, NAN}) {
    GgufWriter writer = Header();
    Add(writer, "good", {1, 2}, 3);
    Add(writer, "bad", {1, bad}, 3);
    ByteWriter old;
    old.Number(int32_t{1});
    AddOld(old, "bad", 3, {1, bad});
    for (const Bytes& bytes : {writer.Finish(), old.bytes()}) {
      EXPECT_THAT(ErrorOf(Parse(bytes)),
                  AllOf(StartsWith("F: tensor 'bad' has a sum"),
                        HasSubstr("column 1, wanted a finite number")));
    }
  }
  for (const float bad : {-1.0f, 0.5f, 1e-30f, kInfinity, NAN}) {
    GgufWriter writer = Header();
    Add(writer, "bad", {1, 2}, bad);
    EXPECT_THAT(ErrorOfFile(writer),
                AllOf(StartsWith("F: tensor 'bad' has a count"),
                      HasSubstr("wanted 0, or a number of 1 or more")));
  }
  ByteWriter old;
  old.Number(int32_t{1});
  EXPECT_THAT(ErrorOfFile(AddOld(old, "bad", -1, {1})),
              HasSubstr("tensor 'bad' has a count of -1"));
}

TEST(Importance, RefusesOtherGgufFiles) {
  EXPECT_THAT(ErrorOf(Parse(TinyGguf())), HasSubstr("general.type"));
  GgufWriter model;
  model.String("general.type", "model");
  EXPECT_EQ(ErrorOfFile(Add(model, "a", {1}, 1)),
            "F: key 'general.type' is 'model', wanted 'imatrix'");
  EXPECT_EQ(ErrorOfFile(Header()), "F: has no matrix with a count above 0");
  GgufWriter unseen = Header();
  EXPECT_EQ(ErrorOfFile(Add(unseen, "a", {0}, 0)),
            "F: has no matrix with a count above 0");

  GgufWriter sums = Header();
  sums.Tensor("a.in_sum2", {1, 1}, kF32, Floats({1}));
  EXPECT_EQ(ErrorOfFile(sums),
            "F: tensor 'a.in_sum2' has no matching 'a.counts'");
  GgufWriter counts = Header();
  counts.Tensor("a.counts", {1, 1}, kF32, Floats({1}));
  EXPECT_EQ(ErrorOfFile(counts),
            "F: tensor 'a.counts' has no matching 'a.in_sum2'");

  // One count for each matrix.
  GgufWriter experts = Header();
  experts.Tensor("a.in_sum2", {2, 3}, kF32, Floats({1, 2, 3, 4, 5, 6}))
      .Tensor("a.counts", {1, 2}, kF32, Floats({1, 2}));
  EXPECT_EQ(ErrorOfFile(experts),
            "F: tensor 'a.counts' has 2 values, wanted 3");
  GgufWriter deep = Header();
  deep.Tensor("a.in_sum2", {2, 1, 1}, kF32, Floats({1, 2}))
      .Tensor("a.counts", {1}, kF32, Floats({1}));
  EXPECT_EQ(ErrorOfFile(deep),
            "F: tensor 'a.in_sum2' is [1, 1, 2], wanted one row, or one for "
            "each expert");
  GgufWriter two = Header();
  two.Tensor("a.in_sum2", {2}, kF32, Floats({1, 2}))
      .Tensor("a.counts", {2}, kF32, Floats({1, 2}));
  EXPECT_EQ(ErrorOfFile(two), "F: tensor 'a.counts' has 2 values, wanted 1");

  constexpr uint32_t kF16 = 1;
  GgufWriter half = Header();
  half.Tensor("a.in_sum2", {2}, kF16, Bytes(4))
      .Tensor("a.counts", {1}, kF32, Floats({1}));
  EXPECT_EQ(ErrorOfFile(half),
            "F: tensor 'a.in_sum2' is of type F16, wanted F32");
}

TEST(Importance, RefusesOtherOldFiles) {
  for (const int32_t count : {-1, 0, 65537}) {
    EXPECT_THAT(ErrorOfFile(ByteWriter().Number(count)),
                AllOf(HasSubstr("not an importance file"),
                      HasSubstr(std::to_string(count))));
  }
  EXPECT_THAT(ErrorOfFile(ByteWriter().Raw("a text, and no GGUF")),
              HasSubstr("not an importance file"));
  for (const int32_t size : {-1, 0, 257}) {
    EXPECT_THAT(
        ErrorOfFile(
            ByteWriter().Number(int32_t{1}).Number(size).Raw("0123456789")),
        HasSubstr("the name of matrix 0 has " + std::to_string(size)));
  }
  for (const int32_t columns : {-1, 0}) {
    ByteWriter file;
    file.Number(int32_t{1}).Number(int32_t{1}).Raw("a").Number(int32_t{1});
    EXPECT_THAT(ErrorOfFile(file.Number(columns)),
                HasSubstr("tensor 'a' has " + std::to_string(columns)));
  }
  ByteWriter twice;
  twice.Number(int32_t{2});
  AddOld(twice, "a", 1, {1});
  AddOld(twice, "a", 1, {1});
  EXPECT_THAT(ErrorOfFile(twice), HasSubstr("tensor 'a' appears twice"));
  for (const int32_t size : {-1, 2, 4}) {
    EXPECT_THAT(
        ErrorOfFile(OldMatrices().Number(int32_t{4}).Number(size).Raw("a.b")),
        HasSubstr("the name of the text has " + std::to_string(size)));
  }
}

TEST(Importance, LoadsAFile) {
  const std::string path = TestDirectory() + "/F.gguf";
  WriteFile(path, TinyImportance());
  const absl::StatusOr<Importance> importance = Importance::Load(path);
  ASSERT_TRUE(importance.ok()) << importance.status();
  EXPECT_EQ(importance->path(), path);
  EXPECT_EQ(importance->size(), 2u);
  EXPECT_THAT(importance->Of("output.weight"), ElementsAre(4.5));
  EXPECT_EQ(Importance::Load("/no/F.gguf").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_THAT(ErrorOf(Importance::Load(TestDirectory())),
              StartsWith(TestDirectory()));
}

TEST(Importance, RefusesEveryTruncation) {
  const size_t without_end = OldMatrices().bytes().size();
  for (const Bytes& good : {TinyImportance(), TinyOldImportance()}) {
    for (size_t size = 1; size < good.size(); ++size) {
      const absl::Status status =
          Parse(Bytes(good.begin(), good.begin() + size)).status();
      // The oldest files end there.
      const bool whole = good[0] != 'G' && size == without_end;
      EXPECT_THAT(ErrorOf(status), StartsWith(whole ? "OK" : "F: "))
          << "first " << size << " bytes";
    }
  }
}

// A file with a changed byte may still be valid, but must not give a value that
// is not finite.
TEST(Importance, ChangedByteStaysFinite) {
  for (const Bytes& good : {TinyImportance(), TinyOldImportance()}) {
    for (size_t i = 0; i < good.size(); ++i) {
      for (const uint8_t change : {0x01, 0x80, 0xFF}) {
        Bytes bad = good;
        bad[i] ^= change;
        const absl::StatusOr<Importance> importance = Parse(bad);
        if (!importance.ok()) {
          EXPECT_THAT(ErrorOf(importance), StartsWith("F: ")) << i;
          continue;
        }
        for (const char* name : {"blk.0.attn_q.weight", "output.weight"}) {
          for (const float mean : importance->Of(name)) {
            EXPECT_TRUE(std::isfinite(mean) && mean >= 0) << i;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace gemma::internal

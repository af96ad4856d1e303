#include "src/formats/sbs.h"

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/formats/sbs_fields.h"
#include "tests/support/error_of.h"
#include "tests/support/sbs_files.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A record of the toc.
Bytes TocEntry(const std::string& name, uint32_t type, uint32_t rows,
               uint32_t cols, float scale = 1.0f) {
  return SbsRecord()
      .Text(name)
      .Number(type)
      .Number(1)
      .Number(rows * cols)
      .Number(rows)
      .Number(cols)
      .Float(scale)
      .Number(cols)
      .Finish();
}

SbsWriter Tiny() {
  Bytes toc = TocEntry("c_embedding", 2, 4, 3, 0.5f);
  const Bytes norm = TocEntry("c_final_norm", 1, 1, 3);
  toc.insert(toc.end(), norm.begin(), norm.end());
  return SbsWriter()
      .Blob("c_embedding", Pattern(24))
      .Blob("c_final_norm", Pattern(12))
      .Blob("tokenizer", Pattern(300))
      .Blob("toc", toc);
}

std::string Error(const Bytes& bytes) {
  // A copy of the exact size lets ASan find reads beyond its end.
  const Bytes exact(bytes.begin(), bytes.end());
  return ErrorOf(ParseSbs(exact, "m.sbs"));
}

// Returns the error of the file with another number at `offset`.
template <class T>
std::string ErrorWith(Bytes bytes, size_t offset, T number) {
  std::memcpy(&bytes[offset], &number, sizeof(number));
  return Error(bytes);
}

TEST(Sbs, ReadsTensorsAndShapes) {
  for (const bool at_end : {false, true}) {
    const Bytes bytes = Tiny().Finish(at_end);
    EXPECT_TRUE(IsSbs(bytes));
    const absl::StatusOr<SbsFile> file = ParseSbs(bytes, "m.sbs");
    ASSERT_EQ(ErrorOf(file), "OK");
    EXPECT_TRUE(file->has_toc);
    EXPECT_FALSE(file->config.has_value());
    ASSERT_TRUE(file->tokenizer.has_value());
    EXPECT_EQ(file->tokenizer->size(), 300u);
    ASSERT_EQ(file->tensors.size(), 2u);
    const SbsTensor& table = file->tensors.at("c_embedding");
    EXPECT_EQ(table.format, Format::kBF16);
    EXPECT_EQ(table.rows, 4u);
    EXPECT_EQ(table.cols, 3u);
    EXPECT_EQ(table.scale, 0.5f);
    EXPECT_EQ(Bytes(table.data.begin(), table.data.end()), Pattern(24));
  }
}

TEST(Sbs, ReadsTypesFromLetters) {
  const Bytes bytes = SbsWriter()
                          .Blob("Bc_embedding", Pattern(24))
                          .Blob("Fc_final_norm", Pattern(12))
                          .Blob("$linear_w_0", Pattern(5))
                          .Blob("2linear_w_1", Pattern(144))
                          .Blob("Fscales", EncodeSbs(SbsType::kF32, {2, 3}))
                          .Finish();
  const absl::StatusOr<SbsFile> file = ParseSbs(bytes, "m.sbs");
  ASSERT_EQ(ErrorOf(file), "OK");
  EXPECT_FALSE(file->has_toc);
  EXPECT_THAT(file->scales, ElementsAre(2.0f, 3.0f));
  EXPECT_EQ(file->tensors.at("c_embedding").format, Format::kBF16);
  EXPECT_EQ(file->tensors.at("c_final_norm").format, Format::kF32);
  EXPECT_EQ(file->tensors.at("linear_w_0").format, Format::kSFP);
  EXPECT_EQ(file->tensors.at("linear_w_1").format, Format::kNUQ);
  EXPECT_EQ(file->tensors.at("linear_w_1").rows, 0u);
}

// Early files with a toc have letters as well.
TEST(Sbs, StripsLettersBesideToc) {
  const Bytes bytes = SbsWriter()
                          .Blob("$linear_w_0", Pattern(6))
                          .Blob("toc", TocEntry("$linear_w_0", 3, 2, 3))
                          .Finish();
  const absl::StatusOr<SbsFile> file = ParseSbs(bytes, "m.sbs");
  ASSERT_EQ(ErrorOf(file), "OK");
  EXPECT_TRUE(file->tensors.contains("linear_w_0"));
}

TEST(Sbs, SaysWhatWasTuned) {
  for (const uint32_t wrapping : {0, 1, 2, 3}) {
    const SbsRecord config =
        SbsRecord().Number(2).Text("Gemma").Number(7).Number(wrapping);
    const Bytes bytes = SbsWriter().Blob("config", config.Finish()).Finish();
    const absl::StatusOr<SbsFile> file = ParseSbs(bytes, "m.sbs");
    ASSERT_EQ(ErrorOf(file), "OK");
    EXPECT_EQ(file->is_pretrained, wrapping == 1);
  }
}

// ---------------------------------------------------------------------------
// Hostile files

TEST(SbsFileHostile, RefusesEveryTruncation) {
  for (const bool at_end : {false, true}) {
    const Bytes good = Tiny().Finish(at_end);
    ASSERT_EQ(Error(good), "OK");
    for (size_t size = 0; size < good.size(); ++size) {
      const auto end = good.begin() + static_cast<std::ptrdiff_t>(size);
      EXPECT_NE(Error(Bytes(good.begin(), end)), "OK") << size;
    }
  }
}

TEST(SbsFileHostile, ChangedByteNamesFile) {
  for (const bool at_end : {false, true}) {
    const Bytes good = Tiny().Finish(at_end);
    for (size_t i = 0; i < good.size(); ++i) {
      for (const int flip : {0x01, 0x80, 0xFF}) {
        Bytes bad = good;
        bad[i] ^= static_cast<uint8_t>(flip);
        const std::string error = Error(bad);
        EXPECT_TRUE(error == "OK" || error.rfind("m.sbs: ", 0) == 0) << error;
      }
    }
  }
}

TEST(SbsFileHostile, HeaderMustMatchFile) {
  constexpr size_t kNumBlobs = 4;
  constexpr size_t kFileBytes = 8;
  const Bytes good = Tiny().Finish();
  EXPECT_EQ(ErrorWith(good, kFileBytes, uint64_t{good.size() + 1}),
            "m.sbs: has 1536 bytes, its header says 1537");
  for (const uint64_t size : {uint64_t{0}, uint64_t{1} << 63, ~uint64_t{0}}) {
    EXPECT_THAT(ErrorWith(good, kFileBytes, size),
                HasSubstr("its header says"));
  }
  EXPECT_THAT(ErrorWith(good, kNumBlobs, uint32_t{16384}),
              HasSubstr("whose directory is larger than the file"));
  for (const uint32_t count : {16385u, ~0u}) {
    EXPECT_THAT(ErrorWith(good, kNumBlobs, count),
                HasSubstr("blobs, wanted 1 to 16384"));
  }
  // A first header without blobs says that the header is at the end, but this
  // file does not have one there.
  EXPECT_THAT(ErrorWith(good, kNumBlobs, uint32_t{0}),
              HasSubstr("a header begins with"));
  EXPECT_THAT(ErrorWith(good, kNumBlobs, uint32_t{3}), HasSubstr("m.sbs: "));
}

TEST(SbsFileHostile, BlobsMustBeContiguous) {
  const Bytes good = Tiny().Finish();
  constexpr size_t kRanges = 16 + 4 * 16;
  for (const uint64_t offset :
       {uint64_t{0}, uint64_t{255}, uint64_t{512}, ~uint64_t{0}}) {
    EXPECT_THAT(ErrorWith(good, kRanges, offset),
                HasSubstr("blob 'c_embedding' begins at " +
                          std::to_string(offset) + ", wanted 256: blobs must"));
  }
  for (const uint64_t size : {uint64_t{0}, uint64_t{2000}, ~uint64_t{0}}) {
    EXPECT_THAT(ErrorWith(good, kRanges + 8, size),
                HasSubstr("blob 'c_embedding' has " + std::to_string(size) +
                          " bytes from 256, wanted 1 or more up to 1536"));
  }
  // The first blob overlaps the second.
  EXPECT_THAT(ErrorWith(good, kRanges + 8, uint64_t{257}),
              HasSubstr("blob 'c_final_norm' begins at 512, wanted 768"));
}

TEST(SbsFileHostile, InvalidOrRepeatedKeys) {
  EXPECT_EQ(Error(SbsWriter().Blob("", Pattern(1)).Finish()),
            "m.sbs: a blob's key is '', wanted 1 to 16 printable characters");
  EXPECT_THAT(Error(SbsWriter().Blob("a\nb", Pattern(1)).Finish()),
              HasSubstr("a blob's key is 'a\\nb'"));
  EXPECT_THAT(Error(SbsWriter().Blob(std::string("a\0b", 3), {1}).Finish()),
              HasSubstr("a blob's key is 'a\\x00b'"));
  EXPECT_EQ(Error(SbsWriter().Blob("Fa", Pattern(4)).Blob("Fa", {1}).Finish()),
            "m.sbs: blob 'Fa' appears twice");
  EXPECT_EQ(Error(SbsWriter().Blob("Fa", Pattern(4)).Blob("Ba", {1}).Finish()),
            "m.sbs: tensor 'a' appears twice");
}

std::string TocError(const Bytes& toc) {
  return Error(SbsWriter().Blob("a", Pattern(6)).Blob("toc", toc).Finish());
}

TEST(SbsFileHostile, TocMustFitBlobs) {
  EXPECT_EQ(TocError(TocEntry("a", 3, 2, 3)), "OK");
  EXPECT_EQ(TocError(TocEntry("b", 3, 2, 3)),
            "m.sbs: no blob 'b', which 'toc' says there is");
  EXPECT_EQ(TocError(TocEntry("a", 2, 2, 3)),
            "m.sbs: blob 'a' has 6 bytes, which does not fit [2, 3] of bf16");
  EXPECT_EQ(TocError(TocEntry("a", 3, 0, 3)),
            "m.sbs: blob 'toc': tensor 'a' is [0, 3], wanted a name and sizes "
            "of 1 or more");
  constexpr uint32_t kLargest = std::numeric_limits<uint32_t>::max();
  for (const uint32_t type : {1, 2, 3, 4}) {
    EXPECT_THAT(TocError(TocEntry("a", type, kLargest, kLargest)),
                HasSubstr("does not fit [4294967295, 4294967295]"));
    EXPECT_THAT(TocError(TocEntry("a", type, 1u << 31, 1u << 31)),
                HasSubstr("does not fit"));
  }
  EXPECT_THAT(TocError(TocEntry("a", 3, 2, 3, NAN)),
              HasSubstr("'scale' is nan, wanted a finite number"));
  EXPECT_THAT(TocError({1, 2, 3}), HasSubstr("tensor '' is [0, 0]"));
  EXPECT_THAT(TocError(SbsRecord().Number(100).Finish()),
              HasSubstr("string 'name' has 100 words"));
  const Bytes once = TocEntry("a", 3, 2, 3);
  Bytes twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  EXPECT_EQ(TocError(twice), "m.sbs: blob 'toc': lists 'a' twice");
  // Types that are not weights are known by their number.
  const Bytes other = SbsWriter()
                          .Blob("a", Pattern(6))
                          .Blob("toc", TocEntry("a", 5, 2, 3))
                          .Finish();
  const absl::StatusOr<SbsFile> file = ParseSbs(other, "m.sbs");
  ASSERT_EQ(ErrorOf(file), "OK");
  EXPECT_FALSE(file->tensors.at("a").format.has_value());
  EXPECT_EQ(file->tensors.at("a").type, "type 5");
}

// ---------------------------------------------------------------------------
// Records

TEST(SbsFields, ShortRecordsKeepDefaults) {
  const Bytes bytes = SbsRecord().Number(7).Finish();
  SbsFields fields(bytes, "m.sbs");
  uint32_t first = 0;
  size_t second = 5;
  bool third = true;
  float fourth = 0.5f;
  std::string fifth = "kept";
  ASSERT_EQ(ErrorOf(fields.Enter("record")), "OK");
  EXPECT_EQ(ErrorOf(fields.Read("1", first)), "OK");
  EXPECT_EQ(ErrorOf(fields.Read("2", second)), "OK");
  EXPECT_EQ(ErrorOf(fields.Read("3", third)), "OK");
  EXPECT_EQ(ErrorOf(fields.Read("4", fourth)), "OK");
  EXPECT_EQ(ErrorOf(fields.Read("5", fifth)), "OK");
  fields.Leave();
  EXPECT_TRUE(fields.AtEnd());
  EXPECT_EQ(first, 7u);
  EXPECT_EQ(second, 5u);
  EXPECT_TRUE(third);
  EXPECT_EQ(fourth, 0.5f);
  EXPECT_EQ(fifth, "kept");
}

TEST(SbsFields, LeaveSkipsUnreadFields) {
  const Bytes bytes =
      SbsRecord().Record(SbsRecord().Number(1).Number(2)).Number(3).Finish();
  SbsFields fields(bytes, "m.sbs");
  uint32_t inner = 0;
  uint32_t behind = 0;
  ASSERT_EQ(ErrorOf(fields.Enter("outer")), "OK");
  ASSERT_EQ(ErrorOf(fields.Enter("inner")), "OK");
  EXPECT_EQ(ErrorOf(fields.Read("inner", inner)), "OK");
  fields.Leave();
  EXPECT_EQ(ErrorOf(fields.Read("behind", behind)), "OK");
  EXPECT_EQ(inner, 1u);
  EXPECT_EQ(behind, 3u);
}

TEST(SbsFields, RefusesInvalidValues) {
  const auto error = [](const SbsRecord& record, auto value) {
    const Bytes bytes = record.Finish();
    SbsFields fields(bytes, "m.sbs");
    EXPECT_EQ(ErrorOf(fields.Enter("record")), "OK");
    return ErrorOf(fields.Read("x", value));
  };
  EXPECT_EQ(error(SbsRecord().Number(2), false),
            "m.sbs: 'x' is 2, wanted 0 or 1");
  EXPECT_EQ(error(SbsRecord().Float(INFINITY), 0.0f),
            "m.sbs: 'x' is inf, wanted a finite number");
  EXPECT_EQ(error(SbsRecord().Text("a\x01"), std::string()),
            "m.sbs: string 'x' is 'a\\x01', wanted printable ASCII");
  EXPECT_EQ(error(SbsRecord().Number(1), std::string()),
            "m.sbs: string 'x' has 1 words, wanted at most 64, and 0 remain");
}

}  // namespace
}  // namespace gemma::internal

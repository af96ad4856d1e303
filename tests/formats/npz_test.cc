#include "src/formats/npz.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/zip_writer.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<int64_t> kIds = {2, 17, -4};
const std::vector<float> kValues = {0.5f, -1.0f, 2.0f, 3.0f, 4.0f, 1e30f};

std::vector<uint8_t> Archive(Packing packing) {
  ZipWriter zip;
  zip.Add("ids.npy", Npy(NpyDictionary("<i8", "(1, 3)"), BytesOf(kIds)),
          packing);
  zip.Add("out.npy", Npy(NpyDictionary("<f4", "(3, 2)"), BytesOf(kValues)),
          packing);
  return zip.Finish();
}

// Reads all of the array `name`, of any type.
absl::Status ReadArray(const Npz& npz, const std::string& name) {
  absl::StatusOr<NpzArray> array = npz.Open(name);
  if (!array.ok()) return array.status();
  if (!IsFloat(array->header().type)) {
    if (auto read = array->ReadIntegers(1000); !read.ok()) return read.status();
    return array->Finish();
  }
  std::vector<float> row(1);
  for (uint64_t i = 0; i < array->header().num_values; ++i) {
    absl::Status status = array->Read(absl::MakeSpan(row));
    if (!status.ok()) return status;
  }
  return array->Finish();
}

// Returns the first error of reading both arrays, or OK.
absl::Status ReadAll(const std::vector<uint8_t>& bytes) {
  const absl::StatusOr<Npz> npz = Npz::Parse(bytes, "F.npz");
  if (!npz.ok()) return npz.status();
  absl::Status status = ReadArray(*npz, "ids");
  return status.ok() ? ReadArray(*npz, "out") : status;
}

// Returns the error of reading an archive with one array "out".
std::string Error(const std::string& contents, const ZipWriter::Lies& lies = {},
                  Packing packing = Packing::kStored) {
  ZipWriter zip;
  zip.Add("out.npy", contents, packing, lies);
  const std::vector<uint8_t> bytes = zip.Finish();
  const absl::StatusOr<Npz> npz = Npz::Parse(bytes, "F.npz");
  if (!npz.ok()) return std::string(npz.status().message());
  return std::string(ReadArray(*npz, "out").message());
}

class NpzTest : public ::testing::TestWithParam<Packing> {};

INSTANTIATE_TEST_SUITE_P(Packings, NpzTest,
                         ::testing::Values(Packing::kStored,
                                           Packing::kDeflated),
                         ::testing::PrintToStringParamName());

TEST_P(NpzTest, ReadsArrays) {
  const std::vector<uint8_t> bytes = Archive(GetParam());
  const absl::StatusOr<Npz> npz = Npz::Parse(bytes, "F.npz");
  ASSERT_TRUE(npz.ok()) << npz.status();

  absl::StatusOr<NpzArray> ids = npz->Open("ids");
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_THAT(ids->header().shape, ElementsAre(1, 3));
  EXPECT_EQ(ids->ReadIntegers(3).value(), kIds);
  EXPECT_TRUE(ids->Finish().ok());

  absl::StatusOr<NpzArray> out = npz->Open("out");
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(ShapeText(out->header()), "[3, 2]");
  std::vector<float> first(4);
  std::vector<float> second(2);
  ASSERT_TRUE(out->Read(absl::MakeSpan(first)).ok());
  EXPECT_FALSE(out->Finish().ok());  // values are left
  ASSERT_TRUE(out->Read(absl::MakeSpan(second)).ok());
  EXPECT_TRUE(out->Finish().ok());
  EXPECT_THAT(first, ElementsAre(0.5f, -1.0f, 2.0f, 3.0f));
  EXPECT_THAT(second, ElementsAre(4.0f, 1e30f));
  EXPECT_FALSE(out->Read(absl::MakeSpan(second)).ok());  // no values are left
}

TEST_P(NpzTest, RejectsEveryTruncation) {
  const std::vector<uint8_t> good = Archive(GetParam());
  ASSERT_TRUE(ReadAll(good).ok()) << ReadAll(good);
  for (size_t size = 0; size < good.size(); ++size) {
    // A copy of the exact size lets ASan find reads beyond its end.
    const std::vector<uint8_t> cut(good.begin(), good.begin() + size);
    EXPECT_FALSE(ReadAll(cut).ok()) << "first " << size << " bytes";
  }
}

// A flipped byte may have no meaning. It must never cause a crash or change a
// value.
TEST_P(NpzTest, SurvivesAnyFlippedByte) {
  const std::vector<uint8_t> good = Archive(GetParam());
  for (size_t i = 0; i < good.size(); ++i) {
    for (const uint8_t flip : {0x01, 0x80, 0xFF}) {
      std::vector<uint8_t> bad = good;
      bad[i] ^= flip;
      const absl::StatusOr<Npz> npz = Npz::Parse(bad, "F.npz");
      if (!npz.ok()) continue;
      absl::StatusOr<NpzArray> ids = npz->Open("ids");
      if (!ids.ok()) continue;
      const absl::StatusOr<std::vector<int64_t>> values =
          ids->ReadIntegers(1000);
      if (values.ok() && ids->Finish().ok()) {
        EXPECT_EQ(*values, kIds) << "byte " << i;
      }
      ReadAll(bad).IgnoreError();
    }
  }
}

TEST_P(NpzTest, ChecksTheCrc) {
  const std::string npy = Npy(NpyDictionary("<f4", "(3, 2)"), BytesOf(kValues));
  EXPECT_EQ(Error(npy, {.crc32_xor = 1}, GetParam()),
            "F.npz: array 'out': the checksum (CRC-32) is wrong");
}

TEST_P(NpzTest, RejectsShapeDataMismatch) {
  for (const char* shape : {"(3, 3)", "(2, 2)", "(6,)", "(7,)", "()"}) {
    const std::string npy = Npy(NpyDictionary("<f4", shape), BytesOf(kValues));
    const std::string error = Error(npy, {}, GetParam());
    if (shape == std::string("(6,)")) {
      EXPECT_EQ(error, "");
    } else {
      EXPECT_THAT(error, HasSubstr("bytes, found 24")) << shape;
    }
  }
}

TEST(Npz, RejectsWrongSizes) {
  const std::string npy = Npy(NpyDictionary("<f4", "(3, 2)"), BytesOf(kValues));
  const uint32_t size = static_cast<uint32_t>(npy.size());
  EXPECT_THAT(Error(npy, {.bytes = size + 1}), HasSubstr("two sizes differ"));
  EXPECT_THAT(Error(npy, {.bytes = size + 4}, Packing::kDeflated),
              HasSubstr("bytes, found 28"));
  // The size in the archive's header is right for the array, but not for the
  // stream.
  const std::string shorter = npy.substr(0, npy.size() - 4);
  EXPECT_THAT(Error(shorter, {.bytes = size}, Packing::kDeflated),
              HasSubstr("damaged"));
  EXPECT_THAT(Error(npy + "more", {.bytes = size}, Packing::kDeflated),
              HasSubstr("do not end there"));
}

// A few kilobytes that would expand to gigabytes.
TEST(Npz, RejectsBombs) {
  const std::string zeros(1 << 20, '\0');
  const std::string npy = Npy(NpyDictionary("<f4", "(262144,)"), zeros);
  EXPECT_EQ(Error(npy, {}, Packing::kDeflated), "");
  EXPECT_THAT(Error(npy, {.bytes = 4000000000u}, Packing::kDeflated),
              HasSubstr("more than"));
  // A size that deflate allows, but the array's header does not.
  EXPECT_THAT(Error(npy, {.bytes = 1100000}, Packing::kDeflated),
              HasSubstr("bytes, found 1099"));
  // The array's header promises more values than the file has.
  EXPECT_THAT(Error(Npy(NpyDictionary("<f4", "(1000000, 1000000)"), zeros)),
              HasSubstr("4000000000000 bytes, found 1048576"));
  EXPECT_THAT(Error(Npy(NpyDictionary("<i8", "(4294967296, 4294967296)"), "")),
              HasSubstr("smaller"));
  EXPECT_THAT(Error(Npy(NpyDictionary("<i8", "(2305843009213693952,)"), "")),
              HasSubstr("smaller"));
  EXPECT_THAT(Error(Npy(NpyDictionary("<i8", "(99999999999999999999,)"), "")),
              HasSubstr("extent"));
}

TEST(Npz, LimitsIntegerCount) {
  const std::vector<uint8_t> bytes = Archive(Packing::kStored);
  const absl::StatusOr<Npz> npz = Npz::Parse(bytes, "F.npz");
  ASSERT_TRUE(npz.ok());
  absl::StatusOr<NpzArray> ids = npz->Open("ids");
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(ids->ReadIntegers(2).status().message(),
            "F.npz: array 'ids': found 3 values, wanted at most 2");
}

TEST(Npz, NamesUnsupportedInput) {
  const std::string npy = Npy(NpyDictionary("<f4", "(3, 2)"), BytesOf(kValues));
  EXPECT_THAT(Error(npy, {.flags = 1}), HasSubstr("encrypted"));
  EXPECT_THAT(Error(npy, {.method = 12}), HasSubstr("compression method 12"));
  EXPECT_THAT(Error("{}"), HasSubstr("out"));
  EXPECT_THAT(Error("some other text"), HasSubstr("not a NumPy array"));
  EXPECT_THAT(Error(Npy(NpyDictionary("|O", "(1,)"), "x")), HasSubstr("'|O'"));
  for (const char* descr : {">f4", "|V2", "<c8", "|b1", "<U4", "|S8"}) {
    EXPECT_THAT(Error(Npy(NpyDictionary(descr, "(1,)"), "12345678")),
                HasSubstr(absl::StrCat("type '", descr, "'; wanted '<f2'")));
  }
  EXPECT_THAT(Error(Npy("{'descr': [('a', '<f4')], 'fortran_order': False, "
                        "'shape': (1,)}",
                        "1234")),
              HasSubstr("structured"));
  EXPECT_THAT(Error(Npy("{'descr': '<f4', 'fortran_order': True, "
                        "'shape': (1,)}",
                        "1234")),
              HasSubstr("Fortran"));
  EXPECT_THAT(ReadAll({'n', 'o', ' ', 'z', 'i', 'p'}).message(),
              HasSubstr("not a zip archive"));
}

TEST(Npz, MissingArrayListsOthers) {
  const std::vector<uint8_t> bytes = Archive(Packing::kStored);
  const absl::StatusOr<Npz> npz = Npz::Parse(bytes, "F.npz");
  ASSERT_TRUE(npz.ok());
  EXPECT_EQ(npz->Open("logits").status().message(),
            "F.npz: no array 'logits', only ids.npy, out.npy");
}

TEST(Npz, RejectsDuplicateNames) {
  ZipWriter zip;
  zip.Add("ids.npy", "one");
  zip.Add("ids.npy", "two");
  EXPECT_THAT(ReadAll(zip.Finish()).message(), HasSubstr("appears twice"));
}

TEST(Npz, AcceptsArchiveComment) {
  ZipWriter zip;
  zip.Add("ids.npy", Npy(NpyDictionary("<i8", "(3,)"), BytesOf(kIds)));
  zip.Add("out.npy", Npy(NpyDictionary("<f4", "(6,)"), BytesOf(kValues)));
  EXPECT_TRUE(ReadAll(zip.Finish("PK\x05\x06 and more")).ok());
}

// Returns all values of the only array in an archive.
std::vector<float> Floats(const std::string& contents) {
  ZipWriter zip;
  zip.Add("out.npy", contents);
  const std::vector<uint8_t> bytes = zip.Finish();
  absl::StatusOr<NpzArray> array = Npz::Parse(bytes, "F.npz")->Open("out");
  if (!array.ok()) return {};
  std::vector<float> values(array->header().num_values);
  EXPECT_TRUE(array->Read(absl::MakeSpan(values)).ok());
  EXPECT_TRUE(array->Finish().ok());
  return values;
}

TEST(Npz, ReadsHalvesAndDoubles) {
  const std::vector<uint16_t> halves = {0x3C00, 0xC000, 0x0001, 0x7C00};
  EXPECT_THAT(Floats(Npy(NpyDictionary("<f2", "(4,)"), BytesOf(halves))),
              ElementsAre(1.0f, -2.0f, 0x1p-24f, INFINITY));
  std::vector<double> doubles = {0.1, -2.0, 1e300};
  EXPECT_THAT(Floats(Npy(NpyDictionary("<f8", "(3,)"), BytesOf(doubles))),
              ElementsAre(0.1f, -2.0f, INFINITY));
  // More values than are converted at once.
  doubles.assign(5000, 0.0);
  doubles[4999] = 7.0;
  const std::vector<float> many =
      Floats(Npy(NpyDictionary("<f8", "(5000,)"), BytesOf(doubles)));
  ASSERT_EQ(many.size(), 5000u);
  EXPECT_EQ(many[4999], 7.0f);
}

// NumPy writes archives above 4 GiB in this form.
TEST(Npz, ReadsZip64) {
  for (const int zip64 : {0, 1}) {
    ZipWriter zip;
    zip.Add("ids.npy", Npy(NpyDictionary("<i8", "(3,)"), BytesOf(kIds)),
            Packing::kDeflated, {.zip64 = zip64});
    zip.Add("out.npy", Npy(NpyDictionary("<f4", "(6,)"), BytesOf(kValues)),
            Packing::kStored, {.zip64 = zip64});
    EXPECT_EQ(ReadAll(zip.Finish()).message(), "");
    const std::vector<uint8_t> good = zip.FinishZip64();
    EXPECT_EQ(ReadAll(good).message(), "");
    for (size_t size = 0; size < good.size(); ++size) {
      const std::vector<uint8_t> cut(good.begin(), good.begin() + size);
      EXPECT_FALSE(ReadAll(cut).ok()) << "first " << size << " bytes";
    }
    for (size_t i = 0; i < good.size(); ++i) {
      std::vector<uint8_t> bad = good;
      bad[i] ^= 0xFF;
      ReadAll(bad).IgnoreError();
    }
  }
}

TEST(Npz, RejectsBrokenZip64) {
  const std::string npy = Npy(NpyDictionary("<f4", "(3, 2)"), BytesOf(kValues));
  EXPECT_EQ(Error(npy, {.bytes = 0xFFFFFFFF}),
            "F.npz: 'out.npy' lacks its zip64 sizes");
  EXPECT_EQ(Error(npy, {.zip64 = -1}),
            "F.npz: 'out.npy' lacks its zip64 sizes");
}

TEST(Npz, RejectsPathNames) {
  for (const std::string& name :
       {std::string("../out.npy"), std::string("/out.npy"),
        std::string("a/out.npy"), std::string("a\\out.npy"),
        std::string("C:out.npy"), std::string("out\0.npy", 8), std::string()}) {
    ZipWriter zip;
    zip.Add(name, Npy(NpyDictionary("<f4", "(6,)"), BytesOf(kValues)));
    EXPECT_THAT(ReadAll(zip.Finish()).message(),
                HasSubstr("is a path, wanted the name of an array"))
        << name;
  }
}

TEST(Npz, RejectsTrailingBytes) {
  const std::string npy = Npy(NpyDictionary("<f4", "(3, 2)"), BytesOf(kValues));
  EXPECT_THAT(Error(npy, {.trailing = "more"}, Packing::kDeflated),
              HasSubstr("do not end there"));
}

TEST(Npz, ReadsInt32) {
  ZipWriter zip;
  const std::vector<int32_t> ids = {2, -1, 2147483647};
  zip.Add("ids.npy", Npy(NpyDictionary("<i4", "(3,)"), BytesOf(ids)));
  const std::vector<uint8_t> bytes = zip.Finish();
  absl::StatusOr<NpzArray> array = Npz::Parse(bytes, "F.npz")->Open("ids");
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_THAT(array->ReadIntegers(3).value(), ElementsAre(2, -1, 2147483647));
}

}  // namespace
}  // namespace gemma::internal

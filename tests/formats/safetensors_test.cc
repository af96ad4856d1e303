#include "src/formats/safetensors.h"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
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
using ::testing::Pair;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr uint64_t kMaxOffset = std::numeric_limits<uint64_t>::max();

std::string HeaderError(const Bytes& bytes) {
  // A copy of the exact size lets ASan find reads beyond its end.
  const Bytes copy(bytes.begin(), bytes.end());
  return ErrorOf(ParseSafetensors(copy, "f.safetensors"));
}

// Returns the error of a file with this header and 8 bytes of data.
std::string HeaderError(std::string_view header) {
  return HeaderError(RawSafetensors(header, Pattern(8)));
}

// Returns the error of a file with one tensor that has these fields.
std::string TensorError(std::string_view dtype, std::string_view shape,
                        std::string_view offsets) {
  return HeaderError(absl::StrCat("{\"t\":{\"dtype\":\"", dtype,
                                  "\",\"shape\":", shape,
                                  ",\"data_offsets\":", offsets, "}}"));
}

void Exercise(const SafetensorsFile& file, const Bytes& bytes) {
  for (const auto& [name, tensor] : file.tensors) {
    ASSERT_EQ(tensor.bytes, tensor.NumValues() * BlockBytes(tensor.format));
    ASSERT_GT(tensor.bytes, 0u);
    ASSERT_GE(tensor.data, bytes.data());
    ASSERT_LE(tensor.bytes,
              static_cast<size_t>(bytes.data() + bytes.size() - tensor.data));
  }
}

TEST(Safetensors, ReadsTensors) {
  const Bytes bytes = TinySafetensors();
  const absl::StatusOr<SafetensorsFile> file =
      ParseSafetensors(bytes, "f.safetensors");
  ASSERT_EQ(ErrorOf(file), "OK");
  EXPECT_EQ(file->tensors.size(), 4u);
  EXPECT_THAT(file->skipped,
              UnorderedElementsAre(Pair("model.position_ids", "I64")));
  const Tensor& embed = file->tensors.at("model.embed_tokens.weight");
  EXPECT_EQ(embed.format, Format::kBF16);
  EXPECT_THAT(embed.shape, ElementsAre(2, 5));
  EXPECT_EQ(Bytes(embed.data, embed.data + embed.bytes), Pattern(20));
  EXPECT_EQ(embed.file, "f.safetensors");
  EXPECT_EQ(file->tensors.at("model.conv.weight").format, Format::kF16);
  EXPECT_THAT(file->tensors.at("model.scale").shape, IsEmpty());
  EXPECT_EQ(file->tensors.at("model.scale").bytes, 4u);
  Exercise(*file, bytes);
}

TEST(Safetensors, AcceptsReferenceHeaders) {
  // Padded with spaces, with metadata, and tensors not in the order of the
  // data.
  EXPECT_EQ(HeaderError(
                R"({"__metadata__":{"format":"pt"},)"
                R"("b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]},)"
                R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}   )"),
            "OK");
  EXPECT_EQ(HeaderError(RawSafetensors("{}", {})), "OK");
  EXPECT_EQ(HeaderError(RawSafetensors(R"({"__metadata__":null})", {})), "OK");
}

TEST(Safetensors, SkipsNonWeightTypes) {
  for (const char* dtype : {"I64", "U64", "C64"}) {
    EXPECT_EQ(TensorError(dtype, "[1]", "[0,8]"), "OK") << dtype;
  }
  for (const char* dtype : {"BOOL", "U8", "I8", "F8_E8M0"}) {
    EXPECT_EQ(TensorError(dtype, "[2,4]", "[0,8]"), "OK") << dtype;
  }
  EXPECT_EQ(TensorError("F4", "[16]", "[0,8]"), "OK");
  EXPECT_EQ(
      HeaderError(RawSafetensors(
          R"({"t":{"dtype":"I64","shape":[0],"data_offsets":[0,0]}})", {})),
      "OK");
}

TEST(Safetensors, ReadsDoublesAndBytes) {
  const std::pair<const char*, Format> types[] = {
      {"F64", Format::kF64},
      {"F8_E4M3", Format::kF8_E4M3},
      {"F8_E5M2", Format::kF8_E5M2}};
  for (const auto& [dtype, format] : types) {
    const uint64_t size = 8 / BlockBytes(format);
    const Bytes bytes =
        SafetensorsWriter().Tensor("t", dtype, {size}, Pattern(8)).Finish();
    const absl::StatusOr<SafetensorsFile> file =
        ParseSafetensors(bytes, "f.safetensors");
    ASSERT_EQ(ErrorOf(file), "OK") << dtype;
    EXPECT_EQ(file->tensors.at("t").format, format);
    EXPECT_EQ(file->tensors.at("t").bytes, 8u);
  }
}

// ---------------------------------------------------------------------------
// Hostile files

TEST(SafetensorsHostile, F1ShortFiles) {
  for (size_t size : {0, 1, 7}) {
    EXPECT_EQ(
        HeaderError(Pattern(size)),
        absl::StrCat("f.safetensors: has ", size, " bytes, wanted 8 or more"));
  }
  EXPECT_THAT(HeaderError(Pattern(8)), HasSubstr("the header has"));
}

TEST(SafetensorsHostile, F2HeaderLengths) {
  const auto error = [](uint64_t size) {
    return HeaderError(ByteWriter().Number(size).Raw("{}      ").bytes());
  };
  EXPECT_THAT(error(0), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(error(1), HasSubstr("is not JSON"));
  EXPECT_EQ(error(8), "OK");
  EXPECT_EQ(error(9),
            "f.safetensors: the header has 9 bytes, but 8 remain in the file");
  EXPECT_THAT(error(100'000'000), HasSubstr("but 8 remain"));
  for (uint64_t size :
       {uint64_t{100'000'001}, uint64_t{1} << 32, (uint64_t{1} << 63) - 1,
        uint64_t{1} << 63, kMaxOffset}) {
    EXPECT_EQ(error(size), absl::StrCat("f.safetensors: the header has ", size,
                                        " bytes, wanted at most 100000000"));
  }
}

TEST(SafetensorsHostile, F3Shapes) {
  for (const char* shape :
       {"[4294967296,4294967296]", "[9223372036854775808,2]",
        "[4611686018427387904,4]", "[18446744073709551615]",
        "[4294967296,1,4294967296]", "[3]", "[1,1]", "[]"}) {
    EXPECT_THAT(TensorError("F32", shape, "[0,8]"),
                HasSubstr("'t': data_offsets is [0, 8], which does not fit"))
        << shape;
  }
  // The number of bits overflows.
  EXPECT_THAT(TensorError("F32", "[576460752303423490]", "[0,8]"),
              HasSubstr("does not fit"));
  EXPECT_THAT(TensorError("F32", "[0,9223372036854775808]", "[0,0]"),
              HasSubstr("wanted sizes of 1 or more"));
  EXPECT_THAT(TensorError("F32", "[-1]", "[0,8]"),
              HasSubstr("'t.shape[0]' is -1, wanted an integer"));
  EXPECT_THAT(TensorError("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]"),
              HasSubstr("9 dimensions, wanted at most 8"));
  EXPECT_THAT(TensorError("F4", "[3]", "[0,1]"), HasSubstr("does not fit"));
  for (const char* shape : {"2", "null", "\"2\"", "{}", "[2.0]", "[[2]]"}) {
    EXPECT_THAT(TensorError("F32", shape, "[0,8]"),
                StartsWith("f.safetensors: 't"))
        << shape;
  }
}

TEST(SafetensorsHostile, F4Offsets) {
  for (const char* offsets :
       {"[8,0]", "[0,9]", "[0,18446744073709551615]",
        "[18446744073709551608,0]", "[18446744073709551615,7]", "[9,9]"}) {
    EXPECT_THAT(TensorError("F32", "[2]", offsets),
                HasSubstr("but the data has 8 bytes"))
        << offsets;
  }
  for (const char* offsets :
       {"[-8,0]", "[0.0,8.0]", "[0,8e0]", "[0,\"8\"]", "[0,true]",
        "[0,18446744073709551616]", "[0,null]", "[[0],8]"}) {
    EXPECT_THAT(
        TensorError("F32", "[2]", offsets),
        AllOf(HasSubstr("'t.data_offsets["), HasSubstr("wanted an integer")))
        << offsets;
  }
  EXPECT_THAT(TensorError("F32", "[2]", "[00,8]"), HasSubstr("is not JSON"));
  EXPECT_THAT(TensorError("F32", "[2]", "[0,08]"), HasSubstr("is not JSON"));
  for (const char* offsets : {"[]", "[8]", "[0,4,8]"}) {
    EXPECT_THAT(TensorError("F32", "[2]", offsets),
                HasSubstr("numbers, wanted 2"))
        << offsets;
  }
  for (const char* offsets : {"8", "{}", "\"0,8\""}) {
    EXPECT_THAT(TensorError("F32", "[2]", offsets),
                HasSubstr("'t.data_offsets' is"))
        << offsets;
  }
}

TEST(SafetensorsHostile, F7Types) {
  for (const char* dtype : {"", "F31", "f32", "F32 ", "Q8_0", "-1"}) {
    EXPECT_THAT(TensorError(dtype, "[2]", "[0,8]"),
                HasSubstr(absl::StrCat("'t': dtype is '", dtype,
                                       "', wanted one of F32, F16, BF16")))
        << dtype;
  }
  EXPECT_THAT(TensorError("F32", "[4]", "[0,8]"), HasSubstr("does not fit"));
  EXPECT_THAT(TensorError("I64", "[2]", "[0,8]"), HasSubstr("does not fit"));
  EXPECT_THAT(HeaderError(R"({"t":{"dtype":0,"shape":[2],)"
                          R"("data_offsets":[0,8]}})"),
              HasSubstr("'t.dtype' is 0, wanted a string"));
}

TEST(SafetensorsHostile, F8Fields) {
  EXPECT_THAT(HeaderError(R"({"t":{"shape":[2],"data_offsets":[0,8]}})"),
              HasSubstr("f.safetensors: 't': no key 'dtype'"));
  EXPECT_THAT(HeaderError(R"({"t":{"dtype":"F32","data_offsets":[0,8]}})"),
              HasSubstr("no key 'shape'"));
  EXPECT_THAT(HeaderError(R"({"t":{"dtype":"F32","shape":[2]}})"),
              HasSubstr("no key 'data_offsets'"));
  for (const char* value : {"1", "null", "[]", "\"F32\""}) {
    EXPECT_THAT(HeaderError(absl::StrCat("{\"t\":", value, "}")),
                AllOf(StartsWith("f.safetensors: 't' is "),
                      HasSubstr("wanted an object")))
        << value;
  }
  EXPECT_THAT(HeaderError(R"({"__metadata__":{"a":1}})"),
              HasSubstr("'__metadata__.a' is 1, wanted a string"));
  EXPECT_THAT(HeaderError(R"({"__metadata__":[]})"),
              HasSubstr("'__metadata__' is an array, wanted an object"));
}

TEST(SafetensorsHostile, F9Duplicates) {
  const std::string tensor =
      R"("t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  EXPECT_THAT(HeaderError(absl::StrCat("{", tensor, ",", tensor, "}")),
              HasSubstr("two keys 't'"));
  EXPECT_THAT(HeaderError(R"({"__metadata__":{},"__metadata__":{}})"),
              HasSubstr("two keys '__metadata__'"));
  EXPECT_THAT(HeaderError(R"({"t":{"dtype":"F32","dtype":"F16"}})"),
              HasSubstr("'t': two keys 'dtype'"));
}

TEST(SafetensorsHostile, F10Coverage) {
  const auto two = [](std::string_view a, std::string_view b) {
    return HeaderError(absl::StrCat(R"({"a":{"dtype":"U8","shape":)", a,
                                    R"(},"b":{"dtype":"U8","shape":)", b,
                                    "}}"));
  };
  EXPECT_EQ(two(R"([4],"data_offsets":[0,4])", R"([4],"data_offsets":[4,8])"),
            "OK");
  EXPECT_EQ(two(R"([5],"data_offsets":[0,5])", R"([4],"data_offsets":[4,8])"),
            "f.safetensors: tensors 'a' and 'b' overlap");
  EXPECT_THAT(two(R"([8],"data_offsets":[0,8])", R"([8],"data_offsets":[0,8])"),
              HasSubstr("overlap"));
  EXPECT_THAT(two(R"([8],"data_offsets":[0,8])", R"([1],"data_offsets":[2,3])"),
              HasSubstr("overlap"));
  EXPECT_EQ(two(R"([3],"data_offsets":[0,3])", R"([4],"data_offsets":[4,8])"),
            "f.safetensors: bytes 3 to 4 of the data, before tensor 'b', "
            "belong to no tensor");
  EXPECT_THAT(two(R"([3],"data_offsets":[1,4])", R"([4],"data_offsets":[4,8])"),
              HasSubstr("bytes 0 to 1"));
  // Trailing bytes could make the file valid in a second format.
  EXPECT_EQ(two(R"([3],"data_offsets":[0,3])", R"([4],"data_offsets":[3,7])"),
            "f.safetensors: the data has 8 bytes, but the tensors end at 7");
  EXPECT_THAT(HeaderError("{}"), HasSubstr("but the tensors end at 0"));
}

TEST(SafetensorsHostile, F10Beginnings) {
  for (const char* header :
       {"\xEF\xBB\xBF{}", " {}", "\n{}", "/**/{}", "[]", "null", "\"\"", "1"}) {
    EXPECT_THAT(HeaderError(header), HasSubstr("does not begin with '{'"))
        << header;
  }
  EXPECT_THAT(HeaderError("{}//"), HasSubstr("is not JSON"));
  EXPECT_THAT(HeaderError("{}{}"), HasSubstr("is not JSON"));
  EXPECT_THAT(HeaderError(std::string("{}\0\0", 4)), HasSubstr("is not JSON"));
}

TEST(SafetensorsHostile, F11HeaderJson) {
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
  EXPECT_THAT(HeaderError(deep), HasSubstr("nested more than 64 deep"));
  EXPECT_THAT(HeaderError("{\"a\":" + std::string(100000, '[')),
              HasSubstr("nested more than 64 deep"));
  EXPECT_THAT(HeaderError("{\"\xFF\":1}"), HasSubstr("is not JSON"));
  EXPECT_THAT(HeaderError(R"({"\ud800":1})"), HasSubstr("is not JSON"));
  EXPECT_THAT(HeaderError(R"({"a\u0000":1})"),
              HasSubstr("'a\\x00' is 1, wanted an object"));
  EXPECT_THAT(HeaderError(absl::StrCat("{\"", std::string(257, 'n'),
                                       R"(":{"dtype":"F32","shape":[2],)"
                                       R"("data_offsets":[0,8]}})")),
              HasSubstr("name has 257 bytes, wanted at most 256"));
  std::string many = "{\"t0\":0";
  for (int i = 1; i <= 65536; ++i) absl::StrAppend(&many, ",\"t", i, "\":0");
  EXPECT_EQ(HeaderError(many + "}"),
            "f.safetensors: 65537 tensors, wanted at most 65536");
  // A long string is skipped.
  EXPECT_EQ(HeaderError(absl::StrCat(
                R"({"__metadata__":{"a":")", std::string(1 << 24, 'x'),
                R"("},"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})")),
            "OK");
}

TEST(SafetensorsHostile, F12EveryTruncation) {
  const Bytes good = TinySafetensors();
  ASSERT_EQ(HeaderError(good), "OK");
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(HeaderError(Bytes(good.begin(), good.begin() + size)),
                StartsWith("f.safetensors: "))
        << "first " << size;
  }
}

TEST(SafetensorsHostile, F13EveryStructuralByte) {
  const Bytes good = TinySafetensors();
  const size_t header = good.size() - (12 + 20 + 16 + 12 + 4);
  for (size_t i = 0; i < header; ++i) {
    for (int value : {0x00, 0x01, 0x7F, 0x80, 0xFF, good[i] ^ 1}) {
      Bytes bad(good.begin(), good.end());
      bad[i] = static_cast<uint8_t>(value);
      const absl::StatusOr<SafetensorsFile> file =
          ParseSafetensors(bad, "f.safetensors");
      if (file.ok()) Exercise(*file, bad);
      if (HasFatalFailure()) FAIL() << "byte " << i << " = " << value;
    }
  }
}

TEST(SafetensorsHostile, F14AnyWeightValues) {
  EXPECT_EQ(HeaderError(SafetensorsWriter()
                            .Tensor("t", "F32", {4}, Bytes(16, 0xFF))
                            .Finish()),
            "OK");
}

TEST(SafetensorsHostile, F15SmallestSizes) {
  EXPECT_EQ(TensorError("F32", "[1,2]", "[0,8]"), "OK");
  EXPECT_EQ(
      HeaderError(
          SafetensorsWriter().Tensor("t", "BF16", {1, 1}, Pattern(2)).Finish()),
      "OK");
  EXPECT_THAT(TensorError("BF16", "[0]", "[0,0]"),
              HasSubstr("shape is [0], wanted sizes of 1 or more"));
}

}  // namespace
}  // namespace gemma::internal

#include "src/formats/gguf.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/formats/gguf_types.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
constexpr uint32_t kGgufF32 = 0;

std::string ParseError(const Bytes& bytes) {
  // A copy of the exact size lets ASan find reads beyond its end.
  const Bytes copy(bytes.begin(), bytes.end());
  return ErrorOf(ParseGguf(copy, "f.gguf"));
}

// Returns the error of a file with one tensor.
std::string TensorError(const std::vector<uint64_t>& sizes, uint32_t type,
                        size_t data_bytes = 64) {
  return ParseError(
      GgufWriter().Tensor("t", sizes, type, Pattern(data_bytes)).Finish());
}

// Reads all that a parsed file offers and checks its promises.
void Exercise(const GgufFile& file, const Bytes& bytes) {
  std::vector<std::pair<const uint8_t*, const uint8_t*>> ranges;
  for (const auto& [name, tensor] : file.tensors) {
    ASSERT_FALSE(tensor.shape.empty());
    ASSERT_LE(tensor.shape.size(), 4u);
    ASSERT_EQ(tensor.NumValues() % BlockValues(tensor.format), 0u);
    ASSERT_EQ(tensor.bytes, tensor.NumValues() / BlockValues(tensor.format) *
                                BlockBytes(tensor.format));
    ASSERT_GE(tensor.data, bytes.data());
    ASSERT_LE(tensor.bytes,
              static_cast<size_t>(bytes.data() + bytes.size() - tensor.data));
    for (const auto& [begin, end] : ranges) {
      ASSERT_TRUE(tensor.data >= end || tensor.data + tensor.bytes <= begin);
    }
    ranges.emplace_back(tensor.data, tensor.data + tensor.bytes);
    // ASan checks the first and the last byte.
    volatile uint8_t sink = tensor.data[0];
    sink = tensor.data[tensor.bytes - 1];
    (void)sink;
  }
  for (std::string_view key : file.metadata.Keys()) {
    const auto read = [&](auto value) {
      file.metadata.Read(key, value).IgnoreError();
    };
    read(bool{});
    read(int32_t{});
    read(int64_t{});
    read(uint32_t{});
    read(size_t{});
    read(float{});
    read(std::string());
    read(std::string_view());
    read(std::vector<bool>());
    read(std::vector<int32_t>());
    read(std::vector<int64_t>());
    read(std::vector<size_t>());
    read(std::vector<float>());
    read(std::vector<std::string_view>());
  }
}

TEST(Gguf, ReadsBothVersions) {
  for (uint32_t version : {2u, 3u}) {
    const Bytes bytes = TinyGguf(version);
    const absl::StatusOr<GgufFile> file = ParseGguf(bytes, "f.gguf");
    ASSERT_EQ(ErrorOf(file), "OK");
    EXPECT_EQ(file->version, version);
    EXPECT_EQ(file->metadata.size(), 10u);
    EXPECT_EQ(file->tensors.size(), 3u);
    Exercise(*file, bytes);
  }
}

TEST(Gguf, ShapesAreOutermostFirst) {
  const Bytes bytes = TinyGguf();
  const absl::StatusOr<GgufFile> file = ParseGguf(bytes, "f.gguf");
  ASSERT_EQ(ErrorOf(file), "OK");
  const Tensor& embed = file->tensors.at("token_embd.weight");
  EXPECT_EQ(embed.format, Format::kQ8_0);
  EXPECT_THAT(embed.shape, ElementsAre(2, 64));
  EXPECT_EQ(embed.bytes, 2u * 2 * 34);
  EXPECT_EQ(Bytes(embed.data, embed.data + embed.bytes), Pattern(2 * 2 * 34));
  EXPECT_EQ(embed.file, "f.gguf");
  EXPECT_THAT(file->tensors.at("conv.weight").shape, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(file->tensors.at("conv.weight").format, Format::kBF16);
}

TEST(Gguf, KnowsEveryFormat) {
  const std::pair<uint32_t, Format> types[] = {
      {0, Format::kF32},      {1, Format::kF16},     {2, Format::kQ4_0},
      {3, Format::kQ4_1},     {6, Format::kQ5_0},    {7, Format::kQ5_1},
      {8, Format::kQ8_0},     {10, Format::kQ2_K},   {11, Format::kQ3_K},
      {12, Format::kQ4_K},    {13, Format::kQ5_K},   {14, Format::kQ6_K},
      {16, Format::kIQ2_XXS}, {17, Format::kIQ2_XS}, {18, Format::kIQ3_XXS},
      {20, Format::kIQ4_NL},  {21, Format::kIQ3_S},  {22, Format::kIQ2_S},
      {23, Format::kIQ4_XS},  {28, Format::kF64},    {30, Format::kBF16},
      {39, Format::kMXFP4},   {40, Format::kNVFP4}};
  for (const auto& [type, format] : types) {
    const Bytes data = Pattern(2 * BlockBytes(format));
    const Bytes bytes =
        GgufWriter().Tensor("t", {BlockValues(format), 2}, type, data).Finish();
    const absl::StatusOr<GgufFile> file = ParseGguf(bytes, "f.gguf");
    ASSERT_EQ(ErrorOf(file), "OK") << FormatName(format);
    EXPECT_EQ(file->tensors.at("t").format, format);
    EXPECT_EQ(file->tensors.at("t").bytes, data.size());
    // One byte less is too few.
    EXPECT_NE(ParseError(Bytes(bytes.begin(), bytes.end() - 1)), "OK");
  }
}

TEST(Gguf, ReadsMetadata) {
  const Bytes bytes = TinyGguf();
  const absl::StatusOr<GgufFile> file = ParseGguf(bytes, "f.gguf");
  ASSERT_EQ(ErrorOf(file), "OK");
  const GgufMetadata& metadata = file->metadata;

  std::string architecture;
  size_t layers = 0;
  float rope = 0, small_as_float = 0;
  bool add_bos = false;
  int32_t small = 0;
  uint64_t large = 0;
  std::vector<std::string_view> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;
  std::vector<bool> bools;
  EXPECT_EQ(ErrorOf(metadata.Read("general.architecture", architecture)), "OK");
  EXPECT_EQ(ErrorOf(metadata.Read("gemma3.block_count", layers)), "OK");
  EXPECT_EQ(ErrorOf(metadata.Read("gemma3.rope.freq_base", rope)), "OK");
  EXPECT_EQ(ErrorOf(metadata.Read("tokenizer.ggml.add_bos_token", add_bos)),
            "OK");
  EXPECT_EQ(ErrorOf(metadata.Read("tiny.int8", small)), "OK");
  EXPECT_EQ(ErrorOf(metadata.Read("tiny.int8", small_as_float)), "OK");
  EXPECT_EQ(ErrorOf(metadata.Read("tiny.uint64", large)), "OK");
  EXPECT_EQ(ErrorOf(metadata.Read("tokenizer.ggml.tokens", tokens)), "OK");
  EXPECT_EQ(ErrorOf(metadata.Read("tokenizer.ggml.scores", scores)), "OK");
  EXPECT_EQ(ErrorOf(metadata.Read("tokenizer.ggml.token_type", types)), "OK");
  EXPECT_EQ(ErrorOf(metadata.Read("tiny.bools", bools)), "OK");
  EXPECT_EQ(architecture, "gemma3");
  EXPECT_EQ(layers, 2u);
  EXPECT_EQ(rope, 1e6f);
  EXPECT_TRUE(add_bos);
  EXPECT_EQ(small, -5);
  EXPECT_EQ(small_as_float, -5.0f);
  EXPECT_EQ(large, uint64_t{1} << 40);
  EXPECT_THAT(tokens, ElementsAre("<pad>", "", "\xE2\x96\x81the"));
  EXPECT_THAT(scores, ElementsAre(0.0f, -1.0f, -2.5f));
  EXPECT_THAT(types, ElementsAre(3, 1, 1));
  EXPECT_THAT(bools, ElementsAre(true, false, true));
  // These are views, not copies.
  EXPECT_GE(tokens[0].data(), reinterpret_cast<const char*>(bytes.data()));
  EXPECT_LT(tokens[0].data(),
            reinterpret_cast<const char*>(bytes.data() + bytes.size()));

  EXPECT_TRUE(metadata.IsArray("tiny.bools"));
  EXPECT_FALSE(metadata.IsArray("tiny.int8"));
  EXPECT_FALSE(metadata.IsArray("missing"));
  EXPECT_EQ(metadata.TypeOf("tiny.bools"), GgufType::kBool);
  EXPECT_EQ(metadata.TypeOf("missing"), std::nullopt);
}

TEST(Gguf, MissingKeysKeepValue) {
  const Bytes bytes = TinyGguf();
  const absl::StatusOr<GgufFile> file = ParseGguf(bytes, "f.gguf");
  ASSERT_EQ(ErrorOf(file), "OK");
  size_t value = 7;
  std::string text = "old";
  std::vector<float> values = {1.0f};
  EXPECT_EQ(ErrorOf(file->metadata.Read("missing", value)), "OK");
  EXPECT_EQ(ErrorOf(file->metadata.Read("missing", text)), "OK");
  EXPECT_EQ(ErrorOf(file->metadata.Read("missing", values)), "OK");
  EXPECT_EQ(value, 7u);
  EXPECT_EQ(text, "old");
  EXPECT_THAT(values, ElementsAre(1.0f));
  EXPECT_EQ(ErrorOf(file->metadata.ReadRequired("missing", value)),
            "f.gguf: no key 'missing'");
}

TEST(Gguf, AcceptsFilesWithoutTensors) {
  EXPECT_EQ(ParseError(GgufWriter().Header()), "OK");
  EXPECT_EQ(ParseError(GgufWriter().Uint32("a", 1).Header()), "OK");
}

TEST(Gguf, HonoursTheAlignment) {
  for (uint32_t alignment : {1u, 2u, 64u, 65536u}) {
    const Bytes bytes = GgufWriter()
                            .Alignment(alignment)
                            .Tensor("a", {3}, kGgufF32, Pattern(12))
                            .Tensor("b", {2}, kGgufF32, Pattern(8))
                            .Finish();
    const absl::StatusOr<GgufFile> file = ParseGguf(bytes, "f.gguf");
    ASSERT_EQ(ErrorOf(file), "OK") << alignment;
    const Tensor& b = file->tensors.at("b");
    EXPECT_EQ(Bytes(b.data, b.data + b.bytes), Pattern(8)) << alignment;
  }
}

// ---------------------------------------------------------------------------
// Hostile files

TEST(GgufHostile, F1WrongBeginnings) {
  for (size_t size : {0, 1, 7, 8}) {
    const Bytes good = TinyGguf();
    EXPECT_NE(ParseError(Bytes(good.begin(), good.begin() + size)), "OK");
  }
  Bytes bad = TinyGguf();
  bad[0] = 'X';
  EXPECT_EQ(ParseError(bad), "f.gguf: begins with 'XGUF', wanted 'GGUF'");
  EXPECT_EQ(ParseError(TinyGguf(1)), "f.gguf: GGUF version 1, wanted 2 or 3");
  EXPECT_THAT(ParseError(TinyGguf(0)), HasSubstr("version 0"));
  EXPECT_THAT(ParseError(TinyGguf(4)), HasSubstr("version 4, wanted 2 or 3"));
  EXPECT_THAT(ParseError(TinyGguf(0x03000000)), HasSubstr("big-endian"));
}

TEST(GgufHostile, F2StringLengths) {
  for (uint64_t size : {uint64_t{1} << 32, (uint64_t{1} << 63) - 1,
                        uint64_t{1} << 63, kMax - 7, kMax}) {
    const Bytes header = ByteWriter()
                             .Raw("GGUF")
                             .Number(uint32_t{3})
                             .Number(uint64_t{0})
                             .Number(uint64_t{1})
                             .Number(size)
                             .Raw("abcdefgh")
                             .bytes();
    EXPECT_EQ(ParseError(header),
              absl::StrCat("f.gguf: the name of key 0 has ", size,
                           " bytes, wanted at most 65535"));
    EXPECT_THAT(
        ParseError(GgufWriter()
                       .RawKey("a", 8, ByteWriter().Number(size).bytes())
                       .Finish()),
        HasSubstr(absl::StrCat("key 'a' has ", size, " bytes, wanted")));
  }
  // One byte more than remains.
  EXPECT_EQ(ParseError(
                GgufWriter()
                    .RawKey("a", 8,
                            ByteWriter().Number(uint64_t{4}).Raw("abc").bytes())
                    .Header()),
            "f.gguf: key 'a' has 4 bytes, but 3 bytes remain in the file");
  const std::string name(257, 'n');
  EXPECT_THAT(
      ParseError(GgufWriter().Tensor(name, {1}, kGgufF32, Pattern(4)).Finish()),
      HasSubstr("name of tensor 0 has 257 bytes, wanted at most 256"));
}

TEST(GgufHostile, F3Shapes) {
  const uint64_t k32 = uint64_t{1} << 32;
  const uint64_t k62 = uint64_t{1} << 62;
  const uint64_t k63 = uint64_t{1} << 63;
  for (const std::vector<uint64_t>& sizes :
       std::vector<std::vector<uint64_t>>{{k32, k32},
                                          {k63, 2},
                                          {k62, 4},
                                          {k63},
                                          {kMax},
                                          {k62},
                                          {kMax, kMax, kMax, kMax},
                                          {1, k32, 1, k32}}) {
    EXPECT_THAT(TensorError(sizes, kGgufF32),
                HasSubstr("larger than the file"));
  }
  EXPECT_THAT(TensorError({17}, kGgufF32),
              HasSubstr("takes 68 bytes from offset 0, but the data has 64"));
  for (uint32_t type : {2u, 8u, 12u, 23u, 30u}) {
    EXPECT_THAT(TensorError({k63, 2}, type), HasSubstr("larger than the file"));
  }
  EXPECT_THAT(TensorError({0, k63}, kGgufF32),
              HasSubstr("dimension 0 is 0, wanted 1 or more"));
  EXPECT_THAT(TensorError({4, 0}, kGgufF32), HasSubstr("dimension 1 is 0"));
  EXPECT_THAT(TensorError({}, kGgufF32),
              HasSubstr("tensor 't' has 0 dimensions, wanted 1 to 4"));
  EXPECT_THAT(TensorError({1, 1, 1, 1, 1}, kGgufF32),
              HasSubstr("has 5 dimensions, wanted 1 to 4"));
}

TEST(GgufHostile, F4Offsets) {
  const auto error = [](uint64_t offset) {
    return ParseError(GgufWriter()
                          .Tensor("a", {8}, kGgufF32, Pattern(32))
                          .TensorAt("b", {8}, kGgufF32, offset)
                          .Finish());
  };
  EXPECT_EQ(error(32),
            "f.gguf: tensor 'b' takes 32 bytes from offset 32, but the data "
            "has 32");
  EXPECT_THAT(error(64), HasSubstr("from offset 64, but the data has 32"));
  EXPECT_THAT(error(kMax - 31), HasSubstr("but the data has 32"));
  EXPECT_THAT(error(uint64_t{1} << 63), HasSubstr("but the data has 32"));
  EXPECT_THAT(error(kMax),
              HasSubstr("starts at offset 18446744073709551615, wanted a "
                        "multiple of 32"));
  EXPECT_THAT(error(8), HasSubstr("starts at offset 8, wanted a multiple"));
}

TEST(GgufHostile, F5Alignment) {
  for (uint32_t alignment : {0u, 3u, 33u, 131072u, 1u << 31, 0xFFFFFFFFu}) {
    EXPECT_EQ(ParseError(GgufWriter()
                             .Uint32("general.alignment", alignment)
                             .Tensor("t", {1}, kGgufF32, Pattern(4))
                             .Finish()),
              absl::StrCat("f.gguf: key 'general.alignment' is ", alignment,
                           ", wanted a power of two, at most 65536"));
  }
  EXPECT_THAT(ParseError(GgufWriter()
                             .Value("general.alignment", 10, uint64_t{1} << 63)
                             .Finish()),
              HasSubstr("wanted a power of two"));
  EXPECT_THAT(
      ParseError(GgufWriter().String("general.alignment", "32").Finish()),
      HasSubstr("key 'general.alignment' is '32' of type string, "
                "wanted an integer"));
  EXPECT_THAT(
      ParseError(
          GgufWriter().Array<uint32_t>("general.alignment", 4, {32}).Finish()),
      HasSubstr("is an array of 1 values of type uint32"));
  // The data would begin after the end of the file.
  EXPECT_THAT(ParseError(GgufWriter()
                             .Uint32("general.alignment", 65536)
                             .Tensor("t", {1}, kGgufF32, Pattern(4))
                             .Finish()),
              HasSubstr("ends inside the padding before the data"));
}

TEST(GgufHostile, F6Counts) {
  for (uint64_t count :
       {uint64_t{65537}, uint64_t{1} << 31, uint64_t{1} << 63, kMax}) {
    EXPECT_EQ(
        ParseError(GgufWriter().ClaimTensors(count).Finish()),
        absl::StrCat("f.gguf: ", count, " tensors, wanted at most 65536"));
    EXPECT_EQ(ParseError(GgufWriter().ClaimKeys(count).Finish()),
              absl::StrCat("f.gguf: ", count, " keys, wanted at most 65536"));
  }
  EXPECT_THAT(ParseError(GgufWriter().ClaimTensors(65536).Header()),
              HasSubstr("ends inside the name of tensor"));
  EXPECT_THAT(ParseError(GgufWriter().ClaimKeys(1).Header()),
              HasSubstr("ends inside the name of key 0"));
}

TEST(GgufHostile, F6Arrays) {
  // Every type of element; strings of length zero take 8 bytes each.
  for (uint32_t type = 0; type <= 12; ++type) {
    for (uint64_t count :
         {uint64_t{17}, uint64_t{1000000000}, uint64_t{1} << 31,
          uint64_t{1} << 60, uint64_t{1} << 61, uint64_t{1} << 63, kMax}) {
      const Bytes value = ByteWriter()
                              .Number(type)
                              .Number(count)
                              .Raw(std::string(16, '\0'))
                              .bytes();
      EXPECT_THAT(
          ParseError(GgufWriter().RawKey("a", 9, value).Header()),
          HasSubstr(type == 9 ? "key 'a' is an array of arrays, wanted an "
                                "array of plain values"
                              : "but 16 bytes remain in the file"))
          << type << " " << count;
    }
  }
  EXPECT_THAT(ParseError(GgufWriter()
                             .RawKey("a", 9,
                                     ByteWriter()
                                         .Number(uint32_t{8})
                                         .Number(uint64_t{2})
                                         .String("x")
                                         .Number(uint64_t{100})
                                         .bytes())
                             .Header()),
              HasSubstr("key 'a': string 1 has 100 bytes, but 0 bytes remain"));
  EXPECT_EQ(ParseError(GgufWriter().Strings("a", {}).Header()), "OK");
}

TEST(Gguf, NamesUnreadTypes) {
  for (const NamedGgufType& type : UnreadGgufTypes()) {
    EXPECT_THAT(
        TensorError({256}, type.number, 512),
        AllOf(HasSubstr(absl::StrCat("tensor 't' is of type ", type.name,
                                     ", which is not read yet; wanted one of "
                                     "F32 (0), ")),
              HasSubstr("IQ2_XXS (16)")));
  }
  EXPECT_THAT(TensorError({256}, 19, 50), HasSubstr("of type IQ1_S, which"));
  EXPECT_THAT(TensorError({256}, 34, 54), HasSubstr("of type TQ1_0, which"));
}

TEST(GgufHostile, F7Types) {
  for (uint32_t type :
       {42u, 99u, 0x6E00u - 1, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu}) {
    EXPECT_THAT(TensorError({256}, type, 512),
                AllOf(HasSubstr(absl::StrCat("tensor 't' has type ", type,
                                             ", wanted one of F32 (0), ")),
                      HasSubstr("BF16 (30)")));
  }
  EXPECT_EQ(TensorError({33}, 8, 68),
            "f.gguf: tensor 't' of type Q8_0 has rows of 33 values, wanted a "
            "multiple of 32");
  EXPECT_THAT(TensorError({32, 8}, 12, 144), HasSubstr("multiple of 256"));
  for (uint32_t type : {13u, 100u, 0xFFFFFFFFu}) {
    EXPECT_EQ(
        ParseError(GgufWriter().RawKey("k", type, {}).Finish()),
        absl::StrCat("f.gguf: key 'k' has type ", type, ", wanted 0 to 12"));
  }
}

TEST(GgufHostile, F8WrongMetadataTypes) {
  const float nan = std::nanf("");
  const Bytes bytes = GgufWriter()
                          .String("text", "abc\n")
                          .Uint32("number", 7)
                          .Value("negative", 5, int32_t{-1})
                          .Value("huge", 10, kMax)
                          .Float32("nan", nan)
                          .Float32("inf", -INFINITY)
                          .Value("wide", 12, 1e300)
                          .Array<float>("floats", 6, {1.0f, nan})
                          .Array<int16_t>("ints", 3, {1, -2})
                          .Strings("texts", {"a"})
                          .Finish();
  const absl::StatusOr<GgufFile> file = ParseGguf(bytes, "f.gguf");
  ASSERT_EQ(ErrorOf(file), "OK");
  const GgufMetadata& metadata = file->metadata;
  size_t size = 5;
  int32_t integer = 5;
  float real = 5;
  bool flag = false;
  std::string text = "old";
  std::vector<size_t> sizes;
  std::vector<float> reals;
  std::vector<std::string_view> texts;
  EXPECT_EQ(ErrorOf(metadata.Read("text", size)),
            "f.gguf: key 'text' is 'abc\\n' of type string, wanted an integer "
            "from 0 to 18446744073709551615");
  EXPECT_EQ(ErrorOf(metadata.Read("number", text)),
            "f.gguf: key 'number' is 7 of type uint32, wanted a string");
  EXPECT_EQ(ErrorOf(metadata.Read("number", flag)),
            "f.gguf: key 'number' is 7 of type uint32, wanted a bool");
  EXPECT_EQ(ErrorOf(metadata.Read("negative", size)),
            "f.gguf: key 'negative' is -1 of type int32, wanted an integer "
            "from 0 to 18446744073709551615");
  EXPECT_THAT(ErrorOf(metadata.Read("huge", integer)),
              HasSubstr("wanted an integer from -2147483648 to 2147483647"));
  EXPECT_THAT(ErrorOf(metadata.Read("nan", real)),
              HasSubstr("is nan of type float32, wanted a finite number"));
  EXPECT_THAT(ErrorOf(metadata.Read("inf", real)),
              HasSubstr("is -inf of type float32, wanted a finite number"));
  EXPECT_THAT(ErrorOf(metadata.Read("wide", real)),
              HasSubstr("wanted a finite number"));
  EXPECT_THAT(ErrorOf(metadata.Read("nan", size)),
              HasSubstr("wanted an integer"));
  EXPECT_THAT(ErrorOf(metadata.Read("floats", reals)),
              HasSubstr("key 'floats': element 1 is nan of type float32"));
  EXPECT_THAT(ErrorOf(metadata.Read("ints", sizes)),
              HasSubstr("key 'ints': element 1 is -2 of type int16"));
  EXPECT_THAT(ErrorOf(metadata.Read("ints", texts)),
              HasSubstr("element 0 is 1 of type int16, wanted a string"));
  EXPECT_EQ(ErrorOf(metadata.Read("texts", text)),
            "f.gguf: key 'texts' is an array of 1 values of type string, "
            "wanted a string");
  EXPECT_EQ(ErrorOf(metadata.Read("number", reals)),
            "f.gguf: key 'number' is 7 of type uint32, wanted an array, each "
            "a finite number");
  EXPECT_EQ(size, 5u);
  EXPECT_EQ(integer, 5);
  EXPECT_EQ(real, 5.0f);
  EXPECT_EQ(text, "old");
  EXPECT_TRUE(sizes.empty() && reals.empty() && texts.empty());
}

TEST(GgufHostile, F8BoolValues) {
  EXPECT_EQ(ParseError(GgufWriter().Value("b", 7, uint8_t{2}).Finish()),
            "f.gguf: key 'b' is a bool of 2, wanted 0 or 1");
  EXPECT_THAT(
      ParseError(GgufWriter().Array<uint8_t>("b", 7, {1, 255}).Finish()),
      HasSubstr("wanted 0 or 1"));
}

TEST(GgufHostile, F9Duplicates) {
  EXPECT_EQ(ParseError(GgufWriter().Uint32("a", 1).Uint32("a", 1).Finish()),
            "f.gguf: key 'a' appears twice");
  EXPECT_EQ(ParseError(GgufWriter()
                           .Tensor("t", {1}, kGgufF32, Pattern(4))
                           .Tensor("t", {1}, kGgufF32, Pattern(4))
                           .Finish()),
            "f.gguf: tensor 't' appears twice");
  // These names differ.
  EXPECT_EQ(ParseError(GgufWriter()
                           .Tensor("t", {1}, kGgufF32, Pattern(4))
                           .Tensor("T", {1}, kGgufF32, Pattern(4))
                           .Tensor(std::string_view("t\0", 2), {1}, kGgufF32,
                                   Pattern(4))
                           .Finish()),
            "OK");
}

TEST(GgufHostile, F10Overlaps) {
  EXPECT_EQ(ParseError(GgufWriter()
                           .Tensor("a", {16}, kGgufF32, Pattern(64))
                           .TensorAt("b", {8}, kGgufF32, 32)
                           .Finish()),
            "f.gguf: tensors 'a' and 'b' overlap");
  // Two tensors with the same bytes.
  EXPECT_THAT(ParseError(GgufWriter()
                             .Tensor("a", {8}, kGgufF32, Pattern(32))
                             .TensorAt("b", {8}, kGgufF32, 0)
                             .Finish()),
              HasSubstr("overlap"));
  // One tensor inside another that is not its neighbour in the file.
  EXPECT_THAT(ParseError(GgufWriter()
                             .Tensor("a", {8}, kGgufF32, Pattern(32))
                             .Tensor("b", {32}, kGgufF32, Pattern(128))
                             .TensorAt("c", {1}, kGgufF32, 96)
                             .Finish()),
              HasSubstr("'b' and 'c' overlap"));
  // Bytes after the tensors are ignored, as in other programs.
  Bytes trailing = TinyGguf();
  trailing.push_back('P');
  trailing.push_back('K');
  EXPECT_EQ(ParseError(trailing), "OK");
}

TEST(GgufHostile, F11NamesArePrintable) {
  const std::string name = "a\n\x1B[31m\xFF" + std::string(5000, 'x');
  const std::string error =
      ParseError(GgufWriter().Value(name, 7, uint8_t{9}).Finish());
  EXPECT_THAT(error, StartsWith("f.gguf: key 'a\\n\\x1b[31m\\xff"));
  EXPECT_LT(error.size(), 300u);
}

TEST(GgufHostile, F12EveryTruncation) {
  for (uint32_t version : {2u, 3u}) {
    const Bytes good = TinyGguf(version);
    ASSERT_EQ(ParseError(good), "OK");
    for (size_t size = 0; size < good.size(); ++size) {
      const std::string error =
          ParseError(Bytes(good.begin(), good.begin() + size));
      EXPECT_THAT(error, StartsWith("f.gguf: ")) << "first " << size;
    }
  }
}

TEST(GgufHostile, F13EveryStructuralByte) {
  const Bytes good = TinyGguf();
  // All bytes before the tensors' data.
  const size_t header = good.size() - (32 + 2 * 2 * 34 + 24 + 48);
  for (size_t i = 0; i < header; ++i) {
    for (int value : {0x00, 0x01, 0x7F, 0x80, 0xFF, good[i] ^ 1}) {
      Bytes bad(good.begin(), good.end());
      bad[i] = static_cast<uint8_t>(value);
      const absl::StatusOr<GgufFile> file = ParseGguf(bad, "f.gguf");
      if (file.ok()) Exercise(*file, bad);
      if (HasFatalFailure()) FAIL() << "byte " << i << " = " << value;
    }
  }
}

TEST(GgufHostile, F13StructuralBytePairs) {
  const Bytes good = TinyGguf();
  uint32_t random = 1;
  const auto next = [&random] {
    return random = random * 1664525 + 1013904223;
  };
  for (int i = 0; i < 4000; ++i) {
    Bytes bad(good.begin(), good.end());
    for (int j = 0; j < 2; ++j) {
      bad[(next() >> 8) % bad.size()] = static_cast<uint8_t>(next() >> 16);
    }
    const absl::StatusOr<GgufFile> file = ParseGguf(bad, "f.gguf");
    if (file.ok()) Exercise(*file, bad);
    if (HasFatalFailure()) FAIL() << "round " << i;
  }
}

TEST(GgufHostile, F14AnyWeightValues) {
  EXPECT_EQ(TensorError({16}, kGgufF32, 64), "OK");
  EXPECT_EQ(
      ParseError(
          GgufWriter().Tensor("t", {16}, kGgufF32, Bytes(64, 0xFF)).Finish()),
      "OK");
}

TEST(GgufHostile, F15SmallestSizes) {
  EXPECT_EQ(TensorError({1}, kGgufF32, 4), "OK");
  EXPECT_EQ(TensorError({1, 1, 1, 1}, 1, 2), "OK");
  EXPECT_THAT(TensorError({0}, kGgufF32, 0),
              HasSubstr("is 0, wanted 1 or more"));
}

}  // namespace
}  // namespace gemma::internal

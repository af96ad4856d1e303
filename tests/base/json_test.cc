#include "src/base/json.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Json MustParse(std::string_view text) {
  absl::StatusOr<Json> json = Json::Parse(text, "f.json");
  EXPECT_EQ(ErrorOf(json), "OK") << text;
  return *json;
}

std::string ParseError(std::string_view text, const Json::Limits& limits = {}) {
  return ErrorOf(Json::Parse(text, "f.json", limits));
}

// The error of reading key "k" of {"k": <value>} as a T.
template <class T>
std::string ReadError(std::string_view value) {
  const Json json = MustParse(absl::StrCat("{\"k\": ", value, "}"));
  T result{};
  return ErrorOf(json.Read("k", result));
}

template <class T>
T ReadAs(std::string_view value) {
  const Json json = MustParse(absl::StrCat("{\"k\": ", value, "}"));
  T result{};
  EXPECT_EQ(ErrorOf(json.Read("k", result)), "OK") << value;
  return result;
}

TEST(Json, ReadsValues) {
  EXPECT_EQ(ReadAs<bool>("true"), true);
  EXPECT_EQ(ReadAs<size_t>("0"), 0u);
  EXPECT_EQ(ReadAs<size_t>("18446744073709551615"), SIZE_MAX);
  EXPECT_EQ(ReadAs<int32_t>("-2147483648"), INT32_MIN);
  EXPECT_EQ(ReadAs<int64_t>("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(ReadAs<int64_t>("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(ReadAs<uint32_t>("4294967295"), UINT32_MAX);
  EXPECT_EQ(ReadAs<float>("1e-06"), 1e-6f);
  EXPECT_EQ(ReadAs<float>("50"), 50.0f);
  EXPECT_EQ(ReadAs<float>("-3"), -3.0f);
  EXPECT_EQ(ReadAs<double>("0.1"), 0.1);
  EXPECT_EQ(ReadAs<std::string>("\"a\\u0041\\n\""), "aA\n");
  EXPECT_EQ(ReadAs<std::string>("\"\\ud83d\\ude00\""), "\xF0\x9F\x98\x80");
  EXPECT_THAT(ReadAs<std::vector<size_t>>("[1, 2, 3]"), ElementsAre(1, 2, 3));
  EXPECT_THAT(ReadAs<std::vector<int32_t>>("[]"), ElementsAre());
  EXPECT_THAT(ReadAs<std::vector<std::string>>("[\"a\", \"b\"]"),
              ElementsAre("a", "b"));
  EXPECT_THAT(ReadAs<std::vector<std::vector<size_t>>>("[[1], [2, 3]]"),
              ElementsAre(ElementsAre(1), ElementsAre(2, 3)));
}

TEST(Json, LargeIntegersKeepDigits) {
  for (const std::string digits :
       {"0", "-7", "18446744073709551615", "18446744073709551616",
        "-123456789012345678901234567890"}) {
    const absl::StatusOr<Json> json = Json::Parse(digits, "f");
    ASSERT_EQ(ErrorOf(json), "OK");
    EXPECT_TRUE(json->IsInteger());
    std::string read;
    EXPECT_EQ(ErrorOf(json->GetDigits(read)), "OK");
    EXPECT_EQ(read, digits);
    double value = 0;
    EXPECT_EQ(ErrorOf(json->Get(value)), "OK");
    EXPECT_EQ(value, std::stod(digits));
  }
  std::string read;
  EXPECT_EQ(ErrorOf(Json::Parse("1e20", "f")->GetDigits(read)),
            "f is the decimal number 1e+20, wanted an integer");
}

TEST(Json, MissingKeysKeepValue) {
  const Json json = MustParse(R"({"a": null})");
  size_t value = 7;
  EXPECT_EQ(ErrorOf(json.Read("a", value)), "OK");
  EXPECT_EQ(ErrorOf(json.Read("b", value)), "OK");
  EXPECT_EQ(value, 7u);
  EXPECT_TRUE(json.Has("a"));
  EXPECT_TRUE(json.IsNull("a"));
  EXPECT_FALSE(json.Has("b"));
  EXPECT_FALSE(json.IsNull("b"));
  EXPECT_EQ(ErrorOf(json.ReadRequired("a", value)),
            "f.json: no key 'a' (it is null)");
  EXPECT_EQ(ErrorOf(json.ReadRequired("b", value)), "f.json: no key 'b'");
}

TEST(Json, TypeErrorsNameKey) {
  EXPECT_EQ(ReadError<size_t>("\"8\""),
            "f.json: 'k' is the string '8', wanted an integer from 0 to "
            "18446744073709551615");
  EXPECT_EQ(ReadError<bool>("1"), "f.json: 'k' is 1, wanted true or false");
  EXPECT_EQ(ReadError<std::string>("[1]"),
            "f.json: 'k' is an array, wanted a string");
  EXPECT_EQ(ReadError<std::vector<size_t>>("[1, -2]"),
            "f.json: 'k[1]' is -2, wanted an integer from 0 to "
            "18446744073709551615");
  EXPECT_EQ(ReadError<std::vector<size_t>>("3"),
            "f.json: 'k' is 3, wanted an array");
}

TEST(Json, RefusesUnfitNumbers) {
  for (const char* text : {"-1", "1.0", "1e3", "1.5", "18446744073709551616",
                           "1e300", "true", "{}", "\"1\""}) {
    EXPECT_THAT(ReadError<size_t>(text), HasSubstr("wanted an integer"))
        << text;
  }
  for (const char* text : {"2147483648", "-2147483649", "1e2"}) {
    EXPECT_THAT(ReadError<int32_t>(text), HasSubstr("wanted an integer"))
        << text;
  }
  EXPECT_THAT(ReadError<int64_t>("9223372036854775808"),
              HasSubstr("wanted an integer"));
  EXPECT_THAT(ReadError<uint32_t>("4294967296"),
              HasSubstr("wanted an integer"));
  EXPECT_THAT(ReadError<float>("1e39"), HasSubstr("float can hold"));
  EXPECT_THAT(ReadError<float>("\"1\""), HasSubstr("wanted a number"));
  EXPECT_EQ(ReadAs<double>("1e39"), 1e39);
}

TEST(Json, FailedReadsKeepValue) {
  const Json json = MustParse(R"({"a": [1, "x"]})");
  std::vector<size_t> values = {9};
  EXPECT_NE(ErrorOf(json.Read("a", values)), "OK");
  EXPECT_THAT(values, ElementsAre(9));
}

TEST(Json, ChildrenKnowTheirPlace) {
  const Json json =
      MustParse(R"({"a": 1, "b": {"c": [0, {"d": [[], {}, "x"]}]}})");
  absl::StatusOr<std::optional<Json>> b = json.Object("b");
  ASSERT_EQ(ErrorOf(b), "OK");
  ASSERT_TRUE(b->has_value());
  absl::StatusOr<std::optional<Json>> c = (*b)->Array("c");
  ASSERT_EQ(ErrorOf(c), "OK");
  std::vector<std::string> where;
  for (const Json& element : (*c)->Elements()) where.push_back(element.Where());
  EXPECT_THAT(where, ElementsAre("f.json: 'b.c[0]'", "f.json: 'b.c[1]'"));
  for (const Json& element : (*c)->Elements()) {
    for (const auto& [name, value] : element.Members()) {
      EXPECT_EQ(name, "d");
      std::vector<size_t> numbers;
      EXPECT_EQ(value.size(), 3u);
      size_t last = 0;
      for (const Json& x : value.Elements()) {
        if (x.is_string()) {
          EXPECT_EQ(ErrorOf(x.Get(last)),
                    "f.json: 'b.c[1].d[2]' is the string 'x', wanted an "
                    "integer from 0 to 18446744073709551615");
        }
      }
    }
  }
  EXPECT_EQ(json.Where(), "f.json");
}

TEST(Json, PointersNamePlaces) {
  const Json json = MustParse(R"({"a": {"b/c~": [1, {"": 2}]}})");
  const Json list = *json.Find("a")->Find("b/c~");
  std::vector<std::string> pointers = {json.Pointer(), list.Pointer()};
  for (const Json& element : list.Elements()) {
    pointers.push_back(element.Pointer());
    const std::optional<Json> inner = element.Find("");
    if (inner.has_value()) pointers.push_back(inner->Pointer());
  }
  EXPECT_THAT(pointers, ElementsAre("", "/a/b~1c~0", "/a/b~1c~0/0",
                                    "/a/b~1c~0/1", "/a/b~1c~0/1/"));
}

TEST(Json, ChildrenOutliveTheDocument) {
  std::optional<Json> child;
  {
    const Json json = MustParse(R"({"a": {"b": "text"}})");
    child = json.Find("a");
  }
  std::string_view text;
  ASSERT_TRUE(child.has_value());
  EXPECT_EQ(ErrorOf(child->Read("b", text)), "OK");
  EXPECT_EQ(text, "text");
}

TEST(Json, ContainersCheckTypes) {
  const Json json = MustParse(R"({"a": [], "b": {}, "c": null})");
  EXPECT_EQ(ErrorOf(json.Object("a")),
            "f.json: 'a' is an array, wanted an object");
  EXPECT_EQ(ErrorOf(json.Array("b")),
            "f.json: 'b' is an object, wanted an array");
  EXPECT_FALSE(json.Object("c")->has_value());
  EXPECT_FALSE(json.Object("d")->has_value());
  EXPECT_FALSE(json.Array("d")->has_value());
  const Json array = MustParse("[1]");
  size_t value = 0;
  EXPECT_EQ(ErrorOf(array.Read("a", value)),
            "f.json is an array, wanted an object");
  EXPECT_EQ(ErrorOf(array.Object("a")), "f.json is an array, wanted an object");
  EXPECT_FALSE(array.Find("a").has_value());
}

TEST(Json, IteratesInFileOrder) {
  const Json json = MustParse(R"({"z": 1, "a": [5, 6], "m": {"x": 0}})");
  std::vector<std::string> names;
  for (const auto& [name, value] : json.Members()) names.emplace_back(name);
  EXPECT_THAT(names, ElementsAre("z", "a", "m"));
  EXPECT_EQ(json.size(), 3u);
  for (const Json& element : json.Elements()) ADD_FAILURE() << element.Where();
  for (const auto& [name, value] : MustParse("[]").Members()) {
    ADD_FAILURE() << name;
  }
  EXPECT_EQ(MustParse("17").size(), 0u);
}

// ---------------------------------------------------------------------------
// Hostile text

TEST(JsonHostile, RefusesNonJson) {
  for (const char* text :
       {"",       " ",         "{",         "}",     "[1,]",     "{\"a\":1,}",
        "{a:1}",  "{'a':1}",   "nul",       "NaN",   "Infinity", "-",
        "01",     "1.",        ".5",        "+1",    "0x10",     "\"a",
        "\"\t\"", "\"\\x\"",   "\"\\u12\"", "[1] 2", "{} {}",    "// c\n{}",
        "/**/{}", "{\"a\" 1}", "{1:2}",     "1e999", "-1e999",   "\"\n\"",
        "[1 2]"}) {
    EXPECT_THAT(ParseError(text), StartsWith("f.json: is not JSON: ")) << text;
  }
  for (std::string_view text :
       {std::string_view("{}\0", 3), std::string_view("{}\0 more", 8),
        std::string_view("\0{}", 3), std::string_view("\"\0\"", 3)}) {
    EXPECT_THAT(ParseError(text), StartsWith("f.json: is not JSON: byte "));
  }
}

TEST(JsonHostile, RefusesByteOrderMark) {
  EXPECT_THAT(ParseError("\xEF\xBB\xBF{}"), HasSubstr("byte order mark"));
  EXPECT_THAT(ParseError(std::string_view("\xFF\xFE{\0}\0", 6)),
              HasSubstr("is not JSON"));
}

TEST(JsonHostile, RefusesInvalidUtf8) {
  for (const char* text :
       {"\"\xFF\"", "\"\xC0\x80\"", "\"\xED\xA0\x80\"", "\"\xE2\x82\"",
        "\"\xF5\x80\x80\x80\"", "{\"\x80\":1}", "\"\\ud800\"", "\"\\udc00\"",
        "\"\\ud800x\"", "\"\\ud800\\u0041\""}) {
    const std::string error = ParseError(text);
    EXPECT_THAT(error, StartsWith("f.json: is not JSON: ")) << text;
    for (char c : error) EXPECT_TRUE(c >= ' ' && c <= '~') << error;
  }
}

TEST(JsonHostile, RefusesDuplicateKeys) {
  EXPECT_EQ(ParseError(R"({"a": 1, "b": 2, "a": 3})"),
            "f.json: two keys 'a', wanted each key once");
  EXPECT_EQ(ParseError(R"({"x": [0, {"y": {"a": 1, "\u0061": 3}}]})"),
            "f.json: 'x[1].y': two keys 'a', wanted each key once");
  EXPECT_EQ(ParseError(R"({"a": {"a": 1}, "b": {"a": 1}})"), "OK");
  EXPECT_EQ(ParseError(R"({"a": 1, "A": 2, "a\u0000": 3})"), "OK");
}

TEST(JsonHostile, RefusesDeepNesting) {
  const auto nested = [](size_t depth, char open, char close) {
    return std::string(depth, open) + std::string(depth, close);
  };
  EXPECT_EQ(ParseError(nested(64, '[', ']')), "OK");
  EXPECT_THAT(ParseError(nested(65, '[', ']')),
              HasSubstr("nested more than 64 deep"));
  EXPECT_THAT(ParseError(nested(100000, '[', ']')),
              HasSubstr("nested more than 64 deep"));
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  EXPECT_THAT(ParseError(objects), HasSubstr("nested more than 64 deep"));
  EXPECT_EQ(ParseError("[1, [2], [3]]", {.max_depth = 2}), "OK");
  EXPECT_THAT(ParseError("[1, [2, [3]]]", {.max_depth = 2}),
              HasSubstr("nested more than 2 deep"));
}

TEST(JsonHostile, RefusesLargeDocuments) {
  EXPECT_EQ(ParseError("[1,2]", {.max_bytes = 4}),
            "f.json: 5 bytes of JSON, wanted at most 4");
  EXPECT_EQ(ParseError("[1,2]", {.max_bytes = 5}), "OK");
  EXPECT_EQ(ParseError("[1,2,3]", {.max_values = 4}), "OK");
  EXPECT_THAT(ParseError("[1,2,3,4]", {.max_values = 4}),
              HasSubstr("more than 4 values"));
  EXPECT_THAT(ParseError("{\"a\":1,\"b\":2}", {.max_values = 3}),
              HasSubstr("more than 3 values"));
}

TEST(JsonHostile, MessagesCutLongTexts) {
  const std::string text(1 << 20, 'x');
  const Json json = MustParse("{\"k\": \"" + text + "\"}");
  size_t value = 0;
  EXPECT_LT(ErrorOf(json.Read("k", value)).size(), 300u);
  EXPECT_LT(ParseError("\"" + text).size(), 400u);
  EXPECT_LT(ParseError("{\"" + text + "\":1,\"" + text + "\":1}").size(), 400u);
}

TEST(JsonHostile, EscapesZeroBytes) {
  const Json json = MustParse(R"({"a\u0000b\n": "x"})");
  size_t value = 0;
  EXPECT_THAT(ErrorOf(json.Read(std::string_view("a\0b\n", 4), value)),
              AllOf(StartsWith("f.json: 'a\\x00b\\n'")));
}

TEST(JsonHostile, TruncationAndFlippedBytes) {
  const std::string good =
      R"({"a": [1, -2, 3.5e2, true, null], "b": {"c": "\u00e9\n", "d": {}}})";
  for (size_t size = 0; size < good.size(); ++size) {
    const std::vector<char> cut(good.begin(), good.begin() + size);
    EXPECT_NE(ParseError({cut.data(), cut.size()}), "OK") << size;
  }
  for (size_t i = 0; i < good.size(); ++i) {
    for (int value : {0x00, 0x01, 0x7F, 0x80, 0xFF, good[i] ^ 1}) {
      std::vector<char> bad(good.begin(), good.end());
      bad[i] = static_cast<char>(value);
      const absl::StatusOr<Json> json =
          Json::Parse({bad.data(), bad.size()}, "f.json");
      if (!json.ok()) continue;
      std::vector<float> numbers;
      json->Read("a", numbers).IgnoreError();
      for (const auto& [name, member] : json->Members()) member.Where();
    }
  }
}

}  // namespace
}  // namespace gemma::internal

// Lines of untrusted JSON.

#include "tools/gemma/io/json_line.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tests/support/error_of.h"

namespace gemma::tools {
namespace {

using ::testing::HasSubstr;

std::string Error(const std::string& line) {
  return ErrorOf(ParseJsonLine(line).status());
}

std::string Nested(size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(ParseJsonLine, ReadsValues) {
  for (const char* line :
       {"null", "[]", "{}", R"("\"[{")", R"({"a": [1, "]"]})", " 1 "}) {
    EXPECT_EQ(Error(line), "OK") << line;
  }
}

TEST(ParseJsonLine, LimitsDepth) {
  const std::string too_deep = "nested more than 64 deep, wanted less";
  EXPECT_EQ(Error(Nested(64)), "OK");
  EXPECT_EQ(Error(Nested(65)), too_deep);
  EXPECT_EQ(Error(Nested(1'000'000)), too_deep);
  EXPECT_EQ(Error(std::string(1'000'000, '[')), too_deep);
  EXPECT_EQ(Error(std::string(1'000'000, '{')), too_deep);
  EXPECT_EQ(Error(R"({"a": "\\", "b": )" + Nested(64) + "}"), too_deep);
}

TEST(ParseJsonLine, IgnoresBracketsInStrings) {
  const std::string brackets(1000, '[');
  EXPECT_EQ(Error("\"" + brackets + "\""), "OK");
  EXPECT_EQ(Error(R"("\"\\\")" + brackets + "\""), "OK");
}

TEST(ParseJsonLine, CountsWhatIsOpen) {
  std::string line = "[[]";
  for (int i = 0; i < 1000; ++i) line += ",[{}]";
  EXPECT_EQ(Error(line + "]"), "OK");
}

TEST(ParseJsonLine, RefusesOtherText) {
  for (const std::string& line :
       {std::string(), std::string("{"), std::string("]") + Nested(100),
        std::string("\"\xff\""), std::string("\""), std::string("\"\\")}) {
    EXPECT_THAT(Error(line), HasSubstr("not JSON in UTF-8")) << line;
  }
  EXPECT_EQ(Error("1" + std::string(400, '0')), "a number is too large");
}

TEST(JsonFields, NameTheWantedType) {
  const nlohmann::ordered_json object = {{"id", nullptr}, {"text", 5}};
  std::string found;
  EXPECT_EQ(ErrorOf(ReadTextField("text", object["text"], &found)),
            "'text' is of type number, wanted a string");
  EXPECT_EQ(ErrorOf(ReadId(object, &found)),
            "'id' is of type null, wanted a string or a number");
  EXPECT_EQ(found, "");
  EXPECT_EQ(ErrorOf(ReadId({{"id", "a"}}, &found)), "OK");
  EXPECT_EQ(found, "\"a\"");
}

}  // namespace
}  // namespace gemma::tools

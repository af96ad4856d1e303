// The command's own code for token ids, UTF-8 and JSON.

#include <nlohmann/json.hpp>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/measure/token_file.h"

namespace gemma::tools {
namespace {

using ::testing::ElementsAre;

TEST(TokenIds, AreSeparatedByBlanks) {
  EXPECT_THAT(ParseTokenIds("2 17\n4\t 5\r\n", " \t\r\n", "F").value(),
              ElementsAre(2, 17, 4, 5));
  EXPECT_EQ(ParseTokenIds("2 1x7", " ", "F").status().message(),
            "F: token 2 is '1x7', not an id");
  for (const char* bad : {"", "  ", "-1", "+1", "1.0", "2147483648", "2,3"}) {
    EXPECT_FALSE(ParseTokenIds(bad, " ", "F").ok()) << bad;
  }
}

TEST(Utf8, IsChecked) {
  EXPECT_TRUE(CheckUtf8("", "X").ok());
  EXPECT_TRUE(CheckUtf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "X").ok());
  EXPECT_EQ(CheckUtf8("ab\xFF", "X").message(),
            "X: byte 2 (0xFF) is not UTF-8");
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC3", "\xE0\x80\x80", "\xED\xA0\x80", "\xE2\x82",
        "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF0\x9F\x98"}) {
    EXPECT_FALSE(CheckUtf8(bad, "X").ok()) << bad;
  }
}

TEST(JsonText, EscapesEveryControlCharacter) {
  const nlohmann::ordered_json json = {"\x1b\x7F\u0080\u009b[2J\u00A0\xC2"};
  EXPECT_EQ(ToText(json),
            "[\n  \"\\u001b\\u007f\\u0080\\u009b[2J\u00A0\uFFFD\"\n]\n");
  EXPECT_EQ(ToLine(json),
            "[\"\\u001b\\u007f\\u0080\\u009b[2J\u00A0\uFFFD\"]\n");
  EXPECT_EQ(nlohmann::ordered_json::parse(ToText(json))[0],
            "\x1b\x7F\u0080\u009b[2J\u00A0\uFFFD");
}

}  // namespace
}  // namespace gemma::tools

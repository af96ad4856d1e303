// The command's own code for token ids, UTF-8, JSON and scores.

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/measure/scores.h"
#include "tools/gemma/measure/token_file.h"

namespace gemma::tools {
namespace {

using ::testing::ElementsAre;

TEST(TokenIds, AreSeparatedByBlanks) {
  EXPECT_THAT(ParseTokenIds("2 17\n4\t 5\r\n", " \t\r\n", "F").value(),
              ElementsAre(2, 17, 4, 5));
  EXPECT_EQ(ParseTokenIds("2 1x7", " ", "F").status().message(),
            "F: token 1 is '1x7', not an id");
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
  EXPECT_EQ(nlohmann::ordered_json::parse(ToText(json))[0],
            "\x1b\x7F\u0080\u009b[2J\u00A0\uFFFD");
}

TEST(Scores, EqualSoftmax) {
  const std::vector<float> logits = {1.0f, 2.0f, 3.0f};
  const double sum = std::exp(1.0) + std::exp(2.0) + std::exp(3.0);
  EXPECT_NEAR(NegativeLogLikelihood(logits, 1), std::log(sum) - 2.0, 1e-12);
  // No overflow.
  EXPECT_NEAR(NegativeLogLikelihood({1e30f, -1e30f}, 0), 0.0, 1e-12);
  EXPECT_EQ(MostProbable({1.0f, 3.0f, 3.0f}), 1);
}

TEST(Scores, CompareRows) {
  const RowError same = CompareRows({1.0f, 2.0f}, {1.0f, 2.0f});
  EXPECT_EQ(same.max_error, 0.0);
  EXPECT_EQ(same.max_reference, 2.0);
  EXPECT_NEAR(same.kl, 0.0, 1e-15);
  EXPECT_TRUE(same.same_top);

  const RowError other = CompareRows({1.0f, -3.0f}, {0.0f, 0.0f});
  EXPECT_EQ(other.max_error, 3.0);
  EXPECT_EQ(other.token, 1);
  EXPECT_TRUE(other.same_top);
  const double log_sum = std::log(std::exp(1.0) + std::exp(-3.0));
  EXPECT_NEAR(other.kl,
              0.5 * (std::log(0.5) - (1.0 - log_sum)) +
                  0.5 * (std::log(0.5) - (-3.0 - log_sum)),
              1e-12);
}

// Comparisons with NaN are false, so a hidden NaN would pass every test.
TEST(Scores, NeverHideNan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(CompareRows({nan, 2.0f}, {1.0f, 9.0f}).max_error));
  EXPECT_TRUE(std::isnan(CompareRows({1.0f, nan}, {9.0f, 2.0f}).max_error));
  EXPECT_TRUE(std::isnan(CompareRows({1.0f, 2.0f}, {9.0f, nan}).max_reference));
  EXPECT_TRUE(std::isnan(NegativeLogLikelihood({1.0f, nan, 2.0f}, 0)));
  EXPECT_TRUE(std::isnan(NegativeLogLikelihood({nan, 1.0f, 2.0f}, 1)));
}

TEST(Scores, ForEachRowOnce) {
  for (const size_t threads : {0, 1, 3, 50}) {
    std::vector<int> visits(17);
    ForEachRow(threads, visits.size(), [&](size_t row) { ++visits[row]; });
    EXPECT_THAT(visits, ::testing::Each(1)) << threads;
  }
}

}  // namespace
}  // namespace gemma::tools

// Policies from JSON.

#include <string>
#include <vector>

#include "gemma/classifier.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kGood[] =
    R"([{"name": "cats", "title": "Cats", "prompt_rule": "No \u732b.",)"
    R"( "response_rule": "None."},)"
    R"( {"name": "dogs-2.x_Y", "title": "D", "response_rule": "Woof."}])";

TEST(ParsePolicies, ReadsEveryField) {
  const auto policies = ParsePolicies(kGood);
  ASSERT_EQ(ErrorOf(policies), "OK");
  ASSERT_EQ(policies->size(), 2u);
  const Policy& cats = (*policies)[0];
  EXPECT_EQ(cats.name, "cats");
  EXPECT_EQ(cats.title, "Cats");
  EXPECT_EQ(cats.prompt_rule, "No \u732b.");
  EXPECT_EQ(cats.response_rule, "None.");
  const Policy& dogs = (*policies)[1];
  EXPECT_EQ(dogs.name, "dogs-2.x_Y");
  EXPECT_EQ(dogs.prompt_rule, "");
  EXPECT_EQ(dogs.response_rule, "Woof.");
}

// A wrong file and part of its message.
struct BadFile {
  std::string text;
  std::string says;
};

TEST(ParsePolicies, TellsWhatIsWrong) {
  const std::string good_rest = R"(, "title": "T", "prompt_rule": "r"})";
  const std::vector<BadFile> files = {
      {"", "p.json"},
      {"[", "p.json"},
      {"{}", "wanted an array"},
      {"[]", "wanted an array of one policy or more"},
      {"null", "wanted an array"},
      {"[1]", "'[0]' is"},
      {"[{}]", "name"},
      {R"([{"name": "a"}])", "title"},
      {R"([{"name": "a", "title": "T"}])", "has no rule"},
      {R"([{"name": "a", "title": "T", "prompt_rule": ""}])", "has no rule"},
      {R"([{"name": "a", "title": "", "prompt_rule": "r"}])", "a title"},
      {R"([{"name": "a", "title": "T", "rule": "r"}])", "has 'rule'"},
      {R"([{"name": 5)" + good_rest + "]", "'[0].name' is 5"},
      {R"([{"name": "")" + good_rest + "]", "1 to 64 letters"},
      {R"([{"name": "a b")" + good_rest + "]", "1 to 64 letters"},
      {R"([{"name": "-a")" + good_rest + "]", "1 to 64 letters"},
      {R"([{"name": "\u00e9")" + good_rest + "]", "1 to 64 letters"},
      {R"([{"name": "a\u0000")" + good_rest + "]", "1 to 64 letters"},
      {R"([{"name": ")" + std::string(65, 'a') + "\"" + good_rest + "]",
       "1 to 64 letters"},
      {R"([{"name": "a")" + good_rest + R"(, {"name": "a")" + good_rest + "]",
       "'[1].name' is the string 'a', wanted another name"},
      {R"([{"name": "a", "name": "b")" + good_rest + "]", "name"},
      {R"([{"name": "a", "title": "T", "prompt_rule": ["r"]}])",
       "'[0].prompt_rule' is"},
      {std::string(kGood) + " x", "p.json"},
      {std::string(100000, '['), "p.json"},
      {"[\"" + std::string(size_t{2} << 20, 'x') + "\"]", "p.json"},
      {"\xEF\xBB\xBF" + std::string(kGood), "p.json"},
      {"[{\"name\": \"\xFF\"" + good_rest + "]", "p.json"},
  };
  for (const BadFile& file : files) {
    SCOPED_TRACE(file.text.substr(0, 100));
    const auto policies = ParsePolicies(file.text, "p.json");
    EXPECT_EQ(policies.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(ErrorOf(policies),
                AllOf(HasSubstr("p.json"), HasSubstr(file.says)));
    EXPECT_EQ(ErrorOf(policies).find('\n'), std::string::npos);
  }
}

TEST(ParsePolicies, RefusesEveryTruncation) {
  const std::string good = kGood;
  for (size_t size = 0; size < good.size(); ++size) {
    // A copy of the exact size lets ASan find reads beyond its end.
    const std::vector<char> cut(good.begin(), good.begin() + size);
    EXPECT_FALSE(ParsePolicies({cut.data(), cut.size()}).ok()) << size;
  }
}

}  // namespace
}  // namespace gemma::internal

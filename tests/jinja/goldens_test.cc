// Compares with Python's jinja2. tools/reference/jinja_goldens.py writes the
// expected texts.

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/jinja/render.h"

namespace gemma::internal {
namespace {

using Json = nlohmann::ordered_json;

// 2026-02-03 14:05:09, the clock of the script.
constexpr int64_t kNow = 1770127509;

std::string Read(const std::string& name) {
  std::ifstream file(std::string(GEMMA_TESTDATA_DIR) + "/jinja/" + name,
                     std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Json Conversations() {
  Json conversations = Json::parse(Read("conversations.json"));
  for (Json& conversation : conversations) {
    conversation[std::string(kLocalTimeVariable)] = kNow;
  }
  return conversations;
}

// Expects the text, the error of raise_exception, or any other error.
void ExpectGolden(const Json& golden,
                  const absl::StatusOr<MarkedText>& result) {
  if (golden.contains("text")) {
    EXPECT_EQ(TextOf(result), golden["text"].get<std::string>());
    return;
  }
  ASSERT_FALSE(result.ok()) << result->text() << "\nwanted " << golden.dump();
  EXPECT_EQ(IsRaised(result.status()), golden.contains("raised"));
  if (golden.contains("raised")) {
    EXPECT_EQ(result.status().message(), golden["raised"].get<std::string>());
  }
}

TEST(JinjaGoldens, TemplatesEqualJinja) {
  const Json goldens = Json::parse(Read("goldens.json"))["templates"];
  const Json conversations = Conversations();
  EXPECT_GE(goldens.size(), 40u);
  for (const auto& [name, texts] : goldens.items()) {
    const absl::StatusOr<JinjaTemplate> parsed =
        JinjaTemplate::Parse(Read("templates/" + name + ".jinja"));
    ASSERT_TRUE(parsed.ok()) << name << ": " << parsed.status();
    for (const auto& [conversation, golden] : texts.items()) {
      SCOPED_TRACE(name + ", " + conversation);
      ExpectGolden(golden,
                   parsed->Render(ValueOf(conversations[conversation])));
    }
  }
}

TEST(JinjaGoldens, ExpressionsEqualJinja) {
  const Json goldens = Json::parse(Read("goldens.json"))["expressions"];
  const JinjaValue variables = ValueOf(Conversations()["expressions"]);
  EXPECT_GE(goldens.size(), 100u);
  for (const Json& golden : goldens) {
    const auto source = golden["source"].get<std::string>();
    SCOPED_TRACE(source);
    const absl::StatusOr<JinjaTemplate> parsed = JinjaTemplate::Parse(source);
    ExpectGolden(golden, parsed.ok()
                             ? parsed->Render(variables)
                             : absl::StatusOr<MarkedText>(parsed.status()));
  }
}

}  // namespace
}  // namespace gemma::internal

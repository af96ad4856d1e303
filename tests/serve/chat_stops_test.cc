// Where texts of `stop` match in a chat: after min_tokens, and not in thoughts.

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/serve/serve_client.h"
#include "tests/serve/tool_toys.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

// A character of ASCII that is in `text` and not in `other`, or nothing.
std::string CharacterOf(std::string_view text, std::string_view other = "") {
  const auto found = std::ranges::find_if(text, [&](char c) {
    return c > ' ' && c < 0x7F && other.find(c) == std::string_view::npos;
  });
  return found == text.end() ? "" : std::string(1, *found);
}

TEST(ChatStops, WaitForMinTokens) {
  for (const Dialect& dialect : Dialects()) {
    for (const bool has_tools : {false, true}) {
      SCOPED_TRACE(absl::StrCat(dialect.name, has_tools ? " with tools" : ""));
      Server server = ServerOf(dialect.model);
      const Tokenizer& tokenizer = **dialect.model.tokenizer();
      ServeJson body = {{"messages", UserAsks("the")},
                        {"seed", 3},
                        {"max_tokens", 24},
                        {"min_tokens", 24},
                        {"logit_bias", {{absl::StrCat(dialect.call), -100}}}};
      if (has_tools) body["tools"] = Tools();
      if (const auto thoughts = tokenizer.Find("<|channel>")) {
        body["logit_bias"][absl::StrCat(*thoughts)] = -100;
      }
      const ServeJson whole = Post(server, kChatPath, body).json["choices"][0];
      const std::string text = whole["message"]["content"];
      const std::string stop = CharacterOf(text);
      ASSERT_NE(stop, "") << text;
      body["stop"] = {stop};
      EXPECT_EQ(Post(server, kChatPath, body).json["choices"][0], whole);
      body.erase("min_tokens");
      const ServeJson cut = Post(server, kChatPath, body).json["choices"][0];
      EXPECT_EQ(cut["message"]["content"].get<std::string>().find(stop),
                std::string::npos);
      // Then it ends the answer as soon as it may.
      body["min_tokens"] = 6;
      const ServeJson usage = Post(server, kChatPath, body).json["usage"];
      EXPECT_GE(usage["completion_tokens"], 6);
    }
  }
}

// Gemma 4 with a token that is the name of the channel of thoughts.
Model ThinkingToy() {
  const std::filesystem::path to = std::filesystem::path(::testing::TempDir()) /
                                   absl::StrCat("thinking_toy_", getpid());
  std::filesystem::copy(ToyPath("gemma4_chat"), to);
  const std::filesystem::path tokenizer = to / "tokenizer.json";
  std::ostringstream bytes;
  bytes << std::ifstream(tokenizer, std::ios::binary).rdbuf();
  std::filesystem::remove(tokenizer);
  std::ofstream(tokenizer, std::ios::binary) << absl::StrReplaceAll(
      bytes.str(), {{"\"q\": 434", "\"thought\\n\": 434"}});
  Model model = LoadOrDie(to.string(), {.num_threads = kToyThreads});
  std::filesystem::remove_all(to);
  return model;
}

TEST(ChatStops, SpareThoughts) {
  const Model model = ThinkingToy();
  Server server = ServerOf(model);
  const Tokenizer& tokenizer = **model.tokenizer();
  // The penalty lets each token come once: the channel's, its name, others.
  ServeJson body = {{"messages", UserAsks("the")},
                    {"think", true},
                    {"max_tokens", 24},
                    {"frequency_penalty", 1000},
                    {"logit_bias",
                     {{absl::StrCat(*tokenizer.Find("<|channel>")), 900},
                      {"434", 800},
                      {absl::StrCat(*tokenizer.Find("<channel|>")), 5}}}};
  size_t thinking = 0;
  for (int seed = 1; seed <= 20; ++seed) {
    body["seed"] = seed;
    body.erase("stop");
    const ServeJson whole = Post(server, kChatPath, body).json["choices"][0];
    const ServeJson& message = whole["message"];
    const std::string text =
        message["content"].is_null() ? "" : message["content"];
    const std::string thoughts = message.value("reasoning_content", "");
    const std::string stop = CharacterOf(thoughts, text);
    if (stop.empty()) continue;
    body["stop"] = {stop, "thought"};
    EXPECT_EQ(Post(server, kChatPath, body).json["choices"][0], whole);
    ++thinking;
  }
  EXPECT_GE(thinking, 3);
}

}  // namespace
}  // namespace gemma::internal

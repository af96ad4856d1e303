// Fields that change how an answer is chosen: each changes it as the option of
// its name does, and no other option would.

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/serve/serve_client.h"
#include "tests/serve/tool_toys.h"
#include "tests/support/error_of.h"

namespace gemma::internal {
namespace {

constexpr size_t kAnswerTokens = 24;

// Sets an option to a value.
using SetOption = void (*)(SamplingOptions& options, double value);

struct SamplingField {
  const char* name;  // in requests
  SetOption set;
};

constexpr SamplingField kFields[] = {
    {"temperature", [](SamplingOptions& o,
                       double v) { o.temperature = static_cast<float>(v); }},
    {"top_k",
     [](SamplingOptions& o, double v) { o.top_k = static_cast<size_t>(v); }},
    {"top_p",
     [](SamplingOptions& o, double v) { o.top_p = static_cast<float>(v); }},
    {"min_p",
     [](SamplingOptions& o, double v) { o.min_p = static_cast<float>(v); }},
    {"typical_p",
     [](SamplingOptions& o, double v) { o.typical_p = static_cast<float>(v); }},
    {"repetition_penalty",
     [](SamplingOptions& o, double v) {
       o.repetition_penalty = static_cast<float>(v);
     }},
    {"frequency_penalty",
     [](SamplingOptions& o, double v) {
       o.frequency_penalty = static_cast<float>(v);
     }},
    {"presence_penalty",
     [](SamplingOptions& o, double v) {
       o.presence_penalty = static_cast<float>(v);
     }},
    {"penalty_window",
     [](SamplingOptions& o, double v) {
       o.penalty_window = static_cast<size_t>(v);
     }},
};

// Biases by which answers have few tokens, so that these come again and each
// penalty has an effect of its own.
std::vector<LogitBias> FewTokens() {
  std::vector<LogitBias> biases;
  for (TokenId token = 300; token < 312; ++token) biases.push_back({token, 30});
  return biases;
}

// A value of a field, in a request that has the others, too.
struct SamplingCase {
  std::string_view name;
  double value;
  std::vector<std::pair<std::string_view, double>> others = {};
};

// The window counts only with a penalty.
const std::vector<SamplingCase>& SamplingCases() {
  static const auto* cases = new std::vector<SamplingCase>{
      {"temperature", 0.5},
      {"temperature", 3},
      {"top_k", 3},
      {"top_p", 0.5},
      {"min_p", 0.5},
      {"typical_p", 0.5},
      {"repetition_penalty", 1.25},
      {"frequency_penalty", 1.25},
      {"presence_penalty", 1.25},
      {"penalty_window", 3, {{"frequency_penalty", 1.25}}},
  };
  return *cases;
}

void SetField(std::string_view name, double value, SamplingOptions& options) {
  for (const SamplingField& field : kFields) {
    if (field.name == name) return field.set(options, value);
  }
  ADD_FAILURE() << name;
}

GenerateOptions OptionsWith(const SamplingCase& with) {
  GenerateOptions options;
  options.max_new_tokens = kAnswerTokens;
  options.sampling.seed = 11;
  options.sampling.logit_bias = FewTokens();
  for (const auto& [name, value] : with.others) {
    SetField(name, value, options.sampling);
  }
  return options;
}

// The request of a case; a whole number is written as one.
ServeJson BodyWith(const SamplingCase& with) {
  ServeJson body = {{"seed", 11}, {"max_tokens", kAnswerTokens}};
  for (const auto& [token, bias] : FewTokens()) {
    body["logit_bias"][absl::StrCat(token)] = bias;
  }
  const auto add = [&](std::string_view name, double value) {
    if (value == std::floor(value)) {
      body[name] = static_cast<int64_t>(value);
    } else {
      body[name] = value;
    }
  };
  for (const auto& [name, value] : with.others) add(name, value);
  add(with.name, with.value);
  return body;
}

TEST(SamplingFields, HaveOwnEffects) {
  const Model model = Gemma3Toy();
  Server server = ServerOf(model);
  const std::vector<TokenId> turn = *model.chat_template()->UserTurn("the");
  for (const SamplingCase& one : SamplingCases()) {
    SCOPED_TRACE(absl::StrCat(one.name, " ", one.value));
    GenerateOptions options = OptionsWith(one);
    const std::string without = AnswerOf(model, turn, options).text;
    SetField(one.name, one.value, options.sampling);
    const std::string wanted = AnswerOf(model, turn, options).text;
    EXPECT_NE(wanted, without);
    // Nor would it be this answer if another option had the value.
    for (const SamplingField& other : kFields) {
      if (one.name == other.name) continue;
      GenerateOptions swapped = OptionsWith(one);
      other.set(swapped.sampling, one.value);
      if (!Validate(swapped.sampling).ok()) continue;
      EXPECT_NE(AnswerOf(model, turn, swapped).text, wanted) << other.name;
    }
    ServeJson body = BodyWith(one);
    body["prompt"] = turn;
    Reply reply = Post(server, kTextPath, body);
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.json["choices"][0]["text"], wanted);
    body.erase("prompt");
    body["messages"] = UserAsks("the");
    reply = Post(server, kChatPath, body);
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.json["choices"][0]["message"]["content"], wanted);
  }
}

TEST(SamplingFields, StopTokensEndAnswers) {
  const Model model = Gemma3Toy();
  Server server = ServerOf(model);
  const std::vector<TokenId> prompt = {2, 300, 310};
  GenerateOptions options;
  options.max_new_tokens = kAnswerTokens;
  options.sampling.seed = 11;
  const std::vector<TokenId> tokens = AnswerOf(model, prompt, options).tokens;
  ASSERT_EQ(tokens.size(), kAnswerTokens);
  for (const size_t size : {size_t{3}, size_t{9}}) {
    ASSERT_EQ(std::ranges::find(tokens, tokens[size]) - tokens.begin(), size);
    options.stop_tokens = {tokens[size], 7};
    const Reply reply = Post(server, kTextPath,
                             {{"prompt", prompt},
                              {"seed", 11},
                              {"max_tokens", kAnswerTokens},
                              {"stop_token_ids", options.stop_tokens}});
    const ServeJson& choice = reply.json["choices"][0];
    EXPECT_EQ(choice["text"], AnswerOf(model, prompt, options).text)
        << reply.body;
    EXPECT_EQ(choice["finish_reason"], "stop");
    EXPECT_EQ(choice["stop_reason"], "stop_token");
    EXPECT_EQ(reply.json["usage"]["completion_tokens"], size);
  }
}

// The log-probabilities of an answer's tokens.
std::vector<double> ScoresOf(const Model& model, const ChatOptions& turns) {
  std::vector<double> scores;
  GenerateOptions options;
  options.max_new_tokens = 6;
  options.sampling.seed = 4;
  options.on_token = [&](const ScoredToken& token) {
    scores.push_back(*token.log_probability);
  };
  const auto prompt =
      model.chat_template()->Render({{Role::kUser, "the"}}, turns);
  EXPECT_EQ(ErrorOf(prompt), "OK");
  AnswerOf(model, *prompt, options);
  return scores;
}

// The prompt is the one that turns thoughts on or off.
TEST(ThinkingFields, ChangeThePrompt) {
  const Model model = Gemma4Toy();
  Server server = ServerOf(model);
  ChatOptions thinking, not_thinking;
  thinking.thinking = true;
  not_thinking.thinking = false;
  const std::vector<double> on = ScoresOf(model, thinking);
  const std::vector<double> off = ScoresOf(model, not_thinking);
  ASSERT_NE(on, off);
  const auto scores = [&](const char* fields) {
    ServeJson body = {{"messages", UserAsks("the")},
                      {"seed", 4},
                      {"max_tokens", 6},
                      {"logprobs", true}};
    body.update(ServeJson::parse(fields));
    const Reply reply = Post(server, kChatPath, body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    std::vector<double> all;
    for (const ServeJson& token :
         reply.json["choices"][0]["logprobs"]["content"]) {
      all.push_back(token["logprob"].get<double>());
    }
    return all;
  };
  for (const char* fields :
       {R"({"think": true})", R"({"reasoning_effort": "low"})",
        R"({"reasoning_effort": "medium"})", R"({"reasoning_effort": "high"})",
        R"({"reasoning_effort": "xhigh"})",
        R"({"chat_template_kwargs": {"enable_thinking": true}})",
        R"({"think": true, "reasoning_effort": "high"})"}) {
    EXPECT_EQ(scores(fields), on) << fields;
  }
  for (const char* fields :
       {R"({"think": false})", R"({"reasoning_effort": "none"})",
        R"({"reasoning_effort": "minimal"})",
        R"({"chat_template_kwargs": {"enable_thinking": false}})"}) {
    EXPECT_EQ(scores(fields), off) << fields;
  }
  EXPECT_EQ(scores("{}"), ScoresOf(model, ChatOptions()));
}

}  // namespace
}  // namespace gemma::internal

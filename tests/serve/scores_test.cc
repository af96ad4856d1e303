// Prompts that are only read, scores of given texts, and /metrics.

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/serve/routes/metrics.h"
#include "tests/serve/serve_client.h"
#include "tests/support/error_of.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

constexpr char kScorePath[] = "/v1/score";

// As lm-eval asks for log-likelihoods.
TEST(TextRoute, ReadsWithoutAnswering) {
  const Model model = Gemma3Toy();
  Server server = ServerOf(model);
  const std::vector<TokenId> prompt = {2, 300, 310, 320, 330};
  const Reply reply = Post(
      server, kTextPath,
      {{"prompt", prompt}, {"echo", true}, {"logprobs", 1}, {"max_tokens", 0}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  std::vector<double> wanted;
  GenerateOptions options;
  options.prompt_only = true;
  options.score_prompt = true;
  options.on_token = [&](const ScoredToken& token) {
    wanted.push_back(token.log_probability.value_or(1));
  };
  AnswerOf(model, prompt, options);
  const ServeJson& choice = reply.json["choices"][0];
  EXPECT_EQ(choice["text"], (*model.tokenizer())->Decode(prompt));
  EXPECT_EQ(choice["finish_reason"], "length");
  ASSERT_EQ(choice["logprobs"]["tokens"].size(), prompt.size());
  ASSERT_EQ(wanted.size(), prompt.size());
  for (size_t i = 1; i < prompt.size(); ++i) {
    EXPECT_EQ(choice["logprobs"]["token_logprobs"][i].get<double>(), wanted[i]);
  }
  EXPECT_EQ(reply.json["usage"]["completion_tokens"], 0);
  EXPECT_EQ(reply.json["usage"]["prompt_tokens"], prompt.size());
}

// lm-eval sums all but the last log-probability, so that one must not be the
// prompt's, also if the answer ends at once.
TEST(TextRoute, ScoresNoStopStrings) {
  Server server = ServerOf(Gemma3Toy());
  ServeJson body = {{"prompt", "the"},
                    {"seed", 2},
                    {"max_tokens", 20},
                    {"logprobs", 1},
                    {"echo", true}};
  const ServeJson whole = Post(server, kTextPath, body).json["choices"][0];
  const std::string text = whole["text"];
  ASSERT_GT(text.size(), 8);
  // A stop that a token completes: neither its text nor the token is listed.
  const size_t prompt = 3;
  body["stop"] = text.substr(prompt, 3);
  for (const bool stream : {false, true}) {
    body["stream"] = stream;
    const Reply reply = Post(server, kTextPath, body);
    std::string rest;
    std::vector<std::string> tokens;
    std::vector<size_t> offsets;
    const auto read = [&](const ServeJson& choice) {
      rest += choice["text"].get<std::string>();
      if (choice["logprobs"].is_null()) return;
      for (const ServeJson& token : choice["logprobs"]["tokens"]) {
        tokens.push_back(token);
      }
      for (const ServeJson& offset : choice["logprobs"]["text_offset"]) {
        offsets.push_back(offset);
      }
    };
    if (stream) {
      for (const ServeJson& event : reply.events) read(event["choices"][0]);
    } else {
      read(reply.json["choices"][0]);
    }
    EXPECT_EQ(rest, "the");
    EXPECT_EQ(tokens.size(), offsets.size());
    ASSERT_FALSE(tokens.empty());
    // The prompt's tokens are listed all the same.
    std::string joined;
    for (size_t i = 1; i < tokens.size(); ++i) joined += tokens[i];
    EXPECT_EQ(tokens[0], "<bos>");
    EXPECT_EQ(joined, "the");
  }
}

TEST(TextRoute, ScoresStopsAfterEchoes) {
  const Model model = Gemma3Toy();
  Server server = ServerOf(model, {.max_tokens = 16});
  ServeJson body = {{"prompt", {2, 300, 310, 320, 330}},
                    {"echo", true},
                    {"logprobs", 1},
                    {"max_tokens", 1},
                    {"temperature", 0}};
  const ServeJson plain = Post(server, kTextPath, body).json;
  body["logit_bias"] = {{"1", 1e9}};
  const Reply reply = Post(server, kTextPath, body);
  ASSERT_EQ(reply.status, 200) << reply.body;
  const ServeJson& choice = reply.json["choices"][0];
  EXPECT_EQ(choice["stop_reason"], "stop_token");
  const ServeJson& logprobs = choice["logprobs"];
  EXPECT_EQ(logprobs["tokens"].size(), 6);
  EXPECT_EQ(logprobs["tokens"][5], "<eos>");
  ASSERT_EQ(logprobs["token_logprobs"].size(), 6);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(logprobs["token_logprobs"][i],
              plain["choices"][0]["logprobs"]["token_logprobs"][i]);
  }
  EXPECT_LT(logprobs["token_logprobs"][5].get<double>(), 0);
  EXPECT_EQ(reply.json["usage"]["completion_tokens"], 0);
  // Without room for a new token, the list would be too short.
  body["prompt"] = std::vector<TokenId>(16, 300);
  const Reply full = Post(server, kTextPath, body);
  EXPECT_EQ(full.status, 400);
  EXPECT_EQ(full.json["error"]["code"], "context_length_exceeded");
}

TEST(ScoreRoute, ScoresAsScore) {
  const Model model = Gemma3Toy();
  Server server = ServerOf(model);
  const Tokenizer& tokenizer = **model.tokenizer();
  const std::vector<std::vector<TokenId>> choices = {
      *tokenizer.Encode(" model"), *tokenizer.Encode("us and them")};
  Session session = NewSession(model, {.max_tokens = 4096});
  const std::vector<TokenId> prompt = *model.chat_template()->UserTurn("the");
  const auto wanted = Score(session, prompt, choices);
  ASSERT_EQ(ErrorOf(wanted), "OK");
  const ServeJson messages = {{{"role", "user"}, {"content", "the"}}};
  const Reply reply =
      Post(server, kScorePath,
           {{"messages", messages}, {"choices", {" model", "us and them"}}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  for (size_t i = 0; i < 2; ++i) {
    const ServeJson& choice = reply.json["choices"][i];
    EXPECT_EQ(choice["log_probability"].get<double>(),
              (*wanted)[i].log_probability);
    EXPECT_EQ(choice["is_greedy"].get<bool>(), (*wanted)[i].is_greedy);
    EXPECT_EQ(choice["tokens"].get<std::vector<TokenId>>(), choices[i]);
    EXPECT_EQ(choice["token_log_probabilities"].get<std::vector<double>>(),
              (*wanted)[i].token_log_probabilities);
  }
  EXPECT_EQ(reply.json["usage"]["prompt_tokens"], prompt.size());
  const Reply tokens =
      Post(server, kScorePath, {{"prompt", prompt}, {"choices", choices}});
  EXPECT_EQ(tokens.json["choices"], reply.json["choices"]);
}

TEST(ScoreRoute, RefusesWrongFields) {
  Server server = ServerOf(Gemma3Toy());
  const auto error = [&](const ServeJson& body) {
    const Reply reply = Post(server, kScorePath, body);
    EXPECT_EQ(reply.status, 400) << reply.body;
    return reply.error();
  };
  EXPECT_THAT(error({{"choices", {"a"}}}), HasSubstr("needs one of 'prompt'"));
  EXPECT_THAT(error({{"prompt", "a"}}), HasSubstr("choices: 'choices' is mis"));
  EXPECT_THAT(error({{"prompt", "a"}, {"choices", {"b", ""}}}),
              HasSubstr("choices: choice 1 is empty"));
  EXPECT_THAT(error({{"prompt", "a"}, {"choices", "b"}}),
              HasSubstr("choices: "));
  EXPECT_THAT(error({{"prompt", {"a", "b"}}, {"choices", {"c"}}}),
              HasSubstr("prompt: 'prompt' has several"));
  EXPECT_THAT(error({{"prompt", "a"}, {"choices", {"b"}}, {"stream", true}}),
              HasSubstr("stream: "));
  const ServeJson messages = {
      {{"role", "user"}, {"content", std::string(9000, '?')}}};
  EXPECT_THAT(error({{"messages", messages}, {"choices", {"b"}}}),
              ::testing::StartsWith("messages: "));
}

// The samples of a text of Prometheus, by name and labels. Checks its form.
std::map<std::string, double> SamplesOf(const std::string& text) {
  std::map<std::string, double> samples;
  std::istringstream lines(text);
  std::string type;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# ")) continue;
    const size_t space = line.rfind(' ');
    EXPECT_TRUE(line.starts_with("gemma:")) << line;
    EXPECT_TRUE(
        samples.emplace(line.substr(0, space), std::stod(line.substr(space)))
            .second)
        << line;
  }
  return samples;
}

TEST(MetricsRoute, CountsWhatHappened) {
  Server server = ServerOf(Gemma3Toy(), {.max_sequences = 1, .max_queued = 1});
  const ServeJson body = {
      {"prompt", std::string(60, '?')}, {"seed", 1}, {"max_tokens", 3}};
  Post(server, kTextPath, body);
  const Reply first = Post(server, kTextPath, body);
  EXPECT_EQ(Post(server, kTextPath, {{"prompt", "a"}, {"timeout", 1e-9}})
                .json["choices"][0]["stop_reason"],
            "deadline");
  const Reply reply = Pending(server, GetRequest("/metrics")).WaitForText();
  EXPECT_EQ(reply.header("content-type"),
            "text/plain; version=0.0.4; charset=utf-8");
  const std::map<std::string, double> samples = SamplesOf(reply.body);
  const auto sample = [&](const std::string& name, std::string labels = "") {
    const auto found =
        samples.find("gemma:" + name + "{model_name=\"toy\"" + labels + "}");
    EXPECT_NE(found, samples.end()) << name << "\n" << reply.body;
    return found == samples.end() ? -1 : found->second;
  };
  EXPECT_EQ(sample("num_requests_running"), 0);
  EXPECT_EQ(sample("num_requests_waiting"), 0);
  EXPECT_EQ(sample("generation_tokens_total"), 6);
  const auto prompt_tokens = sample("prompt_tokens_total");
  EXPECT_EQ(prompt_tokens,
            2 * first.json["usage"]["prompt_tokens"].get<double>());
  EXPECT_GT(sample("prompt_tokens_cached_total"), 0);
  EXPECT_EQ(sample("prompt_tokens_computed_total") +
                sample("prompt_tokens_cached_total"),
            prompt_tokens);
  EXPECT_GT(sample("passes_total"), 1);
  EXPECT_EQ(sample("iteration_tokens_total_count"), sample("passes_total"));
  EXPECT_EQ(sample("iteration_tokens_total_bucket", ",le=\"16384\""),
            sample("passes_total"));
  EXPECT_EQ(sample("iteration_tokens_total_sum"), sample("rows_total"));
  EXPECT_EQ(sample("request_success_total",
                   ",finished_reason=\"length\",stop_reason=\"max_tokens\""),
            2);
  EXPECT_EQ(sample("time_to_first_token_seconds_count"), 2);
  EXPECT_EQ(sample("inter_token_latency_seconds_count"), 4);
  EXPECT_EQ(sample("e2e_request_latency_seconds_bucket", ",le=\"+Inf\""), 3);
  EXPECT_EQ(sample("cancelled_total", ",where=\"queue\""), 1);
  EXPECT_GT(sample("weights_bytes"), 1000);
}

TEST(HistogramTest, BoundsBelongBelow) {
  const std::vector<double> bounds = {1, 2};
  Histogram histogram(bounds);
  for (const double value : {0.5, 1.0, 1.5, 2.0, 3.0}) histogram.Add(value);
  EXPECT_THAT(histogram.counts(), ::testing::ElementsAre(2, 2, 1));
  EXPECT_EQ(histogram.sum(), 8.0);
}

}  // namespace
}  // namespace gemma::internal

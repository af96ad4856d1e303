// /infill as llama.vim and llama.vscode ask for it, and the fields that came
// with them.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/serve/request/samplers.h"
#include "tests/serve/serve_client.h"
#include "tests/support/error_of.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::FloatNear;
using ::testing::HasSubstr;

Model FillerToy() {
  LoadOptions load;
  load.num_threads = kToyThreads;
  return LoadOrDie(ToyPath("gemma_fill"), load);
}

// The fields that llama.vim sends for a gap.
ServeJson VimRequest() {
  return {{"id_slot", 0},
          {"input_prefix", "the "},
          {"input_suffix", " us"},
          {"input_extra",
           {{{"text", "the model"}, {"time", {1, 2}}, {"filename", "a.py"}}}},
          {"prompt", "us "},
          {"n_predict", 8},
          {"stop", ServeJson::array()},
          {"n_indent", 4},
          {"top_k", 40},
          {"top_p", 0.9},
          {"samplers", {"top_k", "top_p", "infill"}},
          {"stream", false},
          {"cache_prompt", true},
          {"t_max_prompt_ms", 500},
          {"t_max_predict_ms", 250},
          {"response_fields", {"content", "timings/prompt_n"}},
          {"model", ""}};
}

TEST(InfillRoute, EditorsAreAnswered) {
  const Model filler = FillerToy();
  Server server = ServerOf(filler);
  ServeJson body = VimRequest();
  body["seed"] = 3;
  body["t_max_predict_ms"] = 60000;  // a busy machine may be late
  const Reply vim = Post(server, "/infill", body);
  ASSERT_EQ(vim.status, 200) << vim.body;
  EXPECT_TRUE(vim.json["content"].is_string());
  EXPECT_GT(vim.json["generation_settings"]["n_ctx"], 0);
  EXPECT_EQ(vim.json["timings"]["predicted_n"], vim.json["tokens_predicted"]);
  // The same as what the library does.
  const auto fill = *FillInMiddle::Create(**filler.tokenizer());
  const std::vector<SourceFile> files = {{"a.py", "the model"}};
  GenerateOptions options;
  options.max_new_tokens = 8;
  options.stop_tokens = fill.stop_tokens();
  options.sampling = {.top_k = 40, .top_p = 0.9f, .seed = 3};
  options.lines.min_indent = 4;
  options.fill_sampling = true;
  const std::vector<TokenId> prompt =
      *fill.Prompt({.prefix = "the us ", .suffix = " us", .files = files});
  EXPECT_EQ(vim.json["content"], AnswerOf(filler, prompt, options).text);
  // What it sends while nobody types, to read files that may be asked for.
  const Reply warm = Post(server, "/infill",
                          {{"id_slot", 0},
                           {"input_prefix", ""},
                           {"input_suffix", ""},
                           {"input_extra", body["input_extra"]},
                           {"prompt", ""},
                           {"n_predict", 0},
                           {"temperature", 0.0},
                           {"samplers", ServeJson::array()},
                           {"stream", false},
                           {"cache_prompt", true},
                           {"t_max_prompt_ms", 1},
                           {"t_max_predict_ms", 1},
                           {"response_fields", {""}}});
  EXPECT_EQ(warm.json["tokens_predicted"], 0) << warm.body;
  EXPECT_GT(warm.json["tokens_evaluated"], 5);
}

TEST(InfillRoute, AnswersSeveralTimes) {
  Server server = ServerOf(FillerToy());
  ServeJson body = VimRequest();
  body.erase("n_indent");
  body.erase("samplers");
  body["seed"] = 3;
  std::vector<std::string> alone;
  for (int i = 0; i < 3; ++i) {
    body["seed"] = 3 + i;
    alone.push_back(Post(server, "/infill", body).json["content"]);
  }
  // As llama.vscode asks.
  body["seed"] = 3;
  body["n_cmpl"] = 3;
  const Reply whole = Post(server, "/infill", body);
  ASSERT_TRUE(whole.json.is_array()) << whole.body;
  ASSERT_EQ(whole.json.size(), 3);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(whole.json[i]["index"], i);
    EXPECT_EQ(whole.json[i]["content"], alone[i]);
  }
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  const Reply stream = Post(server, "/infill", body);
  std::vector<std::string> texts(3);
  size_t ends = 0;
  for (const ServeJson& event : stream.events) {
    texts[event["index"].get<size_t>()] += event["content"];
    if (event["stop"] == true) ++ends;
  }
  EXPECT_EQ(texts, alone);
  EXPECT_EQ(ends, 3);
  EXPECT_TRUE(stream.events.back().contains("usage"));
  body["n"] = 2;
  EXPECT_THAT(Post(server, "/infill", body).error(),
              HasSubstr("n_cmpl: 'n_cmpl' is 3 and 'n' is 2"));
}

// Reads these samplers. Returns the error, or "OK".
std::string ReadInto(GenerateOptions& options, const std::string& list) {
  const absl::StatusOr<Json> json =
      Json::Parse("{\"samplers\": " + list + "}", "the request", {});
  absl::StatusOr<Fields> fields = Fields::Of(*json);
  return ErrorOf(ReadSamplers(*fields, options));
}

TEST(SamplersField, NamesWhatIsDone) {
  GenerateOptions options;
  options.sampling = {.temperature = 0.5f,
                      .top_k = 40,
                      .top_p = 0.9f,
                      .min_p = 0.1f,
                      .typical_p = 0.8f,
                      .repetition_penalty = 1.1f,
                      .frequency_penalty = 1,
                      .presence_penalty = 1};
  const GenerateOptions all = options;
  EXPECT_EQ(ReadInto(options, "null"), "OK");
  EXPECT_EQ(options.sampling.min_p, 0.1f);
  EXPECT_EQ(ReadInto(options, R"(["top_k", "top_p", "infill"])"), "OK");
  EXPECT_TRUE(options.fill_sampling);
  EXPECT_EQ(options.sampling.temperature, 1);
  EXPECT_EQ(options.sampling.top_k, 40);
  EXPECT_EQ(options.sampling.top_p, 0.9f);
  EXPECT_EQ(options.sampling.min_p, 0);
  EXPECT_EQ(options.sampling.typical_p, 1);
  EXPECT_EQ(options.sampling.repetition_penalty, 1);
  EXPECT_EQ(options.sampling.frequency_penalty, 0);
  EXPECT_EQ(options.sampling.presence_penalty, 0);
  options = all;
  EXPECT_EQ(ReadInto(options, "[]"), "OK");
  EXPECT_EQ(options.sampling.top_k, 0);
  EXPECT_EQ(options.sampling.top_p, 1);
  EXPECT_FALSE(options.fill_sampling);
}

TEST(SamplersField, OrderMustNotMatter) {
  GenerateOptions options;
  options.sampling = {.temperature = 0.5f, .min_p = 0.1f};
  // A part of 0.1 before a temperature of 0.5 is one of 0.1^2 after it.
  EXPECT_EQ(ReadInto(options, R"(["top_k", "min_p", "temperature"])"), "OK");
  EXPECT_THAT(options.sampling.min_p, FloatNear(0.01f, 1e-7f));
  EXPECT_EQ(options.sampling.temperature, 0.5f);
  options.sampling = {.temperature = 0.5f, .top_p = 0.9f};
  EXPECT_THAT(ReadInto(options, R"(["top_p", "temperature"])"),
              HasSubstr("has 'top_p' before 'temperature'"));
  EXPECT_EQ(ReadInto(options, R"(["temperature", "top_p", "dry", "xtc"])"),
            "OK");
  // Without effect, a step may stand anywhere: llama-server's own order.
  options.sampling = {.temperature = 1, .top_p = 0.9f};
  EXPECT_EQ(ReadInto(options, R"(["penalties", "dry", "top_n_sigma", "top_k",
      "typ_p", "top_p", "min_p", "xtc", "temperature"])"),
            "OK");
  options.sampling = {.top_p = 0.9f, .min_p = 0.1f};
  EXPECT_THAT(ReadInto(options, R"(["min_p", "top_p"])"),
              HasSubstr("has 'min_p' before 'top_p'"));
}

TEST(SamplersField, WrongNamesAreRefused) {
  GenerateOptions options;
  EXPECT_THAT(ReadInto(options, R"(["mirostat"])"),
              HasSubstr("'samplers' has 'mirostat', wanted only penalties"));
  EXPECT_THAT(ReadInto(options, R"(["top_k", "top_k"])"),
              HasSubstr("'samplers' has 'top_k' twice"));
  EXPECT_THAT(ReadInto(options, R"("kp")"), HasSubstr("samplers"));
  EXPECT_THAT(ReadInto(options, R"(["infill"])"),
              HasSubstr("has 'infill', which needs 'top_k' before it"));
  options.sampling.top_k = 1000;
  EXPECT_THAT(ReadInto(options, R"(["top_k", "infill"])"),
              HasSubstr("a value of 1 to 256"));
}

TEST(RequestFields, MinTokensHoldStops) {
  Server server = ServerOf(Gemma3Toy());
  ServeJson body = {{"prompt", "the"},
                    {"seed", 1},
                    {"max_tokens", 9},
                    {"logit_bias", {{"1", 100}}}};
  EXPECT_EQ(Post(server, kTextPath, body).json["usage"]["completion_tokens"],
            0);
  body["min_tokens"] = 4;
  EXPECT_EQ(Post(server, kTextPath, body).json["usage"]["completion_tokens"],
            4);
  body["min_tokens"] = 10;
  EXPECT_THAT(Post(server, kTextPath, body).error(),
              HasSubstr("min_tokens: 'min_tokens' is 10, wanted at most 9"));
  body["min_tokens"] = 2;
  body["samplers"] = {"top_k", "infill"};
  EXPECT_THAT(Post(server, kTextPath, body).error(), HasSubstr("min_tokens: "));
  body["min_tokens"] = 0;
  body["regex"] = "[0-9]";
  EXPECT_THAT(Post(server, kTextPath, body).error(), HasSubstr("samplers: "));
}

TEST(ChatRoute, CountsThoughtTokens) {
  Server server = ServerOf(Gemma4Toy());
  const Tokenizer& tokenizer = **Gemma4Toy().tokenizer();
  // The channel opens at once, and never closes.
  const TokenId open = *tokenizer.Find("<|channel>");
  const ServeJson usage =
      Post(server, kChatPath,
           {{"messages", {{{"role", "user"}, {"content", "a"}}}},
            {"max_tokens", 5},
            {"seed", 1},
            {"logit_bias", {{std::to_string(open), 100}}}})
          .json["usage"];
  EXPECT_EQ(usage["completion_tokens"], 5);
  EXPECT_EQ(usage["completion_tokens_details"]["reasoning_tokens"], 5);
}

}  // namespace
}  // namespace gemma::internal

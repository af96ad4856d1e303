// Control tokens in answers: reported, or never chosen. Models that say what a
// test wants, and the toy of Gemma 4 that chats
// (tools/reference/gemma4_chat.py).

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gemma/gemma.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::Not;

using ChatJson = nlohmann::json;

// A model that answers BOS with these pieces.
Model ModelThatSays(const std::vector<std::string>& pieces) {
  std::map<TokenId, TokenId> next;
  TokenId last = 2;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto piece = static_cast<TokenId>(kFirstPiece + i);
    next[last] = piece;
    last = piece;
  }
  const std::string path = TestDirectory() + "/m.gguf";
  WriteFile(path, ScriptedModel(pieces, next));
  return LoadOrDie(path, {.num_threads = 1});
}

// Events of an answer: texts, and names of control tokens in brackets.
std::vector<std::string> Events(const Model& model, GenerateOptions options) {
  std::vector<std::string> events;
  options.sampling.temperature = 0.0f;
  options.on_control = [&](TokenId token) {
    events.push_back("[" + std::string((*model.tokenizer())->Piece(token)) +
                     "]");
  };
  Session session = NewSession(model, {.max_tokens = 64});
  const auto stats =
      Generate(session, {2}, options, [&](std::string_view text) {
        events.emplace_back(text);
        return true;
      });
  EXPECT_EQ(ErrorOf(stats.status()), "OK");
  return events;
}

TEST(ControlTokens, ReportedAmongText) {
  const Model model =
      ModelThatSays({"a", "<|channel>", "b", "c", "<channel|>", "<|x|>", "ab"});
  EXPECT_THAT(Events(model, {}), ElementsAre("a", "[<|channel>]", "b", "c",
                                             "[<channel|>]", "[<|x|>]", "ab"));
  // Text that is held back for a stop string comes before the token.
  GenerateOptions options;
  options.stop_strings = {"ab", "cd"};
  EXPECT_THAT(Events(model, options), ElementsAre("a", "[<|channel>]", "b", "c",
                                                  "[<channel|>]", "[<|x|>]"));
}

TEST(ControlTokens, PrintedWithoutFunction) {
  const Model model =
      ModelThatSays({"a", "<|channel>", "b", "<|x|>", "<|\"|>", "c"});
  Session session = NewSession(model, {.max_tokens = 64});
  std::string text;
  GenerateOptions options;
  options.sampling.temperature = 0.0f;
  ASSERT_TRUE(Generate(session, {2}, options, [&](std::string_view part) {
                text += part;
                return true;
              }).ok());
  EXPECT_EQ(text, "a<|channel>b<|\"|>c");
}

TEST(ControlTokens, CallWaitsForResult) {
  const Model model = ModelThatSays(
      {"<|turn>", "<turn|>", "<|tool_response>", "<tool_response|>", "x"});
  for (const char* stop : {"<turn|>", "<|tool_response>"}) {
    const TokenId token = *(*model.tokenizer())->Find(stop);
    EXPECT_THAT(model.config().stop_tokens, testing::Contains(token));
  }
  EXPECT_THAT(Events(model, {}), ElementsAre("[<|turn>]"));
}

TEST(ControlTokens, FunctionGemmaWaitsToo) {
  const Model model =
      ModelThatSays({"<start_function_call>", "call:f{}", "<end_function_call>",
                     "<start_function_response>", "x"});
  const TokenId token =
      *(*model.tokenizer())->Find("<start_function_response>");
  EXPECT_THAT(model.config().stop_tokens, testing::Contains(token));
  EXPECT_THAT(Events(model, {}),
              ElementsAre("[<start_function_call>]", "call:f{}",
                          "[<end_function_call>]"));
}

std::string ChatToy() {
  return std::string(GEMMA_TESTDATA_DIR) + "/models/gemma4_chat";
}

// An answer of Generate without and with drafts, and of an engine: all equal.
std::vector<TokenId> AnswerOf(const Model& model,
                              const std::vector<TokenId>& prompt,
                              GenerateOptions options, size_t most) {
  options.max_new_tokens = most;
  std::vector<std::vector<TokenId>> answers;
  for (const Speculation speculation :
       {Speculation::kOff, Speculation::kAuto}) {
    options.speculation = speculation;
    Session session = NewSession(model, {.max_tokens = 256, .max_rollback = 8});
    const auto stats = Generate(session, prompt, options,
                                [](std::string_view) { return true; });
    EXPECT_EQ(ErrorOf(stats.status()), "OK");
    const std::vector<TokenId> tokens = TokensOf(session);
    answers.emplace_back(tokens.begin() + static_cast<ptrdiff_t>(prompt.size()),
                         tokens.end());
  }
  Engine engine =
      *Engine::Create(model, {.max_tokens = 256, .max_sequences = 1});
  const auto ticket = engine.Submit({.prompt = prompt, .options = options});
  EXPECT_EQ(ErrorOf(ticket), "OK");
  EXPECT_EQ(ErrorOf(ticket->Wait()), "OK");
  answers.push_back(ticket->Wait()->tokens);
  EXPECT_EQ(answers[0], answers[1]);
  EXPECT_EQ(answers[0], answers[2]);
  return answers[0];
}

TEST(SuppressTokens, AnswersEqualTransformers) {
  const ChatJson answers =
      ChatJson::parse(std::ifstream(ChatToy() + "/answers.json"));
  for (const std::string& path : {ChatToy(), std::string(GEMMA_TESTDATA_DIR) +
                                                 "/gguf/gemma4_chat.gguf"}) {
    SCOPED_TRACE(path);
    const Model model = LoadOrDie(
        path, {.num_threads = 1, .activations = Activations::kFloat32});
    const Tokenizer& tokenizer = **model.tokenizer();
    EXPECT_THAT(
        model.config().suppress_tokens,
        ElementsAre(*tokenizer.Find("<image|>"), *tokenizer.Find("<audio|>")));
    for (const ChatJson& golden : answers) {
      const auto prompt = golden["prompt"].get<std::vector<TokenId>>();
      GenerateOptions options;
      options.sampling.temperature = 0.0f;
      EXPECT_EQ(AnswerOf(model, prompt, options, 64),
                golden["answer"].get<std::vector<TokenId>>());
    }
  }
}

// Text, too, must not be chosen, whatever chooses it.
TEST(SuppressTokens, NoWayAround) {
  const std::string folder = TestDirectory();
  std::filesystem::copy(ChatToy(), folder,
                        std::filesystem::copy_options::recursive |
                            std::filesystem::copy_options::overwrite_existing);
  const LoadOptions load = {.num_threads = 1};
  const std::vector<TokenId> prompt = {2, 15, 402, 19, 425, 410};
  const Grammar words = *Grammar::FromRegex("[a-z ]*");
  for (const Grammar* grammar :
       {static_cast<const Grammar*>(nullptr), &words}) {
    for (const size_t top_k : {1, 5, 0}) {
      GenerateOptions options;
      options.grammar = grammar;
      options.sampling = {.top_k = top_k, .top_p = 1.0f, .seed = 7};
      ChatJson config = {{"eos_token_id", 1}, {"suppress_tokens", nullptr}};
      WriteFile(folder + "/generation_config.json", config.dump());
      const Model free = LoadOrDie(folder, load);
      std::vector<TokenId> chosen = AnswerOf(free, prompt, options, 12);
      ASSERT_GE(chosen.size(), 2u);
      config["suppress_tokens"] = chosen;
      WriteFile(folder + "/generation_config.json", config.dump());
      const Model model = LoadOrDie(folder, load);
      for (const TokenId token : AnswerOf(model, prompt, options, 12)) {
        EXPECT_THAT(chosen, Not(testing::Contains(token)));
      }
    }
  }
}

TEST(SuppressTokens, GrammarOfSuppressedFails) {
  const std::string folder = TestDirectory();
  std::filesystem::copy(ChatToy(), folder,
                        std::filesystem::copy_options::recursive |
                            std::filesystem::copy_options::overwrite_existing);
  const Model free = LoadOrDie(folder, {.num_threads = 1});
  // All ways to begin "x", as a piece and as a byte.
  std::vector<TokenId> first;
  for (TokenId token = 0; token < 512; ++token) {
    if ((*free.tokenizer())->Decode({token}) == "x") first.push_back(token);
  }
  ASSERT_GE(first.size(), 2u);
  const ChatJson config = {{"suppress_tokens", first}};
  WriteFile(folder + "/generation_config.json", config.dump());
  const Model suppressing = LoadOrDie(folder, {.num_threads = 1});
  const Grammar grammar = *Grammar::FromChoices({"x"});
  GenerateOptions options;
  options.grammar = &grammar;
  Session session = NewSession(suppressing, {.max_tokens = 64});
  EXPECT_THAT(ErrorOf(Generate(session, {2, 15}, options,
                               [](std::string_view) { return true; })
                          .status()),
              testing::HasSubstr("only tokens that the model suppresses"));
}

// Neither a prompt without BOS nor a base model that reads turns.
TEST(ModelPrompt, ReadsAsItsModel) {
  const std::string folder = std::string(GEMMA_TESTDATA_DIR) + "/gguf/";
  const std::string text = "the <start_of_turn> <bos>";
  const Model tuned = LoadOrDie(folder + "gemma3_mixed.gguf", {});
  ASSERT_TRUE(tuned.is_instruction_tuned());
  EXPECT_EQ(*tuned.Prompt(text), *tuned.chat_template()->UserTurn(text));
  const Model base = LoadOrDie(folder + "gemma4_chat.gguf", {});
  ASSERT_FALSE(base.is_instruction_tuned());
  std::vector<TokenId> expected = {(*base.tokenizer())->bos()};
  const std::vector<TokenId> tokens = *(*base.tokenizer())->Encode(text);
  for (const TokenId token : tokens) {
    EXPECT_FALSE((*base.tokenizer())->IsControl(token));
    expected.push_back(token);
  }
  EXPECT_EQ(*base.Prompt(text), expected);
  EXPECT_THAT(ErrorOf(LoadOrDie(folder + "gemma3.gguf", {}).Prompt("x")),
              testing::HasSubstr("no tokenizer"));
}

// The marks of a grammar are tokens of one vocabulary.
TEST(ControlTokens, GrammarsNeedTheirMarks) {
  const auto grammar = Grammar::FromTools(
      R"([{"function": {"name": "now"}}])",
      {.dialect = ToolDialect::kGemma4, .choice = ToolChoice::kRequired});
  ASSERT_EQ(ErrorOf(grammar), "OK");
  GenerateOptions options = {.max_new_tokens = 60, .grammar = &*grammar};
  const auto error = [&](const Model& model) {
    Session session = NewSession(model, {.max_tokens = 80});
    return ErrorOf(Generate(session, {2}, options, [](auto) { return true; }));
  };
  EXPECT_EQ(error(ModelThatSays({"a"})),
            "the grammar needs the control token '<|tool_call>', which the "
            "vocabulary lacks");
  const Model model = LoadOrDie(ToyPath("gemma4_chat"), {.num_threads = 1});
  const Tokenizer& tokenizer = **model.tokenizer();
  AnswerParser parser(tokenizer);
  options.on_control = [&](TokenId token) { parser.Control(token); };
  Session session = NewSession(model, {.max_tokens = 80});
  ASSERT_EQ(ErrorOf(Generate(session, {2}, options,
                             [&](std::string_view text) {
                               parser.Text(text);
                               return true;
                             })),
            "OK");
  parser.Finish();
  ASSERT_FALSE(parser.answer().tool_calls.empty());
  EXPECT_EQ(parser.answer().tool_calls[0].name, "now");
  EXPECT_EQ(parser.answer().tool_calls[0].arguments, "{}");
  options.stop_tokens = {*tokenizer.Find("<tool_call|>")};
  EXPECT_EQ(error(model),
            "the grammar needs the control token '<tool_call|>', but this "
            "token ends an answer");
}

}  // namespace
}  // namespace gemma::internal

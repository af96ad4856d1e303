// Tests that the C interface returns the same as the C++ interface.

#include "gemma/c_api.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gemma/gemma.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

std::string ModelPath() {
  return std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma3_mixed.gguf";
}

class CApi : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_EQ(gemma_model_load(ModelPath().c_str(), nullptr, &model_), GEMMA_OK)
        << gemma_last_error();
  }
  static void TearDownTestSuite() { gemma_model_free(model_); }

  void SetUp() override {
    ASSERT_EQ(gemma_session_create(model_, nullptr, &session_), GEMMA_OK);
  }
  void TearDown() override { gemma_session_free(session_); }

  static std::vector<int32_t> Tokenize(std::string_view text) {
    std::vector<int32_t> tokens(text.size() + 1);
    size_t size = 0;
    EXPECT_EQ(gemma_tokenize(model_, text.data(), text.size(), false,
                             tokens.data(), tokens.size(), &size),
              GEMMA_OK);
    tokens.resize(size);
    return tokens;
  }

  static std::vector<int32_t> Prompt() {
    std::vector<int32_t> prompt = {gemma_bos_token(model_)};
    const std::vector<int32_t> tokens = Tokenize("hello the cat");
    prompt.insert(prompt.end(), tokens.begin(), tokens.end());
    return prompt;
  }

  static gemma_model* model_;
  gemma_session* session_ = nullptr;
};

gemma_model* CApi::model_ = nullptr;

bool AppendText(const char* text, size_t size, void* user) {
  static_cast<std::string*>(user)->append(text, size);
  return true;
}

TEST_F(CApi, TellsOfTheModel) {
  const Model model = LoadOrDie(ModelPath(), {});
  EXPECT_EQ(gemma_model_vocab_size(model_), model.config().vocab_size);
  EXPECT_EQ(gemma_model_max_context(model_), model.config().max_context);
  EXPECT_EQ(gemma_model_architecture(model_), model.config().architecture);
  EXPECT_EQ(gemma_model_is_instruction_tuned(model_),
            model.is_instruction_tuned());
  EXPECT_EQ(gemma_version(), std::string(GEMMA_VERSION_STRING));
}

TEST_F(CApi, LoadErrorNamesFile) {
  gemma_model* none = nullptr;
  EXPECT_EQ(gemma_model_load("no/such/model.gguf", nullptr, &none),
            GEMMA_NOT_FOUND);
  EXPECT_THAT(gemma_last_error(), HasSubstr("no/such/model.gguf"));
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(gemma_model_load(nullptr, nullptr, &none), GEMMA_INVALID_ARGUMENT);
  EXPECT_STREQ(gemma_last_error(), "path is null");
}

TEST_F(CApi, TokensEqualTokenizer) {
  const Model model = LoadOrDie(ModelPath(), {});
  const std::string text = "hello the cat <end_of_turn>";
  const auto expected = (*model.tokenizer())->Encode(text);
  ASSERT_TRUE(expected.ok());
  EXPECT_EQ(Tokenize(text), *expected);

  size_t size = 0;
  EXPECT_EQ(gemma_tokenize(model_, text.data(), text.size(), false, nullptr, 0,
                           &size),
            GEMMA_OUT_OF_RANGE);
  EXPECT_EQ(size, expected->size());
  // All or nothing.
  std::vector<int32_t> few(expected->size() - 1, -7);
  EXPECT_EQ(gemma_tokenize(model_, text.data(), text.size(), false, few.data(),
                           few.size(), &size),
            GEMMA_OUT_OF_RANGE);
  EXPECT_EQ(few, std::vector<int32_t>(few.size(), -7));

  std::string back(text.size(), '\0');
  ASSERT_EQ(gemma_detokenize(model_, expected->data(), expected->size(),
                             back.data(), back.size(), &size),
            GEMMA_OK);
  EXPECT_EQ(back.substr(0, size), text);
  EXPECT_EQ(gemma_find_token(model_, "<end_of_turn>"),
            (*model.tokenizer())->Find("<end_of_turn>"));
  EXPECT_EQ(gemma_find_token(model_, "<no such piece>"), -1);
}

TEST_F(CApi, LoadOptionsChooseTurns) {
  const std::string path = TestDirectory() + "/t.jinja";
  WriteFile(path, "<end_of_turn>{{ messages[0].content }}");
  gemma_load_options options;
  gemma_load_options_init(&options, sizeof(options));
  EXPECT_EQ(options.turn_source, GEMMA_TURNS_AUTOMATIC);
  EXPECT_EQ(options.chat_template_file, nullptr);
  const gemma_message messages[] = {{GEMMA_ROLE_USER, "x"}};
  const auto first_token = [&] {
    gemma_model* model = nullptr;
    EXPECT_EQ(gemma_model_load(ModelPath().c_str(), &options, &model),
              GEMMA_OK);
    std::vector<int32_t> tokens(20);
    size_t size = 0;
    EXPECT_EQ(gemma_chat_prompt(model, messages, 1, tokens.data(),
                                tokens.size(), &size),
              GEMMA_OK);
    gemma_model_free(model);
    return tokens[0];
  };
  options.turn_source = GEMMA_TURNS_FILE;
  EXPECT_EQ(first_token(), gemma_bos_token(model_));
  options.chat_template_file = path.c_str();
  EXPECT_EQ(first_token(), gemma_find_token(model_, "<end_of_turn>"));
  options.turn_source = static_cast<gemma_turn_source>(3);
  gemma_model* model = nullptr;
  EXPECT_EQ(gemma_model_load(ModelPath().c_str(), &options, &model),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_STREQ(gemma_last_error(), "turn_source is 3, wanted 0 to 2");
}

TEST_F(CApi, TurnsEqualTemplate) {
  const Model model = LoadOrDie(ModelPath(), {});
  const auto turns = model.chat_template();
  ASSERT_TRUE(turns.ok());
  const gemma_message messages[] = {{GEMMA_ROLE_SYSTEM, "Be brief."},
                                    {GEMMA_ROLE_USER, "hello"},
                                    {GEMMA_ROLE_MODEL, "the cat"},
                                    {GEMMA_ROLE_USER, "and?"}};
  std::vector<int32_t> tokens(200);
  size_t size = 0;
  ASSERT_EQ(gemma_chat_prompt(model_, messages, 4, tokens.data(), tokens.size(),
                              &size),
            GEMMA_OK);
  EXPECT_EQ(std::vector<int32_t>(tokens.begin(), tokens.begin() + size),
            *turns->Render({{Role::kSystem, "Be brief."},
                            {Role::kUser, "hello"},
                            {Role::kModel, "the cat"},
                            {Role::kUser, "and?"}}));
  ASSERT_EQ(
      gemma_chat_next_turn(model_, "and?", tokens.data(), tokens.size(), &size),
      GEMMA_OK);
  EXPECT_EQ(std::vector<int32_t>(tokens.begin(), tokens.begin() + size),
            *turns->NextUserTurn("and?"));

  const gemma_message wrong[] = {{static_cast<gemma_role>(9), "x"}};
  EXPECT_EQ(
      gemma_chat_prompt(model_, wrong, 1, tokens.data(), tokens.size(), &size),
      GEMMA_INVALID_ARGUMENT);
  EXPECT_STREQ(gemma_last_error(), "messages[0].role is 9, wanted 0 to 4");
}

TEST_F(CApi, LogitsEqualSession) {
  const Model model = LoadOrDie(ModelPath(), {});
  Session expected = NewSession(model);
  const std::vector<int32_t> prompt = Prompt();
  const auto want = expected.Forward(prompt);
  ASSERT_TRUE(want.ok());
  const float* logits = nullptr;
  ASSERT_EQ(
      gemma_session_forward(session_, prompt.data(), prompt.size(), &logits),
      GEMMA_OK);
  EXPECT_EQ(std::vector<float>(logits, logits + want->size()),
            std::vector<float>(want->begin(), want->end()));
  EXPECT_EQ(gemma_session_position(session_), prompt.size());
  EXPECT_EQ(gemma_session_remaining(session_), expected.remaining());

  // Go back, and append the last token again without logits.
  ASSERT_EQ(gemma_session_rewind(session_, prompt.size() - 1), GEMMA_OK);
  ASSERT_EQ(gemma_session_forward(session_, &prompt.back(), 1, nullptr),
            GEMMA_OK);
  EXPECT_EQ(gemma_session_position(session_), prompt.size());
  const int32_t wrong = -1;
  EXPECT_EQ(gemma_session_forward(session_, &wrong, 1, nullptr),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_EQ(gemma_session_rewind(session_, 1000), GEMMA_OUT_OF_RANGE);
}

TEST_F(CApi, AnswersEqualGenerate) {
  const Model model = LoadOrDie(ModelPath(), {});
  GenerateOptions expected_options;
  expected_options.max_new_tokens = 20;
  expected_options.sampling.seed = 5;
  Session expected = NewSession(model);
  std::string expected_text;
  const std::vector<int32_t> prompt = Prompt();
  const auto expected_stats =
      Generate(expected, prompt, expected_options, [&](std::string_view text) {
        expected_text += text;
        return true;
      });
  ASSERT_TRUE(expected_stats.ok());

  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  options.max_new_tokens = 20;
  options.seed = 5;
  gemma_generate_stats stats;
  gemma_generate_stats_init(&stats, sizeof(stats));
  std::string text;
  ASSERT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           AppendText, &text, &stats),
            GEMMA_OK);
  EXPECT_EQ(text, expected_text);
  EXPECT_EQ(stats.new_tokens, expected_stats->new_tokens);
  EXPECT_EQ(stats.prompt_tokens, prompt.size());
}

TEST_F(CApi, StopsAtAText) {
  const std::vector<int32_t> prompt = Prompt();
  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  options.max_new_tokens = 20;
  options.temperature = 0;
  std::string whole;
  ASSERT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           AppendText, &whole, nullptr),
            GEMMA_OK);
  ASSERT_GT(whole.size(), 2u);
  ASSERT_EQ(gemma_session_rewind(session_, 0), GEMMA_OK);
  const std::string stop = whole.substr(whole.size() / 2, 2);
  const char* stops[] = {stop.c_str()};
  options.stop_strings = stops;
  options.num_stop_strings = 1;
  gemma_generate_stats stats;
  gemma_generate_stats_init(&stats, sizeof(stats));
  std::string text;
  ASSERT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           AppendText, &text, &stats),
            GEMMA_OK);
  EXPECT_EQ(stats.stop_reason, GEMMA_STOP_STRING);
  EXPECT_EQ(text, whole.substr(0, whole.find(stop)));
}

TEST_F(CApi, PromptsAsModelReads) {
  // With a null after "the", and the name of a control token.
  const std::string text("the \0 of <end_of_turn>", 22);
  for (const char* file : {"gemma4_chat.gguf", "gemma3_mixed.gguf"}) {
    const std::string path = std::string(GEMMA_TESTDATA_DIR) + "/gguf/" + file;
    gemma_model* model = nullptr;
    ASSERT_EQ(gemma_model_load(path.c_str(), nullptr, &model), GEMMA_OK);
    const Model same = LoadOrDie(path, {});
    const auto expected = same.Prompt(text);
    ASSERT_TRUE(expected.ok()) << expected.status();
    std::vector<int32_t> tokens(expected->size());
    size_t size = 0;
    EXPECT_EQ(
        gemma_model_prompt(model, text.data(), text.size(), nullptr, 0, &size),
        GEMMA_OUT_OF_RANGE);
    ASSERT_EQ(size, tokens.size());
    ASSERT_EQ(gemma_model_prompt(model, text.data(), text.size(), tokens.data(),
                                 tokens.size(), &size),
              GEMMA_OK);
    EXPECT_EQ(tokens, *expected);
    gemma_model_free(model);
  }
}

TEST_F(CApi, FillsIn) {
  gemma_model* model = nullptr;
  const std::string path =
      std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma_fill.gguf";
  ASSERT_EQ(gemma_model_load(path.c_str(), nullptr, &model), GEMMA_OK);
  const Model same = LoadOrDie(path, {});
  const auto fill = FillInMiddle::Create(**same.tokenizer());
  ASSERT_TRUE(fill.ok());
  std::vector<int32_t> tokens(100);
  size_t size = 0;
  const std::string prefix("the \0 of", 8);
  for (const char* file : {"a.c", static_cast<const char*>(nullptr)}) {
    ASSERT_EQ(gemma_fill_prompt(model, prefix.data(), prefix.size(), "\n", 1,
                                file, tokens.data(), tokens.size(), &size),
              GEMMA_OK);
    EXPECT_EQ(std::vector<int32_t>(tokens.begin(), tokens.begin() + size),
              *fill->Prompt({.prefix = prefix,
                             .suffix = "\n",
                             .path = file == nullptr ? "" : file}));
  }
  std::vector<int32_t> stops(4);
  ASSERT_EQ(gemma_fill_stop_tokens(model, stops.data(), stops.size(), &size),
            GEMMA_OK);
  EXPECT_EQ(stops, fill->stop_tokens());
  EXPECT_EQ(gemma_fill_stop_tokens(model, stops.data(), 3, &size),
            GEMMA_OUT_OF_RANGE);
  EXPECT_EQ(size, 4u);

  EXPECT_EQ(gemma_fill_prompt(model, nullptr, 1, "", 0, nullptr, tokens.data(),
                              tokens.size(), &size),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_STREQ(gemma_last_error(), "prefix is null");
  EXPECT_EQ(gemma_fill_prompt(model, nullptr, 0, nullptr, 0, nullptr,
                              tokens.data(), tokens.size(), &size),
            GEMMA_OK);
  gemma_model_free(model);
  // A model without the markers.
  EXPECT_EQ(gemma_fill_prompt(model_, "", 0, "", 0, nullptr, tokens.data(),
                              tokens.size(), &size),
            GEMMA_FAILED_PRECONDITION);
  EXPECT_THAT(gemma_last_error(), HasSubstr("'<|fim_prefix|>'"));
}

TEST_F(CApi, StopsAtAToken) {
  const std::vector<int32_t> prompt = Prompt();
  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  EXPECT_EQ(options.num_stop_tokens, 0u);
  options.max_new_tokens = 3;
  options.temperature = 0;
  const float* logits = nullptr;
  ASSERT_EQ(
      gemma_session_forward(session_, prompt.data(), prompt.size(), &logits),
      GEMMA_OK);
  const int32_t stop = static_cast<int32_t>(
      std::max_element(logits, logits + gemma_model_vocab_size(model_)) -
      logits);
  ASSERT_EQ(gemma_session_rewind(session_, 0), GEMMA_OK);
  const int32_t stops[] = {5, stop};
  options.stop_tokens = stops;
  options.num_stop_tokens = 2;
  gemma_generate_stats stats;
  gemma_generate_stats_init(&stats, sizeof(stats));
  ASSERT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           nullptr, nullptr, &stats),
            GEMMA_OK);
  EXPECT_EQ(stats.stop_reason, GEMMA_STOP_TOKEN);
  EXPECT_EQ(stats.new_tokens, 0u);
  options.stop_tokens = nullptr;
  EXPECT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           nullptr, nullptr, &stats),
            GEMMA_INVALID_ARGUMENT);
}

TEST_F(CApi, GrammarsConstrainAnswers) {
  const std::vector<int32_t> prompt = Prompt();
  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  EXPECT_EQ(options.grammar, GEMMA_GRAMMAR_NONE);
  std::string text;
  const auto generate = [&](gemma_grammar grammar,
                            std::vector<const char*> texts) {
    options.grammar = grammar;
    options.grammar_texts = texts.data();
    options.num_grammar_texts = texts.size();
    gemma_generate_stats stats;
    gemma_generate_stats_init(&stats, sizeof(stats));
    text.clear();
    EXPECT_EQ(gemma_session_rewind(session_, 0), GEMMA_OK);
    const gemma_status status =
        gemma_generate(session_, prompt.data(), prompt.size(), &options,
                       AppendText, &text, &stats);
    if (status == GEMMA_OK) {
      EXPECT_EQ(stats.stop_reason, GEMMA_STOP_GRAMMAR_END);
    }
    return status;
  };
  EXPECT_EQ(generate(GEMMA_GRAMMAR_CHOICES, {"left", "right"}), GEMMA_OK);
  EXPECT_TRUE(text == "left" || text == "right") << text;
  EXPECT_EQ(generate(GEMMA_GRAMMAR_REGEX, {"[0-9]{3}"}), GEMMA_OK);
  EXPECT_EQ(text.size(), 3u);
  EXPECT_EQ(generate(GEMMA_GRAMMAR_JSON_SCHEMA, {R"({"const":[1]})"}),
            GEMMA_OK);
  EXPECT_EQ(text, "[1]");
  EXPECT_EQ(generate(GEMMA_GRAMMAR_JSON_SCHEMA, {R"({"not":{}})"}),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_STREQ(gemma_last_error(), "'#/not': this keyword is not supported");
  EXPECT_EQ(generate(GEMMA_GRAMMAR_REGEX, {}), GEMMA_INVALID_ARGUMENT);
  EXPECT_EQ(generate(GEMMA_GRAMMAR_REGEX, {nullptr}), GEMMA_INVALID_ARGUMENT);
  EXPECT_EQ(generate(GEMMA_GRAMMAR_CHOICES, {}), GEMMA_INVALID_ARGUMENT);
  const int unknown = 9;
  std::memcpy(&options.grammar, &unknown, sizeof(unknown));
  EXPECT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           nullptr, nullptr, nullptr),
            GEMMA_INVALID_ARGUMENT);
}

bool Refuse(const char*, size_t, void* user) {
  ++*static_cast<size_t*>(user);
  return false;
}

TEST_F(CApi, CallbackStopsAnswer) {
  const std::vector<int32_t> prompt = Prompt();
  gemma_generate_stats stats;
  gemma_generate_stats_init(&stats, sizeof(stats));
  size_t calls = 0;
  ASSERT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), nullptr,
                           Refuse, &calls, &stats),
            GEMMA_OK);
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(stats.stop_reason, GEMMA_STOP_CANCELLED);
}

// Lets an answer wait at its first text until another thread cancels it.
struct Meeting {
  std::atomic<bool> answered = false;
  std::atomic<bool> cancelled = false;
  size_t calls = 0;
};

bool WaitToBeCancelled(const char*, size_t, void* user) {
  auto* meeting = static_cast<Meeting*>(user);
  ++meeting->calls;
  meeting->answered = true;
  while (!meeting->cancelled) std::this_thread::yield();
  return true;
}

TEST_F(CApi, AnotherThreadCancels) {
  gemma_cancellation* cancellation = gemma_cancellation_create();
  ASSERT_NE(cancellation, nullptr);
  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  options.cancellation = cancellation;
  Meeting meeting;
  std::thread canceller([&] {
    while (!meeting.answered) std::this_thread::yield();
    gemma_cancellation_cancel(cancellation);
    meeting.cancelled = true;
  });
  const std::vector<int32_t> prompt = Prompt();
  gemma_generate_stats stats;
  gemma_generate_stats_init(&stats, sizeof(stats));
  EXPECT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           WaitToBeCancelled, &meeting, &stats),
            GEMMA_OK);
  meeting.answered = true;  // in case the answer had no text
  canceller.join();
  EXPECT_EQ(stats.stop_reason, GEMMA_STOP_CANCELLED);
  EXPECT_EQ(meeting.calls, 1u);

  // It stays cancelled until it is reset.
  EXPECT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           nullptr, nullptr, &stats),
            GEMMA_OK);
  EXPECT_EQ(stats.stop_reason, GEMMA_STOP_CANCELLED);
  gemma_cancellation_reset(cancellation);
  options.max_new_tokens = 1;
  EXPECT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           nullptr, nullptr, &stats),
            GEMMA_OK);
  EXPECT_EQ(stats.stop_reason, GEMMA_STOP_MAX_TOKENS);
  gemma_cancellation_free(cancellation);
}

bool Dawdle(const char*, size_t, void*) {
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return true;
}

TEST_F(CApi, TimeoutEndsAnswer) {
  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  EXPECT_EQ(options.timeout_seconds, 0);
  const std::vector<int32_t> prompt = Prompt();
  gemma_generate_stats stats;
  gemma_generate_stats_init(&stats, sizeof(stats));
  const auto generate = [&](double timeout) {
    options.timeout_seconds = timeout;
    return gemma_generate(session_, prompt.data(), prompt.size(), &options,
                          Dawdle, nullptr, &stats);
  };
  EXPECT_EQ(generate(0.005), GEMMA_OK);
  EXPECT_EQ(stats.stop_reason, GEMMA_STOP_DEADLINE);
  options.max_new_tokens = 2;
  for (const double enough : {1e3, 1e300, HUGE_VAL}) {
    EXPECT_EQ(generate(enough), GEMMA_OK);
    EXPECT_NE(stats.stop_reason, GEMMA_STOP_DEADLINE);
  }
  EXPECT_EQ(generate(-1), GEMMA_INVALID_ARGUMENT);
  EXPECT_STREQ(gemma_last_error(), "timeout_seconds is -1, wanted 0 or more");
  EXPECT_EQ(generate(std::nan("")), GEMMA_INVALID_ARGUMENT);
}

bool Count(uint64_t done, uint64_t total, void* user) {
  EXPECT_LE(done, total);
  ++*static_cast<size_t*>(user);
  return false;
}

TEST_F(CApi, ProgressMayCancelLoading) {
  gemma_load_options options;
  gemma_load_options_init(&options, sizeof(options));
  size_t calls = 0;
  options.progress = Count;
  options.user = &calls;
  gemma_model* none = nullptr;
  EXPECT_EQ(gemma_model_load(ModelPath().c_str(), &options, &none),
            GEMMA_CANCELLED);
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(none, nullptr);
}

TEST_F(CApi, AdaptersAreMerged) {
  const std::string folder = std::string(GEMMA_TESTDATA_DIR);
  const std::string base = folder + "/models/gemma2";
  const std::string adapter = folder + "/lora/plain";
  const std::vector<TokenId> prompt = {2, 17, 4};
  LoadOptions with;
  with.adapters = {{adapter, 0.5f}, {adapter, -2.0f}};
  Session expected = NewSession(LoadOrDie(base, with));
  const auto want = expected.Forward(prompt);
  ASSERT_TRUE(want.ok());

  gemma_load_options options;
  gemma_load_options_init(&options, sizeof(options));
  const char* const paths[] = {adapter.c_str(), adapter.c_str()};
  const float scales[] = {0.5f, -2.0f};
  options.adapters = paths;
  options.adapter_scales = scales;
  options.num_adapters = 2;
  gemma_model* model = nullptr;
  ASSERT_EQ(gemma_model_load(base.c_str(), &options, &model), GEMMA_OK)
      << gemma_last_error();
  gemma_session* session = nullptr;
  ASSERT_EQ(gemma_session_create(model, nullptr, &session), GEMMA_OK);
  const float* logits = nullptr;
  ASSERT_EQ(
      gemma_session_forward(session, prompt.data(), prompt.size(), &logits),
      GEMMA_OK);
  EXPECT_EQ(std::vector<float>(logits, logits + want->size()),
            std::vector<float>(want->begin(), want->end()));
  gemma_session_free(session);
  gemma_model_free(model);

  options.adapters = nullptr;
  EXPECT_EQ(gemma_model_load(base.c_str(), &options, &model),
            GEMMA_INVALID_ARGUMENT);
}

// A session shares the loaded model; either may be freed first.
TEST_F(CApi, SessionOutlivesItsModel) {
  gemma_model* model = nullptr;
  ASSERT_EQ(gemma_model_load(ModelPath().c_str(), nullptr, &model), GEMMA_OK);
  gemma_session* session = nullptr;
  ASSERT_EQ(gemma_session_create(model, nullptr, &session), GEMMA_OK);
  gemma_model_free(model);
  const std::vector<int32_t> prompt = Prompt();
  EXPECT_EQ(
      gemma_session_forward(session, prompt.data(), prompt.size(), nullptr),
      GEMMA_OK);
  gemma_session_free(session);
}

// ---------------------------------------------------------------------------
// Structs of other versions

TEST_F(CApi, OptionsNeedStructSize) {
  gemma_session_options options = {};
  gemma_session* none = nullptr;
  EXPECT_EQ(gemma_session_create(model_, &options, &none),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("gemma_session_options_init"));
}

TEST_F(CApi, OlderOptionsKeepDefaults) {
  gemma_session_options options;
  gemma_session_options_init(&options, sizeof(options));
  options.struct_size = offsetof(gemma_session_options, max_rollback);
  options.max_tokens = 10;
  options.max_rollback = size_t{1} << 40;  // out of range, and not read
  gemma_session* session = nullptr;
  ASSERT_EQ(gemma_session_create(model_, &options, &session), GEMMA_OK)
      << gemma_last_error();
  EXPECT_EQ(gemma_session_remaining(session), 10u);
  gemma_session_free(session);
}

TEST_F(CApi, NewerFieldsAreRefused) {
  struct {
    gemma_session_options options;
    uint64_t added;
  } newer = {};
  gemma_session_options_init(&newer.options, sizeof(newer.options));
  newer.options.struct_size = sizeof(newer);
  gemma_session* session = nullptr;
  EXPECT_EQ(gemma_session_create(model_, &newer.options, &session), GEMMA_OK);
  gemma_session_free(session);
  newer.added = 1;
  EXPECT_EQ(gemma_session_create(model_, &newer.options, &session),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("a field that version"));
}

TEST_F(CApi, RespectsOlderStatsSize) {
  gemma_generate_stats stats;
  gemma_generate_stats_init(&stats, sizeof(stats));
  stats.struct_size = offsetof(gemma_generate_stats, new_tokens);
  stats.new_tokens = 77;
  const std::vector<int32_t> prompt = Prompt();
  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  options.max_new_tokens = 1;
  ASSERT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           nullptr, nullptr, &stats),
            GEMMA_OK);
  EXPECT_EQ(stats.prompt_tokens, prompt.size());
  EXPECT_EQ(stats.new_tokens, 77u);
}

TEST_F(CApi, RefusesOutOfRange) {
  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  options.temperature = -1;
  const std::vector<int32_t> prompt = Prompt();
  EXPECT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           nullptr, nullptr, nullptr),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("temperature"));
  EXPECT_EQ(gemma_session_position(session_), 0u);

  gemma_session_options session_options;
  gemma_session_options_init(&session_options, sizeof(session_options));
  session_options.cache_format = static_cast<gemma_cache_format>(4);
  gemma_session* none = nullptr;
  EXPECT_EQ(gemma_session_create(model_, &session_options, &none),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_STREQ(gemma_last_error(), "cache_format is 4, wanted 0 to 3");
}

// ---------------------------------------------------------------------------
// Errors of the caller

// Passes null to each function for each pointer that must not be null.
TEST_F(CApi, NullPointersAreRefused) {
  const auto refuses = [](gemma_status status, const char* message) {
    EXPECT_EQ(status, GEMMA_INVALID_ARGUMENT);
    EXPECT_STREQ(gemma_last_error(), message);
  };
  gemma_model* model = nullptr;
  gemma_session* session = nullptr;
  int32_t token = 0;
  size_t size = 0;
  char text = 0;
  const gemma_message message = {GEMMA_ROLE_USER, "hi"};
  const gemma_message no_text = {GEMMA_ROLE_USER, nullptr};

  refuses(gemma_model_load(nullptr, nullptr, &model), "path is null");
  refuses(gemma_model_load("x", nullptr, nullptr), "model is null");

  refuses(gemma_tokenize(nullptr, "a", 1, false, &token, 1, &size),
          "model is null");
  refuses(gemma_tokenize(model_, nullptr, 1, false, &token, 1, &size),
          "text is null");
  refuses(gemma_tokenize(model_, "a", 1, false, &token, 1, nullptr),
          "size is null");
  refuses(gemma_tokenize(model_, "a", 1, false, nullptr, 9, &size),
          "the buffer is null");
  refuses(gemma_detokenize(nullptr, &token, 1, &text, 1, &size),
          "model is null");
  refuses(gemma_detokenize(model_, nullptr, 1, &text, 1, &size),
          "tokens is null");
  refuses(gemma_detokenize(model_, &token, 1, &text, 1, nullptr),
          "size is null");

  refuses(gemma_chat_prompt(nullptr, &message, 1, &token, 1, &size),
          "model is null");
  refuses(gemma_chat_prompt(model_, nullptr, 1, &token, 1, &size),
          "messages is null");
  refuses(gemma_chat_prompt(model_, &no_text, 1, &token, 1, &size),
          "messages[0].text is null");
  refuses(gemma_chat_prompt(model_, &message, 1, &token, 1, nullptr),
          "size is null");
  refuses(gemma_chat_next_turn(nullptr, "a", &token, 1, &size),
          "model is null");
  refuses(gemma_chat_next_turn(model_, nullptr, &token, 1, &size),
          "text is null");
  refuses(gemma_chat_next_turn(model_, "a", &token, 1, nullptr),
          "size is null");

  refuses(gemma_model_prompt(nullptr, "a", 1, &token, 1, &size),
          "model is null");
  refuses(gemma_model_prompt(model_, nullptr, 1, &token, 1, &size),
          "text is null");
  refuses(gemma_model_prompt(model_, "a", 1, &token, 1, nullptr),
          "size is null");

  refuses(gemma_fill_prompt(nullptr, "", 0, "", 0, nullptr, &token, 1, &size),
          "model is null");
  refuses(
      gemma_fill_prompt(model_, nullptr, 1, "", 0, nullptr, &token, 1, &size),
      "prefix is null");
  refuses(
      gemma_fill_prompt(model_, "", 0, nullptr, 1, nullptr, &token, 1, &size),
      "suffix is null");
  refuses(gemma_fill_prompt(model_, "", 0, "", 0, nullptr, &token, 1, nullptr),
          "size is null");
  refuses(gemma_fill_stop_tokens(nullptr, &token, 1, &size), "model is null");
  refuses(gemma_fill_stop_tokens(model_, &token, 1, nullptr), "size is null");

  refuses(gemma_session_create(nullptr, nullptr, &session), "model is null");
  refuses(gemma_session_create(model_, nullptr, nullptr), "session is null");
  refuses(gemma_session_forward(nullptr, &token, 1, nullptr),
          "session is null");
  refuses(gemma_session_forward(session_, nullptr, 1, nullptr),
          "tokens is null");
  refuses(gemma_session_rewind(nullptr, 0), "session is null");
  refuses(
      gemma_generate(nullptr, &token, 1, nullptr, nullptr, nullptr, nullptr),
      "session is null");
  refuses(
      gemma_generate(session_, nullptr, 1, nullptr, nullptr, nullptr, nullptr),
      "prompt is null");
}

TEST_F(CApi, NullHasNoValues) {
  EXPECT_EQ(gemma_model_vocab_size(nullptr), 0u);
  EXPECT_EQ(gemma_model_max_context(nullptr), 0u);
  EXPECT_FALSE(gemma_model_is_instruction_tuned(nullptr));
  EXPECT_STREQ(gemma_model_architecture(nullptr), "");
  EXPECT_EQ(gemma_find_token(nullptr, "a"), -1);
  EXPECT_EQ(gemma_find_token(model_, nullptr), -1);
  EXPECT_STREQ(gemma_last_error(), "piece is null");
  EXPECT_EQ(gemma_bos_token(nullptr), -1);
  EXPECT_EQ(gemma_session_position(nullptr), 0u);
  EXPECT_EQ(gemma_session_remaining(nullptr), 0u);
}

TEST_F(CApi, NullChangesNothing) {
  gemma_load_options_init(nullptr, 8);
  gemma_session_options_init(nullptr, 8);
  gemma_generate_options_init(nullptr, 8);
  gemma_generate_stats_init(nullptr, 8);
  gemma_session_checkpoint(nullptr);
  EXPECT_STREQ(gemma_last_error(), "session is null");
  gemma_cancellation_cancel(nullptr);
  gemma_cancellation_reset(nullptr);
  gemma_cancellation_free(nullptr);
  gemma_session_free(nullptr);
  gemma_model_free(nullptr);
}

bool Throw(const char*, size_t, void*) { throw 7; }

TEST_F(CApi, CallbacksMayThrow) {
  const std::vector<int32_t> prompt = Prompt();
  EXPECT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), nullptr,
                           Throw, nullptr, nullptr),
            GEMMA_INTERNAL);
  EXPECT_EQ(gemma_session_rewind(session_, 0), GEMMA_OK);
}

}  // namespace
}  // namespace gemma::internal

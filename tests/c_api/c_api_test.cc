// Tests that models, tokens and sessions of C are those of C++.

#include <cstddef>
#include <string>
#include <vector>

#include "gemma/c_api.h"
#include "gemma/gemma.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_api_fixture.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

TEST_F(CApi, TellsOfTheModel) {
  const Model model = LoadOrDie(Gemma3Path(), {});
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
  const Model model = LoadOrDie(Gemma3Path(), {});
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
    EXPECT_EQ(gemma_model_load(Gemma3Path().c_str(), &options, &model),
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
  EXPECT_EQ(gemma_model_load(Gemma3Path().c_str(), &options, &model),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_STREQ(gemma_last_error(), "turn_source is 3, wanted 0 to 2");
}

TEST_F(CApi, TurnsEqualTemplate) {
  const Model model = LoadOrDie(Gemma3Path(), {});
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
  const Model model = LoadOrDie(Gemma3Path(), {});
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
  EXPECT_EQ(gemma_model_load(Gemma3Path().c_str(), &options, &none),
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
  ASSERT_EQ(gemma_model_load(Gemma3Path().c_str(), nullptr, &model), GEMMA_OK);
  gemma_session* session = nullptr;
  ASSERT_EQ(gemma_session_create(model, nullptr, &session), GEMMA_OK);
  gemma_model_free(model);
  const std::vector<int32_t> prompt = Prompt();
  EXPECT_EQ(
      gemma_session_forward(session, prompt.data(), prompt.size(), nullptr),
      GEMMA_OK);
  gemma_session_free(session);
}

}  // namespace
}  // namespace gemma::internal

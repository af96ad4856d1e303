// Tests that chats and answers in parts are in C what they are in C++.

#include "gemma/c_chat.h"

#include <string>
#include <string_view>
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

using ::testing::HasSubstr;

constexpr char kTools[] =
    R"([{"type": "function", "function": {"name": "now", "description": "Time",
         "parameters": {"type": "object", "properties": {}}}}])";

bool Append(const char* text, size_t size, void* user) {
  static_cast<std::string*>(user)->append(text, size);
  return true;
}

// A model that thinks, calls the tool `now`, and answers when it has the
// result.
class CChat : public ::testing::Test {
 protected:
  static void Load() {
    const std::string path = TestDirectory() + "/m.gguf";
    WriteFile(path, ToolCallingModel());
    ASSERT_EQ(gemma_model_load(path.c_str(), nullptr, &model_), GEMMA_OK)
        << gemma_last_error();
    same_ = new Model(LoadOrDie(path, {.num_threads = 1}));
  }
  static void TearDownTestSuite() {
    gemma_model_free(model_);
    delete same_;
  }

  void SetUp() override {
    if (model_ == nullptr) Load();
    ASSERT_NE(model_, nullptr);
    gemma_generate_options_init(&options_, sizeof(options_));
    EXPECT_EQ(options_.answer, nullptr);
    options_.temperature = 0;
    ASSERT_EQ(gemma_session_create(model_, nullptr, &session_), GEMMA_OK);
    ASSERT_EQ(gemma_chat_create(model_, &chat_), GEMMA_OK);
    ASSERT_EQ(gemma_answer_create(model_, &answer_), GEMMA_OK);
  }
  void TearDown() override {
    gemma_answer_free(answer_);
    gemma_chat_free(chat_);
    gemma_session_free(session_);
  }

  std::vector<int32_t> Rendered() const {
    std::vector<int32_t> tokens(400);
    size_t size = 0;
    EXPECT_EQ(gemma_chat_render(chat_, tokens.data(), tokens.size(), &size),
              GEMMA_OK)
        << gemma_last_error();
    tokens.resize(size);
    return tokens;
  }

  // Answers the whole chat.
  gemma_status Generate() {
    EXPECT_EQ(gemma_session_rewind(session_, 0), GEMMA_OK);
    const std::vector<int32_t> prompt = Rendered();
    text_.clear();
    return gemma_generate(session_, prompt.data(), prompt.size(), &options_,
                          Append, &text_, nullptr);
  }

  static gemma_model* model_;
  static Model* same_;
  gemma_generate_options options_;
  gemma_session* session_ = nullptr;
  gemma_chat* chat_ = nullptr;
  gemma_answer* answer_ = nullptr;
  std::string text_;  // what on_text got
};

gemma_model* CChat::model_ = nullptr;
Model* CChat::same_ = nullptr;

TEST_F(CChat, TokensEqualTemplate) {
  gemma_chat_set_tools(chat_, kTools);
  gemma_chat_set_thinking(chat_, GEMMA_THINKING_ON);
  gemma_chat_add(chat_, GEMMA_ROLE_DEVELOPER, "Be brief.");
  gemma_chat_add_json(chat_, GEMMA_ROLE_USER,
                      R"([{"type": "text", "text": "one"},
                          {"type": "text", "text": "two"}])");
  gemma_chat_add(chat_, GEMMA_ROLE_MODEL, "");
  ASSERT_EQ(gemma_chat_add_call(chat_, "now", R"({"zone": "CET"})", "1"),
            GEMMA_OK);
  ASSERT_EQ(gemma_chat_add_call(chat_, "now", nullptr, "2"), GEMMA_OK);
  gemma_chat_add_result_json(chat_, nullptr, "2", R"({"hour": 12})");
  gemma_chat_add_result(chat_, nullptr, "1", "noon <turn|>");
  EXPECT_EQ(gemma_chat_size(chat_), 5u);
  const std::vector<Message> messages = {
      {Role::kDeveloper, "Be brief."},
      {.content_json = R"([{"type": "text", "text": "one"},
                           {"type": "text", "text": "two"}])"},
      {.role = Role::kModel,
       .tool_calls = {{"now", R"({"zone": "CET"})", "1"}, {"now", "", "2"}}},
      {.role = Role::kTool, .content_json = R"({"hour": 12})", .call_id = "2"},
      {.role = Role::kTool, .text = "noon <turn|>", .call_id = "1"}};
  const ChatTemplate turns = *same_->chat_template();
  EXPECT_EQ(Rendered(),
            *turns.Render(messages, {.tools = kTools, .thinking = true}));
  ASSERT_EQ(gemma_chat_truncate(chat_, 2), GEMMA_OK);
  gemma_chat_set_tools(chat_, nullptr);
  gemma_chat_set_thinking(chat_, GEMMA_THINKING_OFF);
  EXPECT_EQ(Rendered(),
            *turns.Render({{messages[0], messages[1]}}, {.thinking = false}));
  EXPECT_EQ(gemma_chat_truncate(chat_, 3), GEMMA_OUT_OF_RANGE);
  EXPECT_STREQ(gemma_last_error(), "size is 3, but the chat has 2 messages");
}

TEST_F(CChat, ContinuesAfterAnswers) {
  gemma_chat_set_thinking(chat_, GEMMA_THINKING_ON);
  gemma_chat_add(chat_, GEMMA_ROLE_USER, "one");
  gemma_chat_add(chat_, GEMMA_ROLE_MODEL, "two");
  gemma_chat_add(chat_, GEMMA_ROLE_USER, "three");
  const std::vector<Message> messages = {
      {Role::kUser, "one"}, {Role::kModel, "two"}, {Role::kUser, "three"}};
  for (const size_t num_read : {0, 2}) {
    const auto want = same_->chat_template()->Continue(messages, num_read,
                                                       {.thinking = true});
    std::vector<int32_t> tokens(100);
    size_t size = 0;
    bool whole = num_read != 0;
    ASSERT_EQ(gemma_chat_continue(chat_, num_read, tokens.data(), tokens.size(),
                                  &size, &whole),
              GEMMA_OK);
    tokens.resize(size);
    EXPECT_EQ(tokens, want->tokens);
    EXPECT_EQ(whole, num_read == 0);
  }
  size_t size = 0;
  bool whole = false;
  EXPECT_EQ(gemma_chat_continue(chat_, 1, nullptr, 0, &size, &whole),
            GEMMA_INVALID_ARGUMENT);
}

TEST_F(CChat, AnswerComesInParts) {
  gemma_chat_set_tools(chat_, kTools);
  gemma_chat_set_thinking(chat_, GEMMA_THINKING_ON);
  gemma_chat_add(chat_, GEMMA_ROLE_USER, "when?");
  options_.answer = answer_;
  ASSERT_EQ(Generate(), GEMMA_OK) << gemma_last_error();
  EXPECT_EQ(text_, "");
  size_t size = 0;
  EXPECT_STREQ(gemma_answer_thoughts(answer_, &size), "Hm.\n");
  EXPECT_EQ(size, 4u);
  ASSERT_EQ(gemma_answer_num_calls(answer_), 1u);
  EXPECT_STREQ(gemma_answer_call_tool(answer_, 0), "now");
  EXPECT_STREQ(gemma_answer_call_arguments(answer_, 0), "{}");
  EXPECT_STREQ(gemma_answer_call_tool(answer_, 1), "");
  EXPECT_TRUE(gemma_answer_has_markers(answer_));

  ASSERT_EQ(gemma_chat_add_answer(chat_, answer_), GEMMA_OK);
  gemma_chat_add_result(chat_, nullptr, nullptr, "noon");
  const std::vector<Message> messages = {{Role::kUser, "when?"},
                                         {.role = Role::kModel,
                                          .thoughts = "Hm.\n",
                                          .tool_calls = {{"now", "{}"}}},
                                         {.role = Role::kTool, .text = "noon"}};
  EXPECT_EQ(Rendered(), *same_->chat_template()->Render(
                            messages, {.tools = kTools, .thinking = true}));
  ASSERT_EQ(Generate(), GEMMA_OK);
  EXPECT_EQ(text_, "Noon.");
  EXPECT_STREQ(gemma_answer_text(answer_, &size), "Noon.");
  EXPECT_EQ(size, 5u);
  EXPECT_EQ(gemma_answer_num_calls(answer_), 0u);
  EXPECT_STREQ(gemma_answer_thoughts(answer_, nullptr), "");
  EXPECT_FALSE(gemma_answer_has_markers(answer_));
}

TEST_F(CChat, ThoughtsHaveTheirFunction) {
  gemma_chat_set_thinking(chat_, GEMMA_THINKING_ON);
  gemma_chat_add(chat_, GEMMA_ROLE_USER, "when?");
  options_.on_thoughts = Append;
  EXPECT_EQ(Generate(), GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("answer is null"));
  options_.answer = answer_;
  ASSERT_EQ(Generate(), GEMMA_OK);
  EXPECT_EQ(text_, "Hm.\n");
  EXPECT_EQ(gemma_answer_num_calls(answer_), 1u);
  // It may end the answer, so the call is never made.
  options_.on_thoughts = [](const char*, size_t, void*) { return false; };
  ASSERT_EQ(Generate(), GEMMA_OK);
  EXPECT_EQ(gemma_answer_num_calls(answer_), 0u);
  // A failure keeps the parts of the answer before.
  const std::string before = gemma_answer_thoughts(answer_, nullptr);
  options_.temperature = -1;
  EXPECT_EQ(Generate(), GEMMA_INVALID_ARGUMENT);
  EXPECT_EQ(gemma_answer_thoughts(answer_, nullptr), before);
}

TEST_F(CChat, AnswerBelongsToModel) {
  gemma_model* other = nullptr;
  const std::string path = TestDirectory() + "/other.gguf";
  WriteFile(path, ToolCallingModel());
  ASSERT_EQ(gemma_model_load(path.c_str(), nullptr, &other), GEMMA_OK);
  gemma_answer* answer = nullptr;
  ASSERT_EQ(gemma_answer_create(other, &answer), GEMMA_OK);
  gemma_model_free(other);
  gemma_chat_add(chat_, GEMMA_ROLE_USER, "when?");
  options_.answer = answer;
  EXPECT_EQ(Generate(), GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("answer belongs to another model"));
  gemma_answer_free(answer);
}

TEST_F(CChat, ReadsTokensOfAnswers) {
  const std::string answer =
      "<|channel>thought\nHm.\n<channel|>So.<|tool_call>call:now{z:<|\"|>a"
      "<|\"|>}<tool_call|>";
  const Tokenizer& tokenizer = **same_->tokenizer();
  const std::vector<TokenId> tokens =
      *tokenizer.Encode(answer, ControlTokens::kParse);
  ASSERT_EQ(gemma_answer_read(answer_, tokens.data(), tokens.size()), GEMMA_OK);
  EXPECT_STREQ(gemma_answer_text(answer_, nullptr), "So.");
  EXPECT_STREQ(gemma_answer_thoughts(answer_, nullptr), "Hm.");
  EXPECT_STREQ(gemma_answer_call_arguments(answer_, 0), R"({"z":"a"})");
  const int32_t wrong[] = {4, 100000};
  EXPECT_EQ(gemma_answer_read(answer_, wrong, 2), GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("token 100000 at 1 is not in"));
  EXPECT_STREQ(gemma_answer_text(answer_, nullptr), "So.");
}

TEST_F(CChat, WrongArgumentsAreRefused) {
  const auto refuses = [](gemma_status status, const char* message) {
    EXPECT_EQ(status, GEMMA_INVALID_ARGUMENT);
    EXPECT_STREQ(gemma_last_error(), message);
  };
  gemma_chat* chat = nullptr;
  gemma_answer* answer = nullptr;
  size_t size = 0;
  bool whole = false;
  refuses(gemma_chat_create(nullptr, &chat), "model is null");
  refuses(gemma_chat_create(model_, nullptr), "chat is null");
  refuses(gemma_chat_set_tools(nullptr, ""), "chat is null");
  refuses(gemma_chat_set_thinking(nullptr, GEMMA_THINKING_ON), "chat is null");
  refuses(gemma_chat_set_thinking(chat_, static_cast<gemma_thinking>(3)),
          "thinking is 3, wanted 0 to 2");
  refuses(gemma_chat_add(nullptr, GEMMA_ROLE_USER, ""), "chat is null");
  refuses(gemma_chat_add(chat_, GEMMA_ROLE_USER, nullptr), "text is null");
  refuses(gemma_chat_add(chat_, static_cast<gemma_role>(5), ""),
          "role is 5, wanted 0 to 4");
  refuses(gemma_chat_add_json(chat_, GEMMA_ROLE_USER, nullptr), "json is null");
  refuses(gemma_chat_add_call(nullptr, "f", "{}", nullptr), "chat is null");
  refuses(gemma_chat_add_call(chat_, nullptr, "{}", nullptr), "tool is null");
  refuses(gemma_chat_add_call(chat_, "f", "{}", nullptr),
          "a call of f follows no message of the model: add one first, which "
          "may be ''");
  refuses(gemma_chat_add_result(nullptr, "f", nullptr, ""), "chat is null");
  refuses(gemma_chat_add_result(chat_, "f", nullptr, nullptr), "text is null");
  refuses(gemma_chat_add_result_json(chat_, "f", nullptr, nullptr),
          "json is null");
  refuses(gemma_chat_add_answer(nullptr, answer_), "chat is null");
  refuses(gemma_chat_add_answer(chat_, nullptr), "answer is null");
  refuses(gemma_chat_truncate(nullptr, 0), "chat is null");
  refuses(gemma_chat_render(nullptr, nullptr, 0, &size), "chat is null");
  refuses(gemma_chat_render(chat_, nullptr, 0, nullptr), "size is null");
  refuses(gemma_chat_continue(nullptr, 0, nullptr, 0, &size, &whole),
          "chat is null");
  refuses(gemma_chat_continue(chat_, 0, nullptr, 0, nullptr, &whole),
          "size is null");
  refuses(gemma_chat_continue(chat_, 0, nullptr, 0, &size, nullptr),
          "whole is null");
  refuses(gemma_answer_create(nullptr, &answer), "model is null");
  refuses(gemma_answer_create(model_, nullptr), "answer is null");
  refuses(gemma_answer_read(nullptr, nullptr, 0), "answer is null");
  refuses(gemma_answer_read(answer_, nullptr, 1), "tokens is null");
  EXPECT_EQ(gemma_chat_size(chat_), 0u);

  EXPECT_EQ(gemma_chat_size(nullptr), 0u);
  EXPECT_STREQ(gemma_answer_text(nullptr, &size), "");
  EXPECT_EQ(gemma_answer_num_calls(nullptr), 0u);
  EXPECT_STREQ(gemma_answer_call_arguments(nullptr, 0), "");
  EXPECT_FALSE(gemma_answer_has_markers(nullptr));
  gemma_chat_free(nullptr);
  gemma_answer_free(nullptr);
}

}  // namespace
}  // namespace gemma::internal

// Tests what the C interface refuses: structs of other versions, values out of
// range and null pointers.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gemma/c_api.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_api_fixture.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

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

}  // namespace
}  // namespace gemma::internal

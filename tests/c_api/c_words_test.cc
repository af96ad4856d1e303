// Tests that rows take the place of tokens in C as in C++.

#include "gemma/c_words.h"

#include <limits>
#include <string>
#include <vector>

#include "gemma/c_engine.h"
#include "gemma/c_score.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_toys.h"
#include "tests/support/input_rows.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

constexpr size_t kBegin = 1, kEnd = 3;  // of the rows in a prompt

// A list of C that is freed at the end.
struct CWordList {
  CWordList() { EXPECT_EQ(gemma_words_create(&words), GEMMA_OK); }
  ~CWordList() { gemma_words_free(words); }
  CWordList(const CWordList&) = delete;
  CWordList& operator=(const CWordList&) = delete;

  void Add(absl::Span<const int32_t> tokens) {
    EXPECT_EQ(gemma_words_add_tokens(words, tokens.data(), tokens.size()),
              GEMMA_OK);
  }
  // Adds rows with the values and the mask of `rows`.
  void Add(const InputRows& rows) {
    gemma_input_rows* made = nullptr;
    ASSERT_EQ(gemma_input_rows_create(
                  rows.values().data(), rows.size(), rows.model_dim(),
                  static_cast<gemma_row_mask>(rows.mask()), &made),
              GEMMA_OK)
        << gemma_last_error();
    EXPECT_EQ(gemma_input_rows_size(made), rows.size());
    EXPECT_EQ(gemma_input_rows_model_dim(made), rows.model_dim());
    EXPECT_EQ(gemma_words_add_rows(words, made), GEMMA_OK);
    gemma_input_rows_free(made);  // the list keeps them
  }

  gemma_words* words = nullptr;
};

std::vector<int32_t> TokensIn(const gemma_words* words) {
  std::vector<int32_t> tokens(gemma_words_size(words));
  size_t size = 0;
  EXPECT_EQ(gemma_words_tokens(words, tokens.data(), tokens.size(), &size),
            GEMMA_OK);
  EXPECT_EQ(size, tokens.size());
  return tokens;
}

// A prompt in which rows stand for some tokens, in both languages.
class CWords : public ::testing::Test {
 protected:
  CWords() : CWords(RowMask::kCausal) {}
  explicit CWords(RowMask mask)
      : same_(WithEmbeddings(toy_.same, tokens_, kBegin, kEnd, mask)) {
    made_.Add(absl::MakeConstSpan(tokens_).first(kBegin));
    made_.Add(same_.rows()[0].rows);
    made_.Add(absl::MakeConstSpan(tokens_).subspan(kEnd));
  }

  // Returns what gemma_session_forward_all_words writes.
  std::vector<float> LogitsOf(gemma_session* session,
                              const gemma_words* words) const {
    std::vector<float> logits(gemma_words_size(words) * vocab_);
    size_t size = 0;
    EXPECT_EQ(gemma_session_forward_all_words(session, words, logits.data(),
                                              logits.size(), &size),
              GEMMA_OK)
        << gemma_last_error();
    return logits;
  }

  const CToy& toy_ = Gemma3Toy();
  const size_t vocab_ = toy_.same.config().vocab_size;
  const std::vector<int32_t> tokens_ = HelloPrompt(toy_);
  const Words same_;
  CWordList made_;
};

TEST_F(CWords, LogitsEqualSession) {
  Session same = NewSession(toy_.same);
  const std::vector<float> expected = AllLogits(same, same_);
  EXPECT_EQ(expected, AllLogits(toy_.same, tokens_));
  const CSequence made(toy_);
  size_t size = 0;
  EXPECT_EQ(gemma_session_forward_all_words(made.session, made_.words, nullptr,
                                            0, &size),
            GEMMA_OUT_OF_RANGE);
  EXPECT_EQ(size, expected.size());
  EXPECT_EQ(gemma_session_position(made.session), 0u);
  EXPECT_EQ(LogitsOf(made.session, made_.words), expected);
  EXPECT_EQ(made.Tokens(), TokensIn(made_.words));
  EXPECT_EQ(made.Tokens()[kBegin], GEMMA_ROW_TOKEN);

  ASSERT_EQ(gemma_session_rewind(made.session, 0), GEMMA_OK);
  const float* last = nullptr;
  ASSERT_EQ(gemma_session_forward_words(made.session, made_.words, 0, &last),
            GEMMA_OK);
  const auto tail = absl::MakeConstSpan(expected).last(vocab_);
  EXPECT_EQ(absl::MakeConstSpan(last, vocab_), tail);

  ASSERT_EQ(gemma_session_rewind(made.session, 0), GEMMA_OK);
  size_t done = 0;
  const auto count = [](size_t so_far, void* user) {
    *static_cast<size_t*>(user) = so_far;
    return true;
  };
  ASSERT_EQ(gemma_session_append_words(made.session, made_.words, count, &done),
            GEMMA_OK);
  EXPECT_EQ(done, tokens_.size());
  ASSERT_EQ(gemma_session_rewind(made.session, 0), GEMMA_OK);
  ASSERT_EQ(
      gemma_session_append_words(made.session, made_.words, nullptr, nullptr),
      GEMMA_OK);
  EXPECT_EQ(gemma_session_position(made.session), tokens_.size());
}

TEST_F(CWords, BatchEqualsSessions) {
  CWordList others;
  others.Add(absl::MakeConstSpan(tokens_));
  const CSequence a(toy_), b(toy_);
  const gemma_words_continuation batch[] = {{a.session, made_.words},
                                            {b.session, others.words}};
  std::vector<float> logits(2 * vocab_);
  size_t size = 0;
  ASSERT_EQ(gemma_session_forward_batch_words(batch, 2, logits.data(),
                                              logits.size(), &size),
            GEMMA_OK);
  EXPECT_EQ(size, logits.size());
  const std::vector<float> all = AllLogits(toy_.same, tokens_);
  const auto expected = absl::MakeConstSpan(all).last(vocab_);
  const auto both = absl::MakeConstSpan(logits);
  EXPECT_EQ(both.first(vocab_), expected);
  EXPECT_EQ(both.last(vocab_), expected);
}

TEST_F(CWords, AnswersEqualGenerate) {
  Session same = NewSession(toy_.same);
  GenerateOptions options;
  options.max_new_tokens = 12;
  std::string expected;
  ASSERT_TRUE(Generate(same, same_, options, [&](std::string_view text) {
                expected += text;
                return true;
              }).ok());
  const CSequence made(toy_);
  gemma_generate_options same_options =
      Initialized(gemma_generate_options_init);
  same_options.max_new_tokens = options.max_new_tokens;
  std::string text;
  gemma_generate_stats stats = Initialized(gemma_generate_stats_init);
  ASSERT_EQ(gemma_generate_words(made.session, made_.words, &same_options,
                                 AddText, &text, &stats),
            GEMMA_OK);
  EXPECT_EQ(text, expected);
  EXPECT_EQ(stats.prompt_tokens, tokens_.size());
  EXPECT_EQ(made.Tokens(), TokensOf(same));

  gemma_engine* engine = nullptr;
  ASSERT_EQ(gemma_engine_create(toy_.model, nullptr, &engine), GEMMA_OK);
  gemma_request request = Initialized(gemma_request_init);
  request.options = &same_options;
  gemma_ticket* ticket = nullptr;
  {
    CWordList prompt;
    prompt.Add(absl::MakeConstSpan(tokens_).first(kBegin));
    prompt.Add(same_.rows()[0].rows);
    prompt.Add(absl::MakeConstSpan(tokens_).subspan(kEnd));
    request.words = prompt.words;
    ASSERT_EQ(gemma_engine_submit(engine, &request, &ticket), GEMMA_OK)
        << gemma_last_error();
  }  // the engine has copied them
  gemma_completion answer = Initialized(gemma_completion_init);
  ASSERT_EQ(gemma_ticket_wait(ticket, &answer), GEMMA_OK);
  EXPECT_EQ(answer.text, expected);
  gemma_ticket_free(ticket);
  request.words = made_.words;
  request.prompt = tokens_.data();
  request.prompt_size = tokens_.size();
  ticket = nullptr;
  ExpectRefused(gemma_engine_submit(engine, &request, &ticket),
                "a request has a prompt and words, wanted one of them");
  gemma_engine_free(engine);
}

TEST_F(CWords, ScoresEqualScore) {
  const std::vector<std::vector<TokenId>> lists = {{17, 4}, {9}};
  Session same = NewSession(toy_.same);
  const auto expected = Score(same, same_, lists);
  ASSERT_TRUE(expected.ok());
  const gemma_tokens choices[] = {{lists[0].data(), 2}, {lists[1].data(), 1}};
  const CSequence made(toy_);
  double scores[2] = {}, tokens[3] = {};
  bool is_greedy[2] = {true, true};
  ASSERT_EQ(gemma_score_words(made.session, made_.words, choices, 2, scores,
                              tokens, is_greedy),
            GEMMA_OK);
  for (size_t i = 0; i < lists.size(); ++i) {
    EXPECT_EQ(scores[i], (*expected)[i].log_probability);
    EXPECT_EQ(is_greedy[i], (*expected)[i].is_greedy);
  }
  EXPECT_EQ(tokens[2], (*expected)[1].token_log_probabilities[0]);
  EXPECT_EQ(made.Tokens(), TokensIn(made_.words));
}

class CMutualWords : public CWords {
 protected:
  CMutualWords() : CWords(RowMask::kBidirectional) {}
};

TEST_F(CMutualWords, MaskIsHonoured) {
  Session same = NewSession(toy_.same);
  const std::vector<float> expected = AllLogits(same, same_);
  const CSequence made(toy_);
  EXPECT_EQ(LogitsOf(made.session, made_.words), expected);
  EXPECT_NE(expected, AllLogits(toy_.same, tokens_));
}

TEST_F(CMutualWords, RowsStayWhole) {
  EXPECT_EQ(gemma_words_whole(made_.words, kBegin), kBegin);
  EXPECT_EQ(gemma_words_whole(made_.words, kBegin + 1), kBegin);
  EXPECT_EQ(gemma_words_whole(made_.words, kEnd), kEnd);
  EXPECT_EQ(gemma_words_whole(made_.words, 1000), tokens_.size());
  const CSequence made(toy_);
  const std::vector<float> expected = LogitsOf(made.session, made_.words);
  EXPECT_EQ(gemma_session_rewind(made.session, kBegin + 1),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_EQ(gemma_session_rewind(made.session, kEnd), GEMMA_OK);

  // A session gives its words, with their rows.
  gemma_words* words = nullptr;
  ASSERT_EQ(gemma_session_words(made.session, &words), GEMMA_OK);
  std::vector<int32_t> with_rows = TokensIn(made_.words);
  with_rows.resize(kEnd);
  EXPECT_EQ(TokensIn(words), with_rows);
  ASSERT_EQ(
      gemma_words_add_tokens(words, &tokens_[kEnd], tokens_.size() - kEnd),
      GEMMA_OK);
  ASSERT_EQ(gemma_session_rewind(made.session, 0), GEMMA_OK);
  EXPECT_EQ(LogitsOf(made.session, words), expected);
  gemma_words_truncate(words, 1000);
  EXPECT_EQ(gemma_words_size(words), tokens_.size());
  gemma_words_truncate(words, kBegin + 1);
  EXPECT_EQ(gemma_words_size(words), kBegin);
  gemma_words_free(words);
}

TEST_F(CWords, WrongRowsAreRefused) {
  gemma_input_rows* rows = nullptr;
  float values[] = {1, 2, 3, std::numeric_limits<float>::infinity()};
  ExpectRefused(
      gemma_input_rows_create(nullptr, 1, 2, GEMMA_ROWS_CAUSAL, &rows),
      "values is null");
  ExpectRefused(
      gemma_input_rows_create(values, 1, 2, GEMMA_ROWS_CAUSAL, nullptr),
      "rows is null");
  ExpectRefused(gemma_input_rows_create(values, 1, 2,
                                        static_cast<gemma_row_mask>(2), &rows),
                "mask is 2, wanted 0 to 1");
  ExpectRefused(gemma_input_rows_create(values, 1, 0, GEMMA_ROWS_CAUSAL, &rows),
                "model_dim is 0, wanted 1 or more");
  for (const size_t num_rows : {size_t{0}, size_t{2}, SIZE_MAX}) {
    EXPECT_EQ(
        gemma_input_rows_create(values, num_rows, 2, GEMMA_ROWS_CAUSAL, &rows),
        GEMMA_INVALID_ARGUMENT);
  }
  EXPECT_THAT(gemma_last_error(), HasSubstr("more than memory can hold"));
  EXPECT_EQ(rows, nullptr);

  const int32_t tokens[] = {2, GEMMA_ROW_TOKEN};
  ExpectRefused(gemma_words_add_tokens(made_.words, tokens, 2),
                "token 1 of tokens is -1, wanted 0 or more");
  EXPECT_EQ(gemma_words_size(made_.words), tokens_.size());
  ASSERT_EQ(gemma_input_rows_create(values, 1, 2, GEMMA_ROWS_CAUSAL, &rows),
            GEMMA_OK);
  ASSERT_EQ(gemma_words_add_rows(made_.words, rows), GEMMA_OK);
  gemma_input_rows_free(rows);
  const CSequence made(toy_);
  EXPECT_EQ(
      gemma_session_append_words(made.session, made_.words, nullptr, nullptr),
      GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("is a row of 2 values, wanted"));
  EXPECT_EQ(gemma_session_position(made.session), 0u);
}

TEST_F(CWords, NullPointersAreRefused) {
  const CSequence made(toy_);
  gemma_session* session = made.session;
  gemma_words* words = made_.words;
  const float* last = nullptr;
  float value = 0;
  double score = 0;
  size_t size = 0;
  const gemma_tokens choice = {tokens_.data(), 1};
  const gemma_words_continuation no_session = {nullptr, words};
  const gemma_words_continuation no_words = {session, nullptr};
  ExpectRefused(gemma_words_create(nullptr), "words is null");
  ExpectRefused(gemma_words_add_tokens(nullptr, nullptr, 0), "words is null");
  ExpectRefused(gemma_words_add_tokens(words, nullptr, 1), "tokens is null");
  EXPECT_EQ(gemma_words_add_tokens(words, nullptr, 0), GEMMA_OK);
  ExpectRefused(gemma_words_add_rows(nullptr, nullptr), "words is null");
  ExpectRefused(gemma_words_add_rows(words, nullptr), "rows is null");
  ExpectRefused(gemma_words_tokens(nullptr, nullptr, 0, &size),
                "words is null");
  ExpectRefused(gemma_words_tokens(words, nullptr, 0, nullptr), "size is null");
  ExpectRefused(gemma_session_words(nullptr, &words), "session is null");
  ExpectRefused(gemma_session_words(session, nullptr), "words is null");
  ExpectRefused(gemma_session_forward_words(nullptr, words, 0, &last),
                "session is null");
  ExpectRefused(gemma_session_forward_words(session, nullptr, 0, &last),
                "words is null");
  ExpectRefused(gemma_session_forward_words(session, words, 0, nullptr),
                "logits is null");
  ExpectRefused(
      gemma_session_forward_all_words(nullptr, words, &value, 1, &size),
      "session is null");
  ExpectRefused(
      gemma_session_forward_all_words(session, nullptr, &value, 1, &size),
      "words is null");
  ExpectRefused(
      gemma_session_forward_all_words(session, words, &value, 1, nullptr),
      "size is null");
  ExpectRefused(gemma_session_append_words(nullptr, words, nullptr, nullptr),
                "session is null");
  ExpectRefused(gemma_session_append_words(session, nullptr, nullptr, nullptr),
                "words is null");
  ExpectRefused(gemma_session_forward_batch_words(nullptr, 1, &value, 1, &size),
                "batch is null");
  ExpectRefused(
      gemma_session_forward_batch_words(&no_words, 1, &value, 1, nullptr),
      "size is null");
  ExpectRefused(
      gemma_session_forward_batch_words(&no_session, 1, &value, 1, &size),
      "batch[0].session is null");
  ExpectRefused(
      gemma_session_forward_batch_words(&no_words, 1, &value, 1, &size),
      "batch[0].words is null");
  ExpectRefused(gemma_session_forward_batch_words(nullptr, 0, &value, 1, &size),
                "batch_size is 0, wanted 1 or more");
  ExpectRefused(
      gemma_generate_words(nullptr, words, nullptr, nullptr, nullptr, nullptr),
      "session is null");
  ExpectRefused(gemma_generate_words(session, nullptr, nullptr, nullptr,
                                     nullptr, nullptr),
                "prompt is null");
  ExpectRefused(
      gemma_score_words(nullptr, words, &choice, 1, &score, nullptr, nullptr),
      "session is null");
  ExpectRefused(
      gemma_score_words(session, nullptr, &choice, 1, &score, nullptr, nullptr),
      "prompt is null");
  EXPECT_EQ(gemma_session_position(session), 0u);
  EXPECT_EQ(gemma_input_rows_size(nullptr), 0u);
  EXPECT_EQ(gemma_input_rows_model_dim(nullptr), 0u);
  EXPECT_EQ(gemma_words_size(nullptr), 0u);
  EXPECT_EQ(gemma_words_whole(nullptr, 3), 0u);
  gemma_words_truncate(nullptr, 3);
  gemma_words_free(nullptr);
  gemma_input_rows_free(nullptr);
}

}  // namespace
}  // namespace gemma::internal

// Tests that an engine answers in C as in C++.

#include "gemma/c_engine.h"

#include <numeric>
#include <string>
#include <vector>

#include "gemma/c_snapshot.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_engine_fixture.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

TEST_F(CEngine, AnswersEqualGenerate) {
  std::vector<gemma_ticket*> tickets;
  std::vector<std::string> texts(4);
  for (size_t i = 0; i < texts.size(); ++i) {
    options_.seed = i;
    request_.on_text = AddText;
    request_.user = &texts[i];
    tickets.push_back(Submitted());
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    std::string expected;
    Session session = NewSession(toy_.same);
    GenerateOptions same;
    same.max_new_tokens = 20;
    same.sampling.seed = i;
    const auto want =
        Generate(session, prompt_, same, [&](std::string_view text) {
          expected += text;
          return true;
        });
    ASSERT_TRUE(want.ok());
    gemma_completion answer = Initialized(gemma_completion_init);
    ASSERT_EQ(gemma_ticket_wait(tickets[i], &answer), GEMMA_OK);
    EXPECT_TRUE(gemma_ticket_done(tickets[i]));
    EXPECT_EQ(answer.text, expected);
    EXPECT_EQ(answer.text_size, expected.size());
    EXPECT_EQ(texts[i], expected);
    std::vector<int32_t> tokens = prompt_;
    tokens.insert(tokens.end(), answer.tokens,
                  answer.tokens + answer.num_tokens);
    EXPECT_EQ(tokens, TokensOf(session));
    EXPECT_EQ(answer.num_tokens, want->new_tokens);
    EXPECT_EQ(answer.prompt_tokens, prompt_.size());
    EXPECT_EQ(gemma_stop_reason_name(answer.stop_reason),
              StopReasonName(want->stop_reason));
    EXPECT_EQ(answer.num_scores, 0u);
    EXPECT_EQ(answer.num_texts, 0u);
    for (size_t t = 1; t < answer.num_tokens; ++t) {
      EXPECT_LE(answer.token_seconds[t - 1], answer.token_seconds[t]);
    }
    gemma_request_times times = Initialized(gemma_request_times_init);
    ASSERT_EQ(gemma_ticket_times(tickets[i], &times), GEMMA_OK);
    EXPECT_LE(0, times.started);
    EXPECT_LE(times.started, times.first_token);
    EXPECT_LE(times.first_token, times.last_token);
    EXPECT_LE(times.last_token, times.ended);
    EXPECT_EQ(times.num_tokens, answer.num_tokens);
    gemma_ticket_free(tickets[i]);
  }
}

// The engine keeps what pointers of a request showed.
TEST_F(CEngine, RequestsAreCopied) {
  gemma_ticket* expected = Submitted();
  gemma_completion answer = Initialized(gemma_completion_init);
  ASSERT_EQ(gemma_ticket_wait(expected, &answer), GEMMA_OK);
  gemma_ticket* ticket = nullptr;
  {
    std::vector<int32_t> prompt = prompt_;
    gemma_generate_options options = options_;
    gemma_request request = request_;
    std::string client = "somebody with a long name, so that it is allocated";
    request.prompt = prompt.data();
    request.options = &options;
    request.client = client.c_str();
    ASSERT_EQ(gemma_engine_submit(engine_, &request, &ticket), GEMMA_OK);
    std::fill(prompt.begin(), prompt.end(), -1);
    std::fill(client.begin(), client.end(), 'x');
    options.max_new_tokens = 1;
  }
  gemma_completion same = Initialized(gemma_completion_init);
  ASSERT_EQ(gemma_ticket_wait(ticket, &same), GEMMA_OK);
  EXPECT_STREQ(same.text, answer.text);
  gemma_ticket_free(ticket);
  gemma_ticket_free(expected);
}

TEST_F(CEngine, ChoicesEqualScore) {
  options_.max_new_tokens = 0;
  const std::vector<std::vector<TokenId>> lists = {
      {17, 4}, {9}, {MostProbable(toy_, prompt_)}};
  std::vector<gemma_tokens> choices;
  for (const auto& list : lists) choices.push_back({list.data(), list.size()});
  request_.choices = choices.data();
  request_.num_choices = choices.size();
  gemma_ticket* ticket = Submitted();
  Session session = NewSession(toy_.same);
  const auto expected = Score(session, prompt_, lists);
  ASSERT_TRUE(expected.ok());
  for (int i = 0; i < 2; ++i) {
    gemma_completion answer = Initialized(gemma_completion_init);
    ASSERT_EQ(gemma_ticket_wait(ticket, &answer), GEMMA_OK);
    ASSERT_EQ(answer.num_scores, lists.size());
    EXPECT_TRUE(answer.scores[2].is_greedy);
    for (size_t c = 0; c < lists.size(); ++c) {
      const gemma_choice_score& score = answer.scores[c];
      EXPECT_EQ(score.log_probability, (*expected)[c].log_probability);
      EXPECT_EQ(score.is_greedy, (*expected)[c].is_greedy);
      EXPECT_EQ(
          std::vector<double>(score.token_log_probabilities,
                              score.token_log_probabilities + score.num_tokens),
          (*expected)[c].token_log_probabilities);
    }
  }
  gemma_ticket_free(ticket);
}

void AddToStream(const gemma_tap_site* site, float* activations, size_t size,
                 void* user) {
  if (site->point != GEMMA_TAP_BLOCK_OUTPUT) return;
  *static_cast<size_t*>(user) += size;
  for (size_t i = 0; i < size; ++i) activations[i] += 0.5f * float(i % 3);
}

TEST_F(CEngine, TapsChangeOneRequest) {
  gemma_ticket* plain = Submitted();
  size_t values = 0;
  request_.tap = AddToStream;
  request_.user = &values;
  gemma_ticket* tapped = Submitted();
  gemma_completion answer = Initialized(gemma_completion_init);
  ASSERT_EQ(gemma_ticket_wait(tapped, &answer), GEMMA_OK);
  EXPECT_GT(values, 0u);

  gemma_session* session = nullptr;
  ASSERT_EQ(gemma_session_create(toy_.model, nullptr, &session), GEMMA_OK);
  ASSERT_EQ(gemma_session_set_tap(session, AddToStream, &values), GEMMA_OK);
  std::string expected;
  ASSERT_EQ(gemma_generate(session, prompt_.data(), prompt_.size(), &options_,
                           AddText, &expected, nullptr),
            GEMMA_OK);
  gemma_session_free(session);
  EXPECT_EQ(answer.text, expected);
  ASSERT_EQ(gemma_ticket_wait(plain, &answer), GEMMA_OK);
  EXPECT_NE(answer.text, expected);
  gemma_ticket_free(plain);
  gemma_ticket_free(tapped);
}

TEST_F(CEngine, AnswersInParts) {
  gemma_answer* parts = nullptr;
  ASSERT_EQ(gemma_answer_create(toy_.model, &parts), GEMMA_OK);
  options_.answer = parts;
  gemma_ticket* ticket = Submitted();
  gemma_completion answer = Initialized(gemma_completion_init);
  ASSERT_EQ(gemma_ticket_wait(ticket, &answer), GEMMA_OK);
  EXPECT_GT(answer.text_size, 0u);
  EXPECT_STREQ(gemma_answer_text(parts, nullptr), answer.text);
  gemma_ticket_free(ticket);
  gemma_answer_free(parts);
}

TEST_F(CEngine, KeepsGrammars) {
  gemma_grammar_source source = Initialized(gemma_grammar_source_init);
  const char* const regex = "[0-9]{5}";
  source.kind = GEMMA_GRAMMAR_REGEX;
  source.texts = &regex;
  source.num_texts = 1;
  gemma_compiled_grammar* grammar = nullptr;
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(gemma_engine_compile(engine_, &source, &grammar), GEMMA_OK);
    options_.compiled_grammar = grammar;
    gemma_ticket* ticket = Submitted();
    gemma_compiled_grammar_free(grammar);  // the request has a copy
    gemma_completion answer = Initialized(gemma_completion_init);
    ASSERT_EQ(gemma_ticket_wait(ticket, &answer), GEMMA_OK);
    EXPECT_EQ(answer.stop_reason, GEMMA_STOP_GRAMMAR_END);
    EXPECT_EQ(answer.text_size, 5u);
    gemma_ticket_free(ticket);
  }
  gemma_engine_snapshot snapshot = Initialized(gemma_engine_snapshot_init);
  ASSERT_EQ(gemma_engine_get_snapshot(engine_, &snapshot), GEMMA_OK);
  EXPECT_EQ(snapshot.grammar_misses, 1u);
  EXPECT_EQ(snapshot.grammar_hits, 1u);
  EXPECT_EQ(snapshot.grammars, 1u);
  EXPECT_EQ(snapshot.submitted, 2u);
  EXPECT_EQ(snapshot.ended[GEMMA_STOP_GRAMMAR_END], 2u);
  EXPECT_EQ(std::accumulate(std::begin(snapshot.ended),
                            std::end(snapshot.ended), uint64_t{0}),
            2u);
  EXPECT_GT(snapshot.rows, snapshot.computed_tokens);
  EXPECT_EQ(snapshot.computed_tokens + snapshot.reused_tokens,
            2 * prompt_.size());
  EXPECT_EQ(snapshot.max_sequences, EngineOptions().max_sequences);
  EXPECT_EQ(snapshot.max_reuse_bytes, EngineOptions().reuse_bytes);
  EXPECT_EQ(snapshot.bytes, snapshot.running_bytes + snapshot.reuse_bytes +
                                snapshot.logits_bytes);
  EXPECT_GT(snapshot.passes, 0u);
}

TEST_F(CEngine, LimitsAreKept) {
  gemma_memory_budget* budget = nullptr;
  ASSERT_EQ(gemma_memory_budget_create(uint64_t{1} << 30, &budget), GEMMA_OK);
  EXPECT_EQ(gemma_memory_budget_max_bytes(budget), uint64_t{1} << 30);
  gemma_engine_options options = Initialized(gemma_engine_options_init);
  options.max_tokens = 32;
  options.max_sequences = 1;
  options.max_queued = 1;
  options.max_bytes = uint64_t{1} << 28;
  options.reuse_bytes = 0;
  options.grammar_bytes = 0;
  options.budget = budget;
  options.cache_format = GEMMA_CACHE_INT8;
  gemma_engine* small = nullptr;
  ASSERT_EQ(gemma_engine_create(toy_.model, &options, &small), GEMMA_OK)
      << gemma_last_error();
  gemma_memory_use use = Initialized(gemma_memory_use_init);
  ASSERT_EQ(gemma_engine_memory(toy_.model, &options, &use), GEMMA_OK);
  EngineOptions same = {.max_tokens = 32,
                        .cache_format = CacheFormat::kInt8,
                        .max_sequences = 1,
                        .max_queued = 1,
                        .reuse_bytes = 0,
                        .grammar_bytes = 0};
  EXPECT_EQ(use.total, Engine::MemoryFor(toy_.same, same).total());
  const std::vector<int32_t> prompt(33, 2);
  request_.prompt = prompt.data();
  request_.prompt_size = prompt.size();
  gemma_ticket* ticket = nullptr;
  EXPECT_EQ(gemma_engine_submit(small, &request_, &ticket), GEMMA_OUT_OF_RANGE);
  gemma_engine_snapshot snapshot = Initialized(gemma_engine_snapshot_init);
  ASSERT_EQ(gemma_engine_get_snapshot(small, &snapshot), GEMMA_OK);
  EXPECT_EQ(snapshot.max_bytes, options.max_bytes);
  EXPECT_EQ(snapshot.max_sequences, 1u);

  const uint64_t held = gemma_memory_budget_bytes(budget);
  ASSERT_EQ(gemma_memory_budget_reserve(budget, 1000), GEMMA_OK);
  EXPECT_EQ(gemma_memory_budget_bytes(budget), held + 1000);
  gemma_memory_budget_release(budget, 1000);
  EXPECT_EQ(gemma_memory_budget_bytes(budget), held);
  EXPECT_EQ(gemma_memory_budget_reserve(budget, uint64_t{1} << 40),
            GEMMA_RESOURCE_EXHAUSTED);
  gemma_memory_budget_free(budget);
  gemma_engine_free(small);
  options.max_sequences = 0;
  options.budget = nullptr;
  EXPECT_EQ(gemma_engine_create(toy_.model, &options, &small),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("max_sequences"));
}

TEST_F(CEngine, EmbedsTexts) {
  const CToy toy(TestFile("gguf/gemma_embedding.gguf"));
  gemma_engine* engine = nullptr;
  ASSERT_EQ(gemma_engine_create(toy.model, nullptr, &engine), GEMMA_OK);
  const gemma_text texts[] = {{"hello", 5}, {"the cat", 7}};
  gemma_embed_options embed = Initialized(gemma_embed_options_init);
  embed.normalize = false;
  gemma_request request = Initialized(gemma_request_init);
  request.texts = texts;
  request.num_texts = 2;
  request.embed = &embed;
  gemma_ticket* ticket = nullptr;
  ASSERT_EQ(gemma_engine_submit(engine, &request, &ticket), GEMMA_OK)
      << gemma_last_error();
  gemma_completion answer = Initialized(gemma_completion_init);
  ASSERT_EQ(gemma_ticket_wait(ticket, &answer), GEMMA_OK);
  const auto embedder = Embedder::Create(toy.same);
  ASSERT_TRUE(embedder.ok());
  EmbedOptions same;
  same.normalize = false;
  const std::vector<std::string> strings = {"hello", "the cat"};
  const auto expected = embedder->Embed(strings, same);
  ASSERT_TRUE(expected.ok());
  EXPECT_EQ(answer.num_texts, 2u);
  EXPECT_EQ(answer.embedding_dim, expected->dimensions);
  EXPECT_EQ(std::vector<float>(answer.embeddings,
                               answer.embeddings + 2 * answer.embedding_dim),
            expected->values);
  EXPECT_EQ(std::vector<size_t>(answer.text_tokens, answer.text_tokens + 2),
            expected->num_tokens);
  EXPECT_EQ(answer.num_truncated, 0u);
  gemma_ticket_free(ticket);
  gemma_engine_free(engine);
}

}  // namespace
}  // namespace gemma::internal

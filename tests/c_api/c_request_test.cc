// Tests which requests an engine refuses.

#include "gemma/c_engine.h"
#include "gemma/c_snapshot.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_engine_fixture.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

TEST_F(CEngine, WrongRequestsAreRefused) {
  request_.num_choices = 1;
  ExpectRefused(SubmitFails(), "choices is null");
  const gemma_tokens no_tokens = {nullptr, 1};
  request_.choices = &no_tokens;
  ExpectRefused(SubmitFails(), "choices[0].tokens is null");
  request_.choices = nullptr;
  request_.num_choices = 0;
  const gemma_embed_options embed = Initialized(gemma_embed_options_init);
  request_.embed = &embed;
  ExpectRefused(SubmitFails(),
                "embed is set, wanted null for a request without texts");
  request_.embed = nullptr;
  request_.num_texts = 1;
  ExpectRefused(SubmitFails(), "texts is null");
  const gemma_text no_text = {nullptr, 1};
  request_.texts = &no_text;
  ExpectRefused(SubmitFails(), "texts[0].text is null");
  const gemma_text text = {"a", 1};
  request_.texts = &text;
  EXPECT_NE(SubmitFails(), GEMMA_OK);  // the model does not embed
  request_.texts = nullptr;
  request_.num_texts = 0;
  request_.prompt = nullptr;
  ExpectRefused(SubmitFails(), "prompt is null");
  request_.struct_size = 1;
  EXPECT_EQ(SubmitFails(), GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("gemma_request_init"));
}

TEST_F(CEngine, NullPointersAreRefused) {
  gemma_ticket* ticket = nullptr;
  gemma_engine* engine = nullptr;
  gemma_memory_use use = Initialized(gemma_memory_use_init);
  gemma_request_times times = Initialized(gemma_request_times_init);
  gemma_engine_snapshot snapshot = Initialized(gemma_engine_snapshot_init);
  gemma_grammar_source source = Initialized(gemma_grammar_source_init);
  gemma_compiled_grammar* grammar = nullptr;
  ExpectRefused(gemma_memory_budget_create(0, nullptr), "budget is null");
  ExpectRefused(gemma_memory_budget_reserve(nullptr, 1), "budget is null");
  ExpectRefused(gemma_engine_create(nullptr, nullptr, &engine),
                "model is null");
  ExpectRefused(gemma_engine_create(toy_.model, nullptr, nullptr),
                "engine is null");
  ExpectRefused(gemma_engine_memory(nullptr, nullptr, &use), "model is null");
  ExpectRefused(gemma_engine_memory(toy_.model, nullptr, nullptr),
                "use is null");
  ExpectRefused(gemma_engine_compile(nullptr, &source, &grammar),
                "engine is null");
  ExpectRefused(gemma_engine_compile(engine_, nullptr, &grammar),
                "source is null");
  ExpectRefused(gemma_engine_compile(engine_, &source, nullptr),
                "grammar is null");
  ExpectRefused(gemma_engine_submit(nullptr, &request_, &ticket),
                "engine is null");
  ExpectRefused(gemma_engine_submit(engine_, nullptr, &ticket),
                "request is null");
  ExpectRefused(gemma_engine_submit(engine_, &request_, nullptr),
                "ticket is null");
  ExpectRefused(gemma_ticket_wait(nullptr, nullptr), "ticket is null");
  ExpectRefused(gemma_ticket_times(nullptr, &times), "ticket is null");
  ExpectRefused(gemma_engine_get_snapshot(nullptr, &snapshot),
                "engine is null");
  ExpectRefused(gemma_engine_get_snapshot(engine_, nullptr),
                "snapshot is null");
  ticket = Submitted();
  ExpectRefused(gemma_ticket_times(ticket, nullptr), "times is null");
  gemma_completion answer = {};
  EXPECT_EQ(gemma_ticket_wait(ticket, &answer), GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("gemma_completion_init"));
  EXPECT_EQ(gemma_ticket_wait(ticket, nullptr), GEMMA_OK);
  gemma_ticket_free(ticket);
  EXPECT_FALSE(gemma_ticket_done(nullptr));
  EXPECT_EQ(gemma_memory_budget_bytes(nullptr), 0u);
  EXPECT_EQ(gemma_memory_budget_max_bytes(nullptr), 0u);
  gemma_memory_budget_release(nullptr, 1);
  gemma_memory_budget_free(nullptr);
  gemma_ticket_cancel(nullptr);
  gemma_ticket_free(nullptr);
  gemma_engine_free(nullptr);
}

}  // namespace
}  // namespace gemma::internal

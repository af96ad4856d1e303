// Tests when an engine calls what, and how requests end.

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "gemma/c_engine.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_engine_fixture.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

// What on_done received, and the ticket that it frees.
struct DoneSeen {
  std::mutex mutex;
  std::condition_variable changed;
  gemma_ticket* ticket = nullptr;
  int calls = 0;
  gemma_status status = GEMMA_UNKNOWN;
  std::string text;
  std::string error;

  void Wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return calls > 0; });
  }
};

void FreeWhenDone(gemma_status status, const gemma_completion* completion,
                  void* user) {
  auto* seen = static_cast<DoneSeen*>(user);
  const std::lock_guard lock(seen->mutex);
  // The ticket is known before this is called.
  EXPECT_NE(seen->ticket, nullptr);
  gemma_ticket_free(seen->ticket);
  ++seen->calls;
  seen->status = status;
  if (completion != nullptr) seen->text = completion->text;
  if (status != GEMMA_OK) seen->error = gemma_last_error();
  seen->changed.notify_all();
}

TEST_F(CEngine, DoneMayFreeTicket) {
  std::string expected;
  {
    gemma_ticket* ticket = Submitted();
    gemma_completion answer = Initialized(gemma_completion_init);
    ASSERT_EQ(gemma_ticket_wait(ticket, &answer), GEMMA_OK);
    expected = answer.text;
    gemma_ticket_free(ticket);
  }
  request_.on_done = FreeWhenDone;
  for (int i = 0; i < 30; ++i) {
    DoneSeen seen;
    request_.user = &seen;
    ASSERT_EQ(gemma_engine_submit(engine_, &request_, &seen.ticket), GEMMA_OK);
    seen.Wait();
    EXPECT_EQ(seen.calls, 1);
    EXPECT_EQ(seen.status, GEMMA_OK);
    EXPECT_EQ(seen.text, expected);
  }
}

bool ThrowText(const char*, size_t, void*) { throw 7; }

TEST_F(CEngine, DoneReceivesErrors) {
  DoneSeen seen;
  request_.on_done = FreeWhenDone;
  request_.on_text = ThrowText;
  request_.user = &seen;
  ASSERT_EQ(gemma_engine_submit(engine_, &request_, &seen.ticket), GEMMA_OK);
  seen.Wait();
  EXPECT_EQ(seen.status, GEMMA_INTERNAL);
  EXPECT_THAT(seen.error, HasSubstr("exception"));
}

void CancelTicket(size_t, size_t, void* user) {
  gemma_ticket_cancel(*static_cast<gemma_ticket**>(user));
}

TEST_F(CEngine, TicketsCancel) {
  options_.max_new_tokens = 0;
  options_.temperature = 0;
  options_.on_prompt = CancelTicket;
  gemma_ticket* ticket = nullptr;
  request_.user = &ticket;
  ASSERT_EQ(gemma_engine_submit(engine_, &request_, &ticket), GEMMA_OK);
  gemma_completion answer = Initialized(gemma_completion_init);
  ASSERT_EQ(gemma_ticket_wait(ticket, &answer), GEMMA_OK);
  EXPECT_EQ(answer.stop_reason, GEMMA_STOP_CANCELLED);
  gemma_ticket_free(ticket);
  options_.on_prompt = nullptr;

  gemma_cancellation* cancellation = gemma_cancellation_create();
  gemma_cancellation_cancel(cancellation);
  options_.cancellation = cancellation;
  ticket = Submitted();
  ASSERT_EQ(gemma_ticket_wait(ticket, &answer), GEMMA_OK);
  EXPECT_EQ(answer.stop_reason, GEMMA_STOP_CANCELLED);
  gemma_ticket_free(ticket);
  options_.cancellation = nullptr;
  gemma_cancellation_free(cancellation);

  options_.timeout_seconds = 1e-9;
  ticket = Submitted();
  ASSERT_EQ(gemma_ticket_wait(ticket, &answer), GEMMA_OK);
  EXPECT_EQ(answer.stop_reason, GEMMA_STOP_DEADLINE);
  gemma_ticket_free(ticket);
}

TEST_F(CEngine, OutlivesWhatMadeIt) {
  gemma_model* model = nullptr;
  ASSERT_EQ(gemma_model_load(TestFile("gguf/gemma3_mixed.gguf").c_str(),
                             nullptr, &model),
            GEMMA_OK);
  gemma_engine* engine = nullptr;
  ASSERT_EQ(gemma_engine_create(model, nullptr, &engine), GEMMA_OK);
  gemma_model_free(model);
  gemma_ticket* ticket = nullptr;
  ASSERT_EQ(gemma_engine_submit(engine, &request_, &ticket), GEMMA_OK);
  gemma_engine_free(engine);
  gemma_completion answer = Initialized(gemma_completion_init);
  EXPECT_EQ(gemma_ticket_wait(ticket, &answer), GEMMA_OK);
  gemma_ticket_free(ticket);
}

// What between_passes has seen of the functions of requests.
struct Passes {
  std::mutex mutex;
  std::condition_variable changed;
  size_t tokens = 0;  // since the last call
  size_t passes = 0;  // calls that had tokens
  size_t handed = 0;  // tokens of these calls
};

void CountToken(const gemma_scored_token*, void* user) {
  auto* passes = static_cast<Passes*>(user);
  const std::lock_guard lock(passes->mutex);
  ++passes->tokens;
}

void HandOver(void* user) {
  auto* passes = static_cast<Passes*>(user);
  const std::lock_guard lock(passes->mutex);
  if (passes->tokens == 0) return;
  ++passes->passes;
  passes->handed += std::exchange(passes->tokens, 0);
  passes->changed.notify_all();
}

TEST_F(CEngine, CallsBetweenPasses) {
  Passes passes;
  gemma_engine_options options = Initialized(gemma_engine_options_init);
  EXPECT_EQ(options.between_passes, nullptr);
  options.between_passes = HandOver;
  options.user = &passes;
  gemma_engine* engine = nullptr;
  ASSERT_EQ(gemma_engine_create(toy_.model, &options, &engine), GEMMA_OK);
  options_.min_new_tokens = options_.max_new_tokens;
  options_.on_token = CountToken;
  request_.user = &passes;
  std::vector<gemma_ticket*> tickets(4);
  for (gemma_ticket*& ticket : tickets) {
    ASSERT_EQ(gemma_engine_submit(engine, &request_, &ticket), GEMMA_OK);
  }
  {
    std::unique_lock lock(passes.mutex);
    passes.changed.wait(lock, [&] { return passes.handed == 4 * 20; });
    EXPECT_LT(passes.passes, 4 * 20 / 2);
  }
  for (gemma_ticket* const ticket : tickets) gemma_ticket_free(ticket);
  gemma_engine_free(engine);
}

}  // namespace
}  // namespace gemma::internal

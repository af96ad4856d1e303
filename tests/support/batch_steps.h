// A batcher whose steps a test makes itself.

#ifndef GEMMA_TESTS_SUPPORT_BATCH_STEPS_H_
#define GEMMA_TESTS_SUPPORT_BATCH_STEPS_H_

#include <cstddef>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "src/batch/batcher.h"
#include "src/batch/meter.h"
#include "src/session/model_impl.h"
#include "tests/support/error_of.h"

namespace gemma::internal {

// A batcher and its requests.
class Steps {
 public:
  explicit Steps(const Model& model, const EngineOptions& options = {})
      : account_(
            *Batcher::OpenAccount(model, **model.impl().executor(), options)),
        meter_(options),
        batcher_(model, **model.tokenizer(), **model.impl().executor(), options,
                 meter_, *account_) {}

  // A request; Result() is its answer.
  size_t Add(Request request) {
    states_.push_back(
        std::make_shared<Ticket::State>(std::move(request), std::thread::id()));
    const size_t words = states_.back()->prompt().size();
    meter_.Queued(words);
    meter_.Admitted(words);
    batcher_.Add(states_.back());
    return states_.size() - 1;
  }
  void Step() { batcher_.Step(); }
  bool waits_for_memory() const { return batcher_.waits_for_memory(); }
  EngineSnapshot Snapshot() const { return meter_.Get(); }
  size_t Finish() {
    size_t steps = 0;
    for (; batcher_.num_running() != 0; ++steps) batcher_.Step();
    return steps;
  }
  bool done(size_t index) const { return states_[index]->done(); }
  const Completion& Result(size_t index) const {
    EXPECT_EQ(ErrorOf(states_[index]->Wait().status()), "OK");
    return *states_[index]->Wait();
  }
  size_t Reused(size_t index) const {
    return Result(index).stats.reused_tokens;
  }

 private:
  std::unique_ptr<MemoryAccount> account_;
  EngineMeter meter_;
  Batcher batcher_;
  std::vector<std::shared_ptr<Ticket::State>> states_;
};

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_BATCH_STEPS_H_

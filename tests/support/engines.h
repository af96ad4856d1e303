// Engines whose calls must succeed.

#ifndef GEMMA_TESTS_SUPPORT_ENGINES_H_
#define GEMMA_TESTS_SUPPORT_ENGINES_H_

#include <latch>
#include <optional>
#include <string_view>
#include <utility>

#include "gemma/gemma.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/requests.h"

namespace gemma::internal {

inline Engine MakeEngine(const Model& model,
                         const EngineOptions& options = {}) {
  auto engine = Engine::Create(model, options);
  EXPECT_EQ(ErrorOf(engine.status()), "OK");
  return *std::move(engine);
}

inline Ticket Submit(Engine& engine, Request request) {
  auto ticket = engine.Submit(std::move(request));
  EXPECT_EQ(ErrorOf(ticket.status()), "OK");
  return *std::move(ticket);
}

inline Completion AnswerOf(const Ticket& ticket) {
  const absl::StatusOr<Completion>& completion = ticket.Wait();
  EXPECT_EQ(ErrorOf(completion.status()), "OK");
  return completion.ok() ? *completion : Completion();
}

// Holds an engine's thread in a function of a request until it is released.
class Obstacle {
 public:
  explicit Obstacle(Engine& engine) {
    Request request = Ask({2, 5}, 1);
    request.on_text = [](std::string_view) { return true; };
    request.options.cancelled = [this] {
      if (!std::exchange(asked_, true)) reached_.count_down();
      released_.wait();
      return false;
    };
    ticket_.emplace(Submit(engine, std::move(request)));
    reached_.wait();
  }
  ~Obstacle() { Release(); }
  void Release() {
    if (!std::exchange(open_, true)) released_.count_down();
  }

 private:
  bool asked_ = false;  // used by the engine's thread
  std::latch reached_{1};
  std::latch released_{1};
  bool open_ = false;
  std::optional<Ticket> ticket_;
};

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_ENGINES_H_

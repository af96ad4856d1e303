// For tests of threads that must not wait for ever.

#ifndef GEMMA_TESTS_SUPPORT_WITHOUT_HANGING_H_
#define GEMMA_TESTS_SUPPORT_WITHOUT_HANGING_H_

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <utility>

namespace gemma {

// Calls `body` on a thread of its own. If that hangs, the whole program fails:
// a thread that waits for itself cannot be ended otherwise.
template <class Body>
void WithoutHanging(Body body) {
  std::future<void> done =
      std::async(std::launch::async, [&] { std::move(body)(); });
  if (done.wait_for(std::chrono::minutes(2)) == std::future_status::ready) {
    return done.get();
  }
  std::fputs("a thread waits for ever\n", stderr);
  std::abort();
}

}  // namespace gemma

#endif  // GEMMA_TESTS_SUPPORT_WITHOUT_HANGING_H_

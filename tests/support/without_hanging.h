// Ends tests whose threads wait forever.

#ifndef GEMMA_TESTS_SUPPORT_WITHOUT_HANGING_H_
#define GEMMA_TESTS_SUPPORT_WITHOUT_HANGING_H_

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <utility>

namespace gemma::internal {

// Calls `body` on its own thread. If it takes more than 2 minutes, ends the
// whole program, because a thread that waits for itself cannot be stopped.
template <class Body>
void WithoutHanging(Body body) {
  std::future<void> done =
      std::async(std::launch::async, [&] { std::move(body)(); });
  if (done.wait_for(std::chrono::minutes(2)) == std::future_status::ready) {
    return done.get();
  }
  std::fputs("a test still waits after 2 minutes\n", stderr);
  std::abort();
}

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_WITHOUT_HANGING_H_

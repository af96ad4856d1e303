// A thread for what would keep an engine waiting.

#ifndef GEMMA_SRC_SERVE_BACKGROUND_H_
#define GEMMA_SRC_SERVE_BACKGROUND_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "src/base/internal.h"

namespace gemma::internal {

// Calls functions one after the other, in the order in which they came. They
// must not throw. Starts its thread with the first one.
class Background {
 public:
  Background() = default;
  // Calls the functions that wait, then ends the thread.
  ~Background() { Stop(); }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Any thread may call it before Stop. Throws if the function cannot be kept
  // or the thread cannot start; the function is then not called.
  void Run(std::function<void()> function);
  // Calls the functions that wait, then ends the thread.
  void Stop();

 private:
  void Loop();

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  bool stops_ = false;
  std::thread thread_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_BACKGROUND_H_

// Whose pass the workers compute next.

#ifndef GEMMA_SRC_FORWARD_WORKER_TURNS_H_
#define GEMMA_SRC_FORWARD_WORKER_TURNS_H_

#include <condition_variable>
#include <cstddef>
#include <mutex>

#include "gemma/thread_pool.h"
#include "ops/workers.h"
#include "src/base/internal.h"

namespace gemma {

// The workers of one or several models, and the line of threads that want to
// compute with them.
class ThreadPool::Impl {
 public:
  explicit Impl(size_t num_threads) : workers_(num_threads) {}

  // To be used within a Turn, or before another thread knows the pool.
  Workers& workers() { return workers_; }
  const Workers& workers() const { return workers_; }

  // While it lives, its thread alone may use the workers. Turns come in the
  // order in which threads ask. A thread that has one, such as a tap's, may
  // take another, which does not wait.
  class Turn {
   public:
    explicit Turn(Impl& pool);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    // Sets how many of the workers compute during this turn.
    void SetMaxActive(size_t threads);

   private:
    friend class Impl;
    // The innermost turn with the same pool of this thread, or null.
    static Turn* Innermost(const Impl* pool);

    Impl& pool_;
    Turn* const outer_;       // the thread's last turn, with any pool
    Turn* const outer_here_;  // with the same pool
    size_t max_active_;
  };

  // Whether the calling thread has a turn with `pool`, which may no longer
  // exist.
  static bool HasTurn(const Impl* pool) {
    return Turn::Innermost(pool) != nullptr;
  }

  // Returns how many threads wait for a turn.
  size_t num_waiting() const;

 private:
  // A place in the line, on the stack of its thread.
  struct Place {
    std::condition_variable called;
    bool is_called = false;
    Place* next = nullptr;
  };

  void Take();
  void Release();

  Workers workers_;
  mutable std::mutex mutex_;  // guards what follows
  bool is_taken_ = false;
  Place* first_ = nullptr;
  Place* last_ = nullptr;
};

}  // namespace gemma

#endif  // GEMMA_SRC_FORWARD_WORKER_TURNS_H_

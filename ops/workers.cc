#include "ops/workers.h"

#include <algorithm>
#include <exception>
#include <new>
#include <system_error>
#include <utility>

#include "hwy/cache_control.h"

namespace gemma::internal {
namespace {

// Pauses for half a millisecond or less: as long as a thread that was
// interrupted for a moment needs to come back. To sleep and be woken costs far
// more than to wait, above all in virtual machines. Other threads that are
// ready to run go first.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// Code between calls is so slow here that waiting would only delay others.
constexpr int kYields = 1;
constexpr int kSpins = 10;
#else
constexpr int kYields = 10;
constexpr int kSpins = 1000;
#endif

// Waits until value differs from `old` and returns it.
uint32_t WaitForChange(std::atomic<uint32_t>& value, uint32_t old) {
  for (int i = 0; i < kYields; ++i) {
    for (int j = 0; j < kSpins; ++j) {
      const uint32_t now = value.load(std::memory_order_acquire);
      if (now != old) return now;
      hwy::Pause();
    }
    std::this_thread::yield();
  }
  uint32_t now = value.load(std::memory_order_acquire);
  while (now == old) {
    value.wait(old, std::memory_order_acquire);
    now = value.load(std::memory_order_acquire);
  }
  return now;
}

}  // namespace

Workers::Workers(size_t num_threads)
    : workers_(new Worker[num_threads]), max_active_(num_threads) {
  try {
    threads_.reserve(num_threads - 1);
    for (size_t worker = 1; worker < num_threads; ++worker) {
      threads_.emplace_back([this, worker] { RunWorker(worker); });
    }
  } catch (const std::system_error&) {
    // The system refuses more threads: go on with those that run.
  } catch (const std::bad_alloc&) {
    // No memory for more threads either.
  }
}

Workers::~Workers() {
  stop_ = true;
  for (size_t worker = 1; worker < num_threads(); ++worker) {
    workers_[worker].calls.fetch_add(1, std::memory_order_release);
    workers_[worker].calls.notify_one();
  }
  for (std::thread& thread : threads_) thread.join();
}

void Workers::ForEach(size_t num_tasks, Body body) {
  const size_t active = std::min({num_threads(), max_active_, num_tasks});
  if (active <= 1) {
    for (size_t task = 0; task < num_tasks; ++task) body(task, 0);
    return;
  }
  ++num_joins_;
  body_ = &body;
  num_active_ = active;
  running_.store(static_cast<uint32_t>(active - 1), std::memory_order_relaxed);
  for (size_t worker = 0; worker < active; ++worker) {
    workers_[worker].end = num_tasks * (worker + 1) / active;
    workers_[worker].next.store(num_tasks * worker / active,
                                std::memory_order_relaxed);
  }
  for (size_t worker = 1; worker < active; ++worker) {
    workers_[worker].calls.fetch_add(1, std::memory_order_release);
    workers_[worker].calls.notify_one();
  }

  RunTasks(0);
  for (uint32_t left = running_.load(std::memory_order_acquire); left != 0;) {
    left = WaitForChange(running_, left);
  }
  if (failed_.load(std::memory_order_relaxed)) {
    failed_.store(false, std::memory_order_relaxed);
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
}

void Workers::RunWorker(size_t worker) {
  for (uint32_t seen = 0;;) {
    // No call is skipped, because ForEach waits for all threads that take part.
    seen = WaitForChange(workers_[worker].calls, seen);
    if (stop_) return;
    RunTasks(worker);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      running_.notify_all();
    }
  }
}

// Runs the worker's share, then the rest of the shares of the workers after it.
void Workers::RunTasks(size_t worker) noexcept {
  try {
    for (size_t i = 0; i < num_active_; ++i) {
      Worker& share = workers_[(worker + i) % num_active_];
      for (;;) {
        const size_t task = share.next.fetch_add(1, std::memory_order_relaxed);
        if (task >= share.end) break;
        (*body_)(task, worker);
      }
    }
  } catch (...) {
    Fail();
  }
}

// Keeps the current exception if it is the first, and ends all shares. ForEach
// sees both after the thread's last change of running_.
void Workers::Fail() noexcept {
  if (!failed_.exchange(true, std::memory_order_relaxed)) {
    failure_ = std::current_exception();
  }
  for (size_t worker = 0; worker < num_active_; ++worker) {
    workers_[worker].next.store(workers_[worker].end,
                                std::memory_order_relaxed);
  }
}

}  // namespace gemma::internal

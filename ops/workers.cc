#include "ops/workers.h"

#include <system_error>

#include "hwy/cache_control.h"

namespace gemma {
namespace {

// About 20 to 50 microseconds of pauses: longer than the gaps between two ops
// of a layer, far shorter than what a reader would notice of a busy core.
constexpr int kSpins = 1000;

// Waits until value differs from `old` and returns it.
uint32_t WaitForChange(std::atomic<uint32_t>& value, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    const uint32_t now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    hwy::Pause();
  }
  uint32_t now = value.load(std::memory_order_acquire);
  while (now == old) {
    value.wait(old, std::memory_order_acquire);
    now = value.load(std::memory_order_acquire);
  }
  return now;
}

}  // namespace

Workers::Workers(size_t num_threads) {
  try {
    threads_.reserve(num_threads - 1);
    for (size_t worker = 1; worker < num_threads; ++worker) {
      threads_.emplace_back([this, worker] { RunWorker(worker); });
    }
  } catch (const std::system_error&) {
    // The system has no more threads for us: go on with those there are.
  }
}

Workers::~Workers() {
  stop_ = true;
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Workers::ForEach(size_t num_tasks, Body body) {
  if (threads_.empty() || num_tasks <= 1) {
    for (size_t task = 0; task < num_tasks; ++task) body(task, 0);
    return;
  }
  ++num_joins_;
  body_ = &body;
  num_tasks_ = num_tasks;
  next_task_.store(0, std::memory_order_relaxed);
  running_.store(static_cast<uint32_t>(threads_.size()),
                 std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();

  RunTasks(0);
  for (uint32_t left = running_.load(std::memory_order_acquire); left != 0;) {
    left = WaitForChange(running_, left);
  }
}

void Workers::RunWorker(size_t worker) {
  for (uint32_t seen = 0;;) {
    // A generation is never skipped: ForEach waits for all workers.
    seen = WaitForChange(generation_, seen);
    if (stop_) return;
    RunTasks(worker);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      running_.notify_all();
    }
  }
}

void Workers::RunTasks(size_t worker) {
  for (;;) {
    const size_t task = next_task_.fetch_add(1, std::memory_order_relaxed);
    if (task >= num_tasks_) return;
    (*body_)(task, worker);
  }
}

}  // namespace gemma

// The threads of a model.

#ifndef GEMMA_OPS_WORKERS_H_
#define GEMMA_OPS_WORKERS_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace gemma::internal {

// A fixed set of threads that divide tasks among themselves. Each thread begins
// with a share of consecutive tasks, so that it reads memory in order. Then it
// helps with the shares of others, one task at a time, so that an interrupted
// thread delays only its own task. Results must not depend on which thread runs
// a task.
//
// Only one thread at a time may call ForEach and set_max_active. Waiting
// threads spin for some microseconds and then sleep.
class Workers {
 public:
  using Body = absl::FunctionRef<void(size_t task, size_t worker)>;

  // `num_threads`, at least one, includes the calling thread. If the system
  // refuses threads or memory for them, there are fewer.
  explicit Workers(size_t num_threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  size_t num_threads() const { return threads_.size() + 1; }

  // Limits the threads that later calls of ForEach use; the others sleep.
  // `max_active` is at least 1. Without a call, all threads work.
  void set_max_active(size_t max_active) { max_active_ = max_active; }

  // Calls body(task, worker) for each task in [0, num_tasks), where worker is
  // in [0, num_threads()). Returns when all calls are done.
  //
  // If a call of body throws, tasks that have not begun are skipped, and
  // ForEach throws the first exception again once every thread has left body.
  void ForEach(size_t num_tasks, Body body);

  // Returns the fork-joins so far. Calls of ForEach that need only one thread
  // do not count.
  uint64_t num_joins() const { return num_joins_; }

 private:
  // The counter that a thread waits for and the rest of its share. Different
  // threads write workers, so each is on a cache line of its own.
  struct alignas(64) Worker {
    std::atomic<uint32_t> calls{0};  // of ForEach that it takes part in
    std::atomic<size_t> next{0};
    size_t end = 0;
  };

  void RunWorker(size_t worker);
  void RunTasks(size_t worker) noexcept;
  void Fail() noexcept;

  std::unique_ptr<Worker[]> workers_;  // the calling thread's is the first
  std::vector<std::thread> threads_;
  size_t max_active_;
  const Body* body_ = nullptr;
  size_t num_active_ = 0;
  uint64_t num_joins_ = 0;
  bool stop_ = false;
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;  // ForEach throws it if failed_
  alignas(64) std::atomic<uint32_t> running_{0};  // threads still at work
};

// Calls body(row) for each row below `count`. Threads take several rows at
// once, because the work for one row is small.
template <class Body>
void ForEachRow(Workers& workers, size_t count, Body body) {
  constexpr size_t kRows = 8;
  workers.ForEach((count + kRows - 1) / kRows, [&](size_t task, size_t) {
    const size_t end = std::min((task + 1) * kRows, count);
    for (size_t row = task * kRows; row < end; ++row) body(row);
  });
}

}  // namespace gemma::internal

#endif  // GEMMA_OPS_WORKERS_H_

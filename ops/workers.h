// The threads of a model.

#ifndef GEMMA_OPS_WORKERS_H_
#define GEMMA_OPS_WORKERS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace gemma {

// A fixed set of threads that divide tasks among themselves. Tasks are handed
// out one at a time, so that a thread that is interrupted delays only its own;
// which thread runs a task must not matter to the result.
//
// One thread at a time may call ForEach. Waiting threads spin for some
// microseconds and then sleep.
class Workers {
 public:
  using Body = absl::FunctionRef<void(size_t task, size_t worker)>;

  // `num_threads`, at least one, counts the calling thread. If the system
  // refuses threads, there are fewer.
  explicit Workers(size_t num_threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  size_t num_threads() const { return threads_.size() + 1; }

  // Calls body(task, worker) for each task in [0, num_tasks), worker being in
  // [0, num_threads()), and returns when all are done.
  void ForEach(size_t num_tasks, Body body);

  // Fork-joins so far. Calls of ForEach that need one thread are none.
  uint64_t num_joins() const { return num_joins_; }

 private:
  void RunWorker(size_t worker);
  void RunTasks(size_t worker);

  std::vector<std::thread> threads_;
  const Body* body_ = nullptr;
  size_t num_tasks_ = 0;
  uint64_t num_joins_ = 0;
  bool stop_ = false;
  // Each on a cache line of its own: written by different threads.
  alignas(64) std::atomic<size_t> next_task_{0};
  alignas(64) std::atomic<uint32_t> generation_{0};  // of calls of ForEach
  alignas(64) std::atomic<uint32_t> running_{0};     // threads still at work
};

}  // namespace gemma

#endif  // GEMMA_OPS_WORKERS_H_

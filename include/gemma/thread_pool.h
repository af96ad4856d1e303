// Threads that several models share.

#ifndef GEMMA_THREAD_POOL_H_
#define GEMMA_THREAD_POOL_H_

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "gemma/export.h"

namespace gemma {

// Threads for the models that are loaded with LoadOptions::thread_pool. They
// compute one pass of one model at a time, each with all threads, so that the
// models do not compete for processors, as they would with threads of their
// own.
//
// Passes come in the order in which engines and threads ask for them. So while
// one model reads a long prompt, another one waits for at most one piece of it
// (LoadOptions::prefill_chunk tokens) before each of its passes, and nobody
// waits forever. Results do not depend on what else the pool computes.
//
// Cheap to copy: copies share the threads, which end with the last copy and the
// last model. Any thread may use a pool.
class GEMMA_EXPORT ThreadPool {
 public:
  // `num_threads`: as in LoadOptions. InvalidArgument if it is too large,
  // ResourceExhausted if memory runs out. If the system refuses threads, there
  // are fewer.
  static absl::StatusOr<ThreadPool> Create(size_t num_threads = 0);

  ~ThreadPool();
  ThreadPool(const ThreadPool&) noexcept;             // shares the threads
  ThreadPool& operator=(const ThreadPool&) noexcept;  // likewise
  // A moved-from pool may only be assigned to or destroyed.
  ThreadPool(ThreadPool&&) noexcept;
  ThreadPool& operator=(ThreadPool&&) noexcept;

  // Returns the number of threads that compute, including the one that asks for
  // a pass.
  size_t num_threads() const;

  // Internal; see src/forward/worker_turns.h.
  class Impl;
  // Internal.
  const std::shared_ptr<Impl>& impl() const { return impl_; }

 private:
  explicit ThreadPool(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_THREAD_POOL_H_

// Memory that several engines share.

#ifndef GEMMA_MEMORY_BUDGET_H_
#define GEMMA_MEMORY_BUDGET_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/export.h"

namespace gemma {

// A limit for what the engines hold that were created with it
// (EngineOptions::budget): the caches of running requests, checkpoints, what is
// kept for reuse, grammars, and the logits of passes.
//
// Before an engine allocates, it makes room: what was used least recently is
// dropped first, whichever engine keeps it. If that is not enough, the request
// waits until others end. Engines that wait take turns, and meanwhile no other
// engine begins a request, so that none waits forever. Functions of requests
// must not wait for requests of another engine with the same budget.
//
// Cheap to copy: copies share the limit. Any thread may use a budget, and no
// function waits for a pass.
class GEMMA_EXPORT MemoryBudget {
 public:
  // `max_bytes`: the limit; 0: none, the budget only counts. Fails only if
  // memory runs out.
  static absl::StatusOr<MemoryBudget> Create(uint64_t max_bytes = 0);

  ~MemoryBudget();
  MemoryBudget(const MemoryBudget&) noexcept;             // shares the limit
  MemoryBudget& operator=(const MemoryBudget&) noexcept;  // likewise
  // A moved-from budget may only be assigned to or destroyed.
  MemoryBudget(MemoryBudget&&) noexcept;
  MemoryBudget& operator=(MemoryBudget&&) noexcept;

  // Counts bytes that no engine counts, such as weights, from now on.
  // ResourceExhausted if they do not fit beside what engines need for a request
  // each; nothing is counted then.
  absl::Status Reserve(uint64_t bytes);
  // Gives back bytes that were reserved.
  void Release(uint64_t bytes);

  // Returns the bytes that are held or reserved. For the logits of passes, the
  // most of any pass count.
  uint64_t bytes() const;
  // Returns the limit, or 0.
  uint64_t max_bytes() const;

  // Internal; see src/batch/memory_account.h.
  class Impl;
  // Internal.
  const std::shared_ptr<Impl>& impl() const { return impl_; }

 private:
  explicit MemoryBudget(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_MEMORY_BUDGET_H_

// What an engine holds of a memory budget.

#ifndef GEMMA_SRC_BATCH_MEMORY_ACCOUNT_H_
#define GEMMA_SRC_BATCH_MEMORY_ACCOUNT_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "gemma/memory_budget.h"
#include "src/base/internal.h"

namespace gemma::internal {

// Things that an engine keeps, and may drop in the order of their last use. Any
// engine's thread calls these functions, with the lock of the budget.
class Droppable {
 public:
  virtual uint64_t bytes() const = 0;
  // When the least recently used one was used, as MemoryAccount::Now gave it;
  // nothing if nothing is kept.
  virtual std::optional<uint64_t> oldest() const = 0;
  virtual void DropOldest() = 0;
  virtual ~Droppable() = default;
};

// The account of an engine. Its own limit counts too.
class MemoryAccount {
 public:
  // `max_bytes`: of this account; 0: no limit. `base`: bytes that are held all
  // the time. `least`: what one request needs, `base` included.
  MemoryAccount(std::shared_ptr<MemoryBudget::Impl> budget, uint64_t max_bytes,
                uint64_t base, uint64_t least);
  ~MemoryAccount();
  MemoryAccount(const MemoryAccount&) = delete;
  MemoryAccount& operator=(const MemoryAccount&) = delete;

  // Joins the budget. An error if `least` does not fit beside that of the other
  // accounts.
  absl::Status Join();

  // The next moment, for Droppable::oldest. Needs no lock.
  uint64_t Now();

  // Held while something in the account changes or is dropped. Never during a
  // pass. The functions below need it.
  class Lock {
   public:
    explicit Lock(const MemoryAccount& account);
    ~Lock();
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    MemoryBudget::Impl& budget_;
  };

  // Adds what may be dropped; Remove comes before its destruction.
  void Add(Droppable& droppable) { droppables_.push_back(&droppable); }
  void Remove(Droppable& droppable) { std::erase(droppables_, &droppable); }

  // Sets the bytes that cannot be dropped, `base` included.
  void SetHeld(uint64_t bytes) { held_ = bytes; }

  enum class Room {
    kMade,
    kAccountFull,  // until requests of this engine end
    kBudgetFull,   // until requests of other engines end, or of this one
  };
  // Drops things, the least recently used first, until there is room for `more`
  // bytes. Drops nothing if there never is.
  Room MakeRoom(uint64_t more);

  // The line of engines whose requests wait for memory. Whoever is not its
  // first begins no request.
  void WaitInLine();
  void LeaveLine();
  bool others_wait() const;
  // Whether other engines hold memory that they will give back.
  bool others_run() const;

 private:
  friend class gemma::MemoryBudget::Impl;

  uint64_t Kept() const;

  const std::shared_ptr<MemoryBudget::Impl> budget_;
  const uint64_t max_bytes_;
  const uint64_t base_;
  const uint64_t least_;
  bool joined_ = false;
  uint64_t held_;
  std::vector<Droppable*> droppables_;
};

}  // namespace gemma::internal

namespace gemma {

class MemoryBudget::Impl {
 public:
  explicit Impl(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  absl::Status Reserve(uint64_t bytes);
  void Release(uint64_t bytes);
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  uint64_t max_bytes() const { return max_bytes_; }

 private:
  friend class internal::MemoryAccount;
  friend class internal::MemoryAccount::Lock;

  uint64_t limit() const { return max_bytes_ == 0 ? UINT64_MAX : max_bytes_; }
  // These need the lock.
  uint64_t Held() const;   // what cannot be dropped
  uint64_t Total() const;  // with what can be
  absl::Status CheckFits(uint64_t more) const;
  // Drops the least recently used thing of these accounts. Returns false if
  // there is nothing.
  static bool DropOldest(const std::list<internal::MemoryAccount*>& accounts);

  const uint64_t max_bytes_;
  std::atomic<uint64_t> bytes_ = 0;  // Total, after the last change
  std::atomic<uint64_t> clock_ = 0;

  std::mutex mutex_;  // guards what follows, and all accounts
  uint64_t reserved_ = 0;
  std::list<internal::MemoryAccount*> accounts_;
  std::list<const internal::MemoryAccount*> line_;
};

}  // namespace gemma

#endif  // GEMMA_SRC_BATCH_MEMORY_ACCOUNT_H_

// Who computes next in an engine.

#ifndef GEMMA_SRC_BATCH_SCHEDULE_H_
#define GEMMA_SRC_BATCH_SCHEDULE_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "gemma/engine.h"

namespace gemma::internal {

// The work of an engine's thread, which makes all calls: `Batcher` for models
// that continue texts, `EmbedBatcher` for those that embed them.
class Schedule {
 public:
  virtual ~Schedule() = default;

  virtual size_t num_running() const = 0;
  // Whether all its requests wait for memory that other engines hold.
  virtual bool waits_for_memory() const { return false; }

  // Takes these bytes from the limits, because other things are kept.
  virtual void SetOtherBytes(uint64_t bytes) = 0;

  // Adds a request that the meter has admitted. If memory runs out, finishes
  // its ticket at once.
  virtual void Add(std::shared_ptr<Ticket::State> ticket) noexcept = 0;

  // Computes some of each request's work. May throw; CancelAll and FailAll
  // still work after that.
  virtual void Step() = 0;

  // Ends all requests.
  virtual void CancelAll() noexcept = 0;
  virtual void FailAll(const absl::Status& status) noexcept = 0;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BATCH_SCHEDULE_H_

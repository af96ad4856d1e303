// Embeds the texts of requests together, pass by pass.

#ifndef GEMMA_SRC_BATCH_EMBED_BATCHER_H_
#define GEMMA_SRC_BATCH_EMBED_BATCHER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gemma/engine.h"
#include "src/base/stopwatch.h"
#include "src/batch/meter.h"
#include "src/batch/schedule.h"
#include "src/batch/ticket_state.h"
#include "src/embed/embed_pass.h"
#include "src/forward/executor.h"

namespace gemma::internal {

// A pass takes a text of each request in turn, and again, until no more fits.
// It keeps nothing between passes.
class EmbedBatcher : public Schedule {
 public:
  // `executor` belongs to `model`. `meter` must outlive the batcher.
  EmbedBatcher(const Model& model, Executor& executor,
               const EngineOptions& options, EngineMeter& meter);

  size_t num_running() const override { return running_.size(); }
  void SetOtherBytes(uint64_t) override {}
  void Add(std::shared_ptr<Ticket::State> ticket) noexcept override;
  void Step() override;
  void CancelAll() noexcept override;
  void FailAll(const absl::Status& status) noexcept override;

 private:
  struct Running {
    explicit Running(std::shared_ptr<Ticket::State> of)
        : ticket(std::move(of)) {}

    EmbedJob& job() const { return *ticket->embed_job(); }

    const std::shared_ptr<Ticket::State> ticket;
    std::optional<Stopwatch> stopwatch;  // since its first pass
    double queued_seconds = 0;
    size_t computed_tokens = 0;
    std::optional<StopReason> reason;  // if it has ended with an answer
    absl::Status status;               // or with an error
  };

  // The requests whose next texts a pass takes, in the order of its texts; the
  // texts of a request come in their own order.
  std::vector<Running*> NextPass();
  void RunPass(const std::vector<Running*>& pass);
  // Tells the caller of the texts that are done. Ends the request if they are
  // all, or if the caller cancels it.
  void Progress(Running& request);
  // Ends a request that was cancelled or is late.
  void CheckInterruption(Running& request);
  void Sweep() noexcept;
  void Finish(Running& request);

  const Model model_;
  Executor& executor_;
  const size_t max_rows_;  // of a pass with several texts
  EngineMeter& meter_;
  const std::function<void()> between_passes_;
  std::list<Running> running_;  // the one whose turn is next comes first
  std::vector<float> vectors_;  // of a pass
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BATCH_EMBED_BATCHER_H_

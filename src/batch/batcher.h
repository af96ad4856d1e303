// Computes requests together, pass by pass.

#ifndef GEMMA_SRC_BATCH_BATCHER_H_
#define GEMMA_SRC_BATCH_BATCHER_H_

#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/engine.h"
#include "src/batch/running_request.h"
#include "src/batch/sequence_pool.h"
#include "src/forward/executor.h"
#include "src/forward/segment.h"

namespace gemma::internal {

// What an engine's thread does; it has no thread itself, and after the same
// calls it does the same.
class Batcher {
 public:
  // The tokenizer and the executor are the model's.
  Batcher(const Model& model, const Tokenizer& tokenizer, Executor& executor,
          const EngineOptions& options);

  // The options of each request's session.
  static SessionOptions SequenceOptions(const EngineOptions& options);

  size_t num_running() const { return running_.size(); }

  // The ticket is finished at once if there is no memory for its request.
  void Add(std::shared_ptr<Ticket::State> ticket) noexcept;

  // Computes a token of each running answer, and a piece of one prompt. May
  // throw; all requests can be ended then.
  void Step();

  // Ends all requests.
  void CancelAll() noexcept;
  void FailAll(const absl::Status& status) noexcept;

 private:
  using Running = std::list<std::unique_ptr<RunningRequest>>;

  // What a request adds to a pass.
  struct Part {
    RunningRequest* request = nullptr;
    Segment segment;
  };

  // The next request that has some of its prompt left, which then goes behind
  // all others; null if there is none.
  RunningRequest* NextInPrompt();

  // Gives a request its sequence. False: not yet, it waits for another, or for
  // memory.
  bool Start(RunningRequest& request);
  // A sequence that holds as much of the prompt as others have computed, or
  // none while another computes more of it.
  absl::StatusOr<std::optional<Session>> Begin(RunningRequest& request);

  // Where the next piece of a prompt ends, if `room` rows are left in the pass.
  size_t PieceEnd(const RunningRequest& request, size_t room) const;
  // Where other prompts leave this one, for whose sake it had to begin before
  // or which wait for it: positions that others will come back to.
  std::vector<size_t> Branches(const RunningRequest& request) const;
  bool IsBranch(const RunningRequest& request, size_t position) const;

  void RunPass(absl::Span<const Part> parts);
  void AddCheckpoint(RunningRequest& request);
  size_t NumCheckpoints() const;

  // Tells the tickets of those that have ended.
  void Sweep() noexcept;

  const Model model_;
  const Tokenizer& tokenizer_;
  Executor& executor_;
  SequencePool pool_;
  Running running_;
  std::vector<float> logits_;  // of a pass
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BATCH_BATCHER_H_

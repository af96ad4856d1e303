// Computes requests together, pass by pass.

#ifndef GEMMA_SRC_BATCH_BATCHER_H_
#define GEMMA_SRC_BATCH_BATCHER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/engine.h"
#include "src/batch/memory_account.h"
#include "src/batch/meter.h"
#include "src/batch/running_request.h"
#include "src/batch/schedule.h"
#include "src/batch/sequence_pool.h"
#include "src/forward/executor.h"
#include "src/forward/segment.h"
#include "src/generate/choices.h"

namespace gemma::internal {

// Continues texts. It has no thread of its own, and the same calls always have
// the same effects.
class Batcher : public Schedule, private Droppable {
 public:
  // Returns the account of an engine with these options, which has joined its
  // budget. A budget of its own if the options have none.
  static absl::StatusOr<std::unique_ptr<MemoryAccount>> OpenAccount(
      const Model& model, const Executor& executor,
      const EngineOptions& options);

  // `tokenizer` and `executor` belong to `model`. `meter` and `account` must
  // outlive the batcher.
  Batcher(const Model& model, const Tokenizer& tokenizer, Executor& executor,
          const EngineOptions& options, EngineMeter& meter,
          MemoryAccount& account);
  ~Batcher() override;

  // The options of each request's session.
  static SessionOptions SequenceOptions(const EngineOptions& options);
  // The most logits of a pass of `few_rows` rows, in bytes.
  static uint64_t MostLogits(const ModelConfig& config, size_t few_rows,
                             const EngineOptions& options);
  // The most bytes that one request needs: a sequence with a checkpoint, and
  // the logits of any pass.
  static uint64_t LeastBytes(const Model& model, const Executor& executor,
                             const EngineOptions& options);

  size_t num_running() const override { return running_.size(); }
  bool waits_for_memory() const override;
  void SetOtherBytes(uint64_t bytes) override;
  void Add(std::shared_ptr<Ticket::State> ticket) noexcept override;
  // Computes a token of each running answer, and a piece of one prompt or more.
  void Step() override;
  void CancelAll() noexcept override;
  void FailAll(const absl::Status& status) noexcept override;

 private:
  using Running = std::list<std::unique_ptr<RunningRequest>>;

  // A request's part of a pass.
  struct Part {
    RunningRequest* request = nullptr;
    Segment segment;
  };

  // The most rows of choices in a pass: each needs logits of the whole
  // vocabulary.
  static constexpr size_t kMostChoiceRows = 2 * kChoiceRows;

  static size_t NumRows(absl::Span<const Part> parts);
  // Divides the parts of answers into passes of few rows; see
  // Transformer::few_rows.
  std::vector<absl::Span<const Part>> DivideAnswers(
      absl::Span<const Part> answers) const;

  // The pieces of prompts of a step, if `room` rows are left in the pass of the
  // last answers; 0: they have a pass of their own.
  std::vector<Part> NextPieces(size_t room);
  // The next request with at most `most` tokens of its prompt left, other than
  // those of `parts`, or null. Moves it to the end of the list. `in_turn`: the
  // one whose last piece is longest ago, else the one with the least left. If
  // that one waits for another request, returns the other.
  RunningRequest* NextInPrompt(bool in_turn, size_t most,
                               absl::Span<const Part> parts);
  // Requests that have not started expect to reuse what this one has computed.
  void ExpectReuseOf(const RunningRequest& request);

  // What a request could go on from, if it started now.
  struct Source {
    SequencePool::Prefix kept;
    const RunningRequest* from = nullptr;  // null: `kept`
    size_t size = 0;                       // the tokens to reuse
    size_t branch = 0;                     // as RunningRequest::branch
  };
  Source FindSource(const RunningRequest& request);
  // Gives a request its sequence. Returns false if the request cannot start
  // yet, because it waits for memory or for another request, `*waits_for`.
  bool Start(RunningRequest& request, RunningRequest** waits_for);
  // Whether any request has its sequence.
  bool AnyRuns() const;
  // A sequence that holds as much of the prompt as others have computed, or
  // nullopt while another request, `*waits_for`, computes more of it.
  // ResourceExhausted if there is no memory for it, or no room within
  // max_bytes.
  absl::StatusOr<std::optional<Session>> Begin(RunningRequest& request,
                                               RunningRequest** waits_for);
  absl::StatusOr<std::optional<Session>> BeginNew(RunningRequest& request);

  // The functions below need the account's lock, but for the static ones.

  // Keeps the engine's place in the budget's line while a request waits for
  // memory, or takes one at the end. Leaves the line if none does.
  void UpdateLine();
  // Drops what is kept until a sequence for the request fits within the limits.
  // Else the request waits for memory, if that can help.
  absl::Status MakeRoom(RunningRequest& request);
  // What a running request needs beside its sequence.
  uint64_t ReservedBytes(const RunningRequest& request) const;
  // Tells the pool and the account what they may hold and what is held, with
  // `more` bytes of a checkpoint that comes next.
  void CountMemory(uint64_t more = 0);
  // The bytes of running requests without checkpoints for reuse.
  uint64_t RunningBytes() const;

  // Where the next piece of a prompt ends, if `room` rows are left in the pass.
  size_t PieceEnd(const RunningRequest& request, size_t room) const;
  // Positions where other prompts diverge from this one: the branch() of the
  // request, and one for each request that waits. Others will come back to
  // these positions.
  std::vector<size_t> Branches(const RunningRequest& request) const;
  bool IsBranch(const RunningRequest& request, size_t position) const;

  void RunPass(absl::Span<const Part> parts);
  // Counts a pass that took this long.
  void Count(absl::Span<const Part> parts, double seconds);
  void AddCheckpoint(RunningRequest& request);
  size_t NumCheckpoints() const;
  uint64_t CheckpointBytes() const;
  // Tells the meter what is held.
  void MeterMemory() const;
  void MeterKept() const;

  // Droppable: the kept sequences.
  uint64_t bytes() const override { return pool_.usage().bytes; }
  std::optional<uint64_t> oldest() const override { return pool_.oldest(); }
  void DropOldest() override;

  // Removes the requests that have ended, finishes their tickets, and keeps
  // their sequences. Those that waited for memory give up their place.
  void Sweep() noexcept;

  const Model model_;
  const Tokenizer& tokenizer_;
  Executor& executor_;
  const uint64_t reuse_bytes_;
  const uint64_t most_logits_;
  uint64_t other_bytes_ = 0;
  EngineMeter& meter_;
  MemoryAccount& account_;
  const std::function<void()> between_passes_;
  SequencePool pool_;     // used with the account's lock
  bool in_line_ = false;  // of the budget
  Running running_;
  size_t num_turns_ = 0;       // steps that had pieces of prompts
  std::vector<float> logits_;  // of a pass
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BATCH_BATCHER_H_

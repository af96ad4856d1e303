// Counts what an engine does.

#ifndef GEMMA_SRC_BATCH_METER_H_
#define GEMMA_SRC_BATCH_METER_H_

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

#include "gemma/engine.h"

namespace gemma::internal {

// Any thread may count and read. The lock is held only to change or copy the
// numbers, never during a pass, and nothing is called under it, so a reader
// never waits for work.
class EngineMeter {
 public:
  explicit EngineMeter(const EngineOptions& options) {
    now_.max_sequences = options.max_sequences;
    now_.max_reuse_bytes = options.reuse_bytes;
    now_.max_bytes = options.max_bytes;
  }

  EngineSnapshot Get() const {
    const std::lock_guard lock(mutex_);
    EngineSnapshot snapshot = now_;
    snapshot.reuse_bytes =
        checkpoint_bytes_ + kept_bytes_ + snapshot.grammar_bytes;
    snapshot.bytes =
        snapshot.running_bytes + snapshot.reuse_bytes + snapshot.logits_bytes;
    return snapshot;
  }

  // A request with a prompt of this many words was queued, or was refused; a
  // queued one got a place.
  void Queued(size_t words);
  void Refused();
  void Admitted(size_t words);

  // How far a request came.
  enum class Stage { kQueue, kPrompt, kAnswer };
  // A request that had a place ended: with an error if `reason` has no value.
  void Ended(Stage stage, std::optional<StopReason> reason);
  // The same for one that was still queued.
  void EndedInQueue(size_t words, std::optional<StopReason> reason);

  // A pass of this many rows, `prompt_rows` of them of a prompt, took this
  // long.
  void Passed(size_t rows, size_t prompt_rows, double seconds);
  // A prompt began with words from caches.
  void Reused(size_t words);
  // Tokens of answers were chosen.
  void Chose(size_t tokens);

  // The memory of the batcher, after a change.
  struct Memory {
    uint64_t running_tokens = 0;
    uint64_t running_bytes = 0;
    uint64_t checkpoint_bytes = 0;  // of running requests
    uint64_t logits_bytes = 0;
  };
  void Holds(const Memory& memory);
  // Sequences that are kept, with their checkpoints.
  void Keeps(size_t sequences, uint64_t tokens, uint64_t bytes);

  // Engine::Compile found a grammar or made one.
  void Compiled(bool found);
  // Grammars that are kept.
  void KeepsGrammars(size_t grammars, uint64_t bytes);

 private:
  void End(Stage stage, std::optional<StopReason> reason);

  mutable std::mutex mutex_;       // guards the numbers
  EngineSnapshot now_;             // without reuse_bytes and bytes
  uint64_t checkpoint_bytes_ = 0;  // as in Memory
  uint64_t kept_bytes_ = 0;        // of kept sequences
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BATCH_METER_H_

#include "src/batch/meter.h"

#include "absl/algorithm/container.h"

namespace gemma::internal {

void EngineMeter::Queued(size_t words) {
  const std::lock_guard lock(mutex_);
  ++now_.submitted;
  ++now_.queued;
  now_.queued_tokens += words;
}

void EngineMeter::Refused() {
  const std::lock_guard lock(mutex_);
  ++now_.refused;
}

void EngineMeter::Admitted(size_t words) {
  const std::lock_guard lock(mutex_);
  --now_.queued;
  now_.queued_tokens -= words;
  ++now_.running;
}

void EngineMeter::Ended(Stage stage, std::optional<StopReason> reason) {
  const std::lock_guard lock(mutex_);
  --now_.running;
  End(stage, reason);
}

void EngineMeter::EndedInQueue(size_t words, std::optional<StopReason> reason) {
  const std::lock_guard lock(mutex_);
  --now_.queued;
  now_.queued_tokens -= words;
  End(Stage::kQueue, reason);
}

void EngineMeter::End(Stage stage, std::optional<StopReason> reason) {
  if (!reason.has_value()) {
    ++now_.failed;
    return;
  }
  ++now_.ended[static_cast<size_t>(*reason)];
  if (*reason != StopReason::kCancelled && *reason != StopReason::kDeadline) {
    return;
  }
  switch (stage) {
    case Stage::kQueue:
      ++now_.interrupted_in_queue;
      break;
    case Stage::kPrompt:
      ++now_.interrupted_in_prompt;
      break;
    case Stage::kAnswer:
      ++now_.interrupted_in_answer;
      break;
  }
}

void EngineMeter::Passed(size_t rows, size_t prompt_rows, double seconds) {
  const std::lock_guard lock(mutex_);
  ++now_.passes;
  now_.rows += rows;
  const auto& bounds = EngineSnapshot::row_bounds;
  const auto range = absl::c_lower_bound(bounds, rows) - bounds.begin();
  ++now_.passes_by_rows[static_cast<size_t>(range)];
  now_.last_rows = rows;
  now_.pass_seconds += seconds;
  now_.computed_tokens += prompt_rows;
}

void EngineMeter::Reused(size_t words) {
  const std::lock_guard lock(mutex_);
  now_.reused_tokens += words;
}

void EngineMeter::Chose(size_t tokens) {
  const std::lock_guard lock(mutex_);
  now_.new_tokens += tokens;
}

void EngineMeter::Holds(const Memory& memory) {
  const std::lock_guard lock(mutex_);
  now_.running_tokens = memory.running_tokens;
  now_.running_bytes = memory.running_bytes;
  now_.logits_bytes = memory.logits_bytes;
  checkpoint_bytes_ = memory.checkpoint_bytes;
}

void EngineMeter::Keeps(size_t sequences, uint64_t tokens, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  now_.kept_sequences = sequences;
  now_.kept_tokens = tokens;
  kept_bytes_ = bytes;
}

void EngineMeter::Compiled(bool found) {
  const std::lock_guard lock(mutex_);
  ++(found ? now_.grammar_hits : now_.grammar_misses);
}

void EngineMeter::KeepsGrammars(size_t grammars, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  now_.grammars = grammars;
  now_.grammar_bytes = bytes;
}

}  // namespace gemma::internal

// How much memory the sequences of a batcher may have.

#include <algorithm>
#include <utility>

#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/batch/batcher.h"

namespace gemma::internal {

// At most a row for each answer, those of choices, and those of a piece of a
// scored prompt.
uint64_t Batcher::MostLogits(const ModelConfig& config, size_t few_rows,
                             const EngineOptions& options) {
  const size_t answers =
      std::min(options.max_sequences + kMostChoiceRows, few_rows);
  return uint64_t{answers + kScoredRows} * config.vocab_size * sizeof(float);
}

uint64_t Batcher::LeastBytes(const Model& model, const Executor& executor,
                             const EngineOptions& options) {
  const SessionOptions sequence = SequenceOptions(options);
  return SequencePool::SequenceBytes(model, sequence) +
         SequencePool::CheckpointBytes(model, sequence) +
         MostLogits(model.config(), executor.few_rows(), options);
}

absl::StatusOr<std::unique_ptr<MemoryAccount>> Batcher::OpenAccount(
    const Model& model, const Executor& executor,
    const EngineOptions& options) {
  std::shared_ptr<MemoryBudget::Impl> budget;
  if (options.budget.has_value()) {
    budget = options.budget->impl();
  } else {
    budget = std::make_shared<MemoryBudget::Impl>(0);
  }
  const bool embeds = model.config().pooling != Pooling::kNone;
  const uint64_t base =
      embeds ? 0 : MostLogits(model.config(), executor.few_rows(), options);
  const uint64_t least = embeds ? 0 : LeastBytes(model, executor, options);
  auto account = std::make_unique<MemoryAccount>(
      std::move(budget), options.max_bytes, base, least);
  GEMMA_RETURN_IF_ERROR(account->Join());
  return account;
}

void Batcher::SetOtherBytes(uint64_t bytes) {
  other_bytes_ = bytes;
  const MemoryAccount::Lock lock(account_);
  CountMemory();
}

void Batcher::CountMemory(uint64_t more) {
  const uint64_t checkpoints = CheckpointBytes() + more;
  pool_.SetMaxBytes(reuse_bytes_ - std::min(other_bytes_, reuse_bytes_),
                    checkpoints);
  account_.SetHeld(most_logits_ + RunningBytes() + checkpoints);
  account_.MakeRoom(0);
}

absl::Status Batcher::MakeRoom(RunningRequest& request) {
  const uint64_t more = pool_.sequence_bytes() + ReservedBytes(request);
  CountMemory();
  const MemoryAccount::Room room = account_.MakeRoom(more);
  if (room == MemoryAccount::Room::kMade) return absl::OkStatus();
  request.set_waits_for_memory(room == MemoryAccount::Room::kBudgetFull &&
                               (AnyRuns() || account_.others_run()));
  return absl::ResourceExhaustedError(
      FormatText("a request needs %u bytes, and the limits of the engine have "
                 "no room for them",
                 more));
}

void Batcher::DropOldest() {
  pool_.DropOldest();
  MeterKept();
}

// Choices need a checkpoint, even if no more may be kept for reuse.
uint64_t Batcher::ReservedBytes(const RunningRequest& request) const {
  return request.has_choices() ? pool_.checkpoint_bytes() : 0;
}

uint64_t Batcher::RunningBytes() const {
  uint64_t bytes = 0;
  for (const auto& request : running_) {
    if (!request->started()) continue;
    bytes += pool_.sequence_bytes() + ReservedBytes(*request) +
             request->session().row_bytes();
  }
  return bytes;
}

size_t Batcher::NumCheckpoints() const {
  size_t count = 0;
  for (const auto& request : running_) {
    if (request->started()) count += request->session().num_checkpoints();
  }
  return count;
}

uint64_t Batcher::CheckpointBytes() const {
  uint64_t bytes = 0;
  for (const auto& request : running_) {
    if (!request->started()) continue;
    const Session::Impl& session = request->session();
    bytes += session.num_checkpoints() * session.checkpoint_bytes();
  }
  return bytes;
}

void Batcher::MeterMemory() const {
  EngineMeter::Memory held = {
      .running_bytes = RunningBytes(),
      .checkpoint_bytes = CheckpointBytes(),
      .logits_bytes = logits_.capacity() * sizeof(float)};
  for (const auto& request : running_) {
    if (request->started()) held.running_tokens += request->position();
  }
  meter_.Holds(held);
  MeterKept();
}

void Batcher::MeterKept() const {
  const SequencePool::Usage kept = pool_.usage();
  meter_.Keeps(kept.sequences, kept.tokens, kept.bytes);
}

}  // namespace gemma::internal

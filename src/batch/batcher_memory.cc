// How much memory the sequences of a batcher may have.

#include <algorithm>

#include "src/base/format_text.h"
#include "src/batch/batcher.h"

namespace gemma::internal {

// At most a row for each answer, those of choices, and those of a piece of a
// scored prompt.
uint64_t Batcher::MostLogits(const Model& model, const Executor& executor,
                             const EngineOptions& options) {
  const size_t answers =
      std::min(options.max_sequences + kMostChoiceRows, executor.few_rows());
  return uint64_t{answers + kScoredRows} * model.config().vocab_size *
         sizeof(float);
}

uint64_t Batcher::LeastBytes(const Model& model, const Executor& executor,
                             const EngineOptions& options) {
  const SessionOptions sequence = SequenceOptions(options);
  return SequencePool::SequenceBytes(model, sequence) +
         SequencePool::CheckpointBytes(model, sequence) +
         MostLogits(model, executor, options);
}

void Batcher::SetOtherBytes(uint64_t bytes) {
  other_bytes_ = bytes;
  LimitPool();
}

void Batcher::LimitPool(uint64_t more) {
  const auto rest = [](uint64_t limit, uint64_t used) {
    return limit - std::min(used, limit);
  };
  uint64_t limit = rest(reuse_bytes_, other_bytes_);
  if (max_bytes_ != 0) {
    limit = std::min(limit, rest(max_bytes_, RunningBytes() + most_logits_ +
                                                 other_bytes_ + more));
  }
  pool_.SetMaxBytes(limit, CheckpointBytes());
}

absl::Status Batcher::MakeRoom(const RunningRequest& request) {
  if (max_bytes_ == 0) return absl::OkStatus();
  const uint64_t more = pool_.sequence_bytes() + ReservedBytes(request);
  const uint64_t wanted =
      RunningBytes() + most_logits_ + other_bytes_ + CheckpointBytes() + more;
  if (wanted > max_bytes_) {
    return absl::ResourceExhaustedError(
        FormatText("a request needs %u bytes beside %u that are in use, "
                   "max_bytes is %u",
                   more, wanted - more, max_bytes_));
  }
  LimitPool(more);
  // Nothing more needs to be dropped for the sequence itself.
  LimitPool();
  return absl::OkStatus();
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
  const SequencePool::Usage kept = pool_.usage();
  Meter::Memory held = {.running_bytes = RunningBytes(),
                        .kept_sequences = kept.sequences,
                        .kept_tokens = kept.tokens,
                        .pool_bytes = kept.bytes + CheckpointBytes(),
                        .logits_bytes = logits_.capacity() * sizeof(float)};
  for (const auto& request : running_) {
    if (request->started()) held.running_tokens += request->position();
  }
  meter_.Holds(held);
}

}  // namespace gemma::internal

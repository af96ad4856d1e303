#include "src/batch/sequence_pool.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "src/base/status_macros.h"

namespace gemma::internal {

size_t SharedPrefix(const Words& prompt, const PromptPieces& pieces,
                    const Words& words, const PromptPieces& words_pieces) {
  const size_t common =
      std::min(CommonPrefix(prompt, words), prompt.size() - 1);
  return pieces.Shared(words_pieces, prompt.Whole(common));
}

size_t ReusablePrefix(size_t shared, const PromptPieces& pieces,
                      const Session::Impl& sequence) {
  // Each step back may lead into a pass that cannot be divided there.
  for (size_t size = shared;;) {
    const size_t reachable = sequence.Reachable(pieces.Resumable(size));
    if (reachable == size) return size;
    size = reachable;
  }
}

SequencePool::SequencePool(const Model& model, const SessionOptions& options,
                           uint64_t max_bytes, MemoryAccount& account)
    : model_(model),
      options_(options),
      account_(account),
      max_bytes_(max_bytes),
      sequence_bytes_(SequenceBytes(model, options)),
      checkpoint_bytes_(CheckpointBytes(model, options)) {}

uint64_t SequencePool::SequenceBytes(const Model& model,
                                     const SessionOptions& options) {
  return model.MemoryFor(options).cache +
         model.config().vocab_size * sizeof(float);
}

uint64_t SequencePool::CheckpointBytes(const Model& model,
                                       SessionOptions options) {
  options.checkpoint_interval = options.max_tokens;
  options.max_checkpoints = 1;
  return model.MemoryFor(options).checkpoints;
}

SequencePool::Prefix SequencePool::Find(const Words& prompt,
                                        const PromptPieces& pieces) {
  Prefix best;
  for (auto kept = kept_.begin(); kept != kept_.end(); ++kept) {
    const size_t shared =
        SharedPrefix(prompt, pieces, kept->session.words(), kept->pieces);
    const size_t size = ReusablePrefix(shared, pieces, kept->session.impl());
    best.shared = std::max(best.shared, shared);
    if (size <= best.size) continue;
    best.kept = kept;
    best.size = size;
  }
  return best;
}

absl::StatusOr<Session> SequencePool::Use(const Prefix& prefix) {
  Touch(prefix);
  if (Copies(prefix)) {
    absl::StatusOr<Session> copy = Session::Create(model_, options_);
    if (copy.ok()) {
      prefix.kept->session.impl().ForkTo(prefix.size, copy->impl());
      return copy;
    }
  }
  return Take(prefix);
}

Session SequencePool::Take(const Prefix& prefix) {
  Session session = std::move(prefix.kept->session);
  kept_.erase(prefix.kept);
  // The position is reachable, so this cannot fail.
  session.Rewind(prefix.size).IgnoreError();
  return session;
}

absl::StatusOr<Session> SequencePool::New() {
  if (!kept_.empty() && KeptBytes() + sequence_bytes_ > max_bytes_) {
    return Take({.kept = std::prev(kept_.end())});
  }
  absl::StatusOr<Session> session = Session::Create(model_, options_);
  if (session.ok() || kept_.empty()) return session;
  return Take({.kept = std::prev(kept_.end())});
}

absl::StatusOr<Session> SequencePool::Fork(const Session::Impl& from,
                                           size_t position) {
  GEMMA_ASSIGN_OR_RETURN(Session session, New());
  from.ForkTo(position, session.impl());
  return session;
}

void SequencePool::Keep(Session session, const PromptPieces& pieces,
                        size_t checkpoints) {
  Session::Impl& impl = session.impl();
  if (session.position() == 0) return;
  const uint64_t others = checkpoints * impl.checkpoint_bytes();
  while (others + Bytes(session) > max_bytes_) {
    if (impl.num_checkpoints() == 0) return;
    impl.DropOldestCheckpoint();
  }
  MakeRoom(others + Bytes(session));
  kept_.push_front({std::move(session), pieces, account_.Now()});
}

void SequencePool::SetMaxBytes(uint64_t max_bytes, uint64_t others) {
  max_bytes_ = max_bytes;
  if (!MakeRoom(others)) kept_.clear();
}

SequencePool::Usage SequencePool::usage() const {
  Usage usage = {kept_.size(), 0, KeptBytes()};
  for (const Kept& kept : kept_) usage.tokens += kept.session.position();
  return usage;
}

uint64_t SequencePool::Bytes(const Session& session) const {
  const Session::Impl& impl = session.impl();
  return sequence_bytes_ + impl.row_bytes() +
         impl.num_checkpoints() * impl.checkpoint_bytes();
}

uint64_t SequencePool::KeptBytes() const {
  uint64_t bytes = 0;
  for (const Kept& kept : kept_) bytes += Bytes(kept.session);
  return bytes;
}

bool SequencePool::MakeRoom(uint64_t more) {
  if (more > max_bytes_) return false;
  while (KeptBytes() > max_bytes_ - more) kept_.pop_back();
  return true;
}

}  // namespace gemma::internal

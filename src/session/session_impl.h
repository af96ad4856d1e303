// What is behind Session's pointer.

#ifndef GEMMA_SRC_SESSION_SESSION_IMPL_H_
#define GEMMA_SRC_SESSION_SESSION_IMPL_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/session.h"
#include "ops/matrix_view.h"
#include "src/base/internal.h"
#include "src/forward/executor.h"
#include "src/forward/segment.h"
#include "src/forward/sequence_state.h"
#include "src/session/draft_policy.h"
#include "src/session/session_file.h"

namespace gemma {

class Session::Impl {
 public:
  // Of any session.
  static constexpr size_t kMaxRollback = size_t{1} << 16;
  static constexpr size_t kMaxCheckpoints = size_t{1} << 12;

  Impl(const Model& model, const SessionOptions& options, Executor& executor,
       SequenceState state);

  // OK, or InvalidArgument that names the option that is out of range.
  static absl::Status CheckOptions(const SessionOptions& options);

  const Model& model() const { return model_; }
  const SessionOptions& options() const { return options_; }
  Executor& executor() const { return executor_; }
  DraftPolicy& draft_policy() { return draft_policy_; }
  const Words& words() const { return words_; }
  absl::Span<float> logits() { return absl::MakeSpan(logits_); }
  void set_tap(TapFunction tap);
  bool has_tap() const { return tap_ != nullptr; }
  size_t remaining() const;

  // Whether Append may have the words.
  absl::Status Check(const WordView& words) const;

  // The first of checked words that the next pass takes: `most`, or up to where
  // a checkpoint is due, or fewer or more as WordView::PassSize has it.
  Segment Next(const WordView& words, size_t most, size_t max_rows,
               WantedLogits logits, const NeededLogits* needed = nullptr);

  // Allocates what appending the words takes. If it fails, nothing has changed.
  absl::Status Reserve(const WordView& words);

  // Computes a segment of each of some sessions, made by Next, and adds their
  // words. If it fails, nothing has changed. If a function of a segment
  // throws, so does this; the sessions then hold what they held, or, where
  // states of recurrent layers were overwritten, as much of it as Reachable.
  static absl::Status RunPass(absl::Span<Impl* const> sessions,
                              absl::Span<const Segment> segments,
                              MatrixView<float> logits);

  // Appends the first of checked words, as many as a pass takes, `most` at
  // most, or more as PassSize has it; returns how many. `out`: of the wanted
  // logits. Fails and throws as RunPass.
  absl::StatusOr<size_t> AppendPass(
      const WordView& words, WantedLogits wanted, float* out,
      const NeededLogits* needed = nullptr,
      size_t most = std::numeric_limits<size_t>::max());

  // Appends checked words, pass by pass. `out`: of the wanted logits. If it
  // fails, nothing has changed; throws as RunPass.
  absl::Status Append(WordView words, WantedLogits wanted, float* out,
                      const NeededLogits* needed = nullptr);

  // As Append, and checks the words and that there is room for the logits.
  // `on_pass` as Session::Append has it; may be empty.
  absl::Status CheckAndAppend(
      const WordView& words, WantedLogits wanted, absl::Span<float> out,
      const std::function<bool(size_t done)>& on_pass = nullptr);

  // As Session::Forward, for those who need some logits only.
  absl::StatusOr<absl::Span<float>> Forward(const WordView& words,
                                            const NeededLogits& needed);

  // OK if there is room for as many logits as are wanted.
  static absl::Status CheckRoom(size_t wanted, size_t found);
  // Whether AppendBatch may have the batch, with room for logits_size logits.
  static absl::Status CheckBatch(absl::Span<const Continuation> batch,
                                 size_t logits_size);

  // Appends checked continuations of sessions of one executor. `logits`: of the
  // last position of each. Fails and throws as Append.
  static absl::Status AppendBatch(absl::Span<const Continuation> batch,
                                  float* logits);

  // OK, or FailedPrecondition if the calling thread is in a pass of the model.
  absl::Status CheckCaller() const { return executor_.CheckCaller(); }

  // Keeps a checkpoint at the end, unless there is one. ResourceExhausted if
  // there is no memory for it.
  absl::Status AddCheckpoint();
  void DropOldestCheckpoint() { checkpoints_.erase(checkpoints_.begin()); }
  size_t num_checkpoints() const { return checkpoints_.size(); }
  // Of the vectors of its rows, which others may have, too.
  uint64_t row_bytes() const;
  uint64_t checkpoint_bytes() const { return state_.SnapshotBytes(); }
  // Its position; 0 if there is none.
  size_t last_checkpoint() const {
    return checkpoints_.empty() ? 0 : checkpoints_.back().position;
  }
  // As SequenceState::rollback.
  size_t rollback() const { return state_.rollback(); }

  // The farthest position, `position` at most, that Rewind and ForkTo reach
  // without computing anything; not within bidirectional rows.
  size_t Reachable(size_t position) const;

  // If it fails for want of memory, the session holds fewer tokens than wanted.
  absl::Status Rewind(size_t position);

  // A session of the same options that has nothing yet becomes one that goes on
  // from `position`, which is reachable. It has no checkpoints.
  void ForkTo(size_t position, Impl& fork) const;
  // As ForkTo the end, but all of it.
  void CopyTo(Impl& fork) const;

  // What a saved session of the model must have.
  static uint64_t FingerprintOf(const Model& model);

  absl::Status Save(const std::string& path) const;
  // A session that has nothing yet becomes the one that was saved.
  absl::Status Restore(const SessionFile& file);

 private:
  struct SavedState {
    size_t position = 0;
    size_t floor = 0;
    SequenceState::Snapshot snapshot;
  };

  // Whether checkpoints serve anything.
  bool HasCheckpoints() const {
    return state_.Forgets() && options_.max_checkpoints != 0;
  }
  // Whether one at the end does: the start of the sequence needs none.
  bool WantsCheckpoint() const {
    return HasCheckpoints() && last_checkpoint() != words_.size();
  }

  // Allocates memory for the checkpoints that are due from `begin` to `end`, if
  // the `kept` first of those that there are stay. Throws if there is none.
  void ReserveDue(size_t begin, size_t end, size_t kept);
  // The same for `more` checkpoints.
  void ReserveCheckpoints(size_t kept, size_t more);
  // How many checkpoints are at `position` or before.
  size_t NumCheckpoints(size_t position) const;
  // AddCheckpoint, when memory for it is reserved.
  void KeepCheckpoint();

  // The caches hold what they do after a pass that ends at `position`.
  void Reached(size_t position);
  // The executor has computed the segment.
  void Commit(const Segment& segment);
  // The pass ended in its midst.
  void TakeBack(const Segment& segment);
  // Rewind to a position that is Reachable.
  void GoBack(size_t position);

  // The checkpoint from which `position` is reached without computing; null if
  // there is none.
  const SavedState* CheckpointFor(size_t position) const;

  // The first position that a copy of ForEachPiece at `position` can go back
  // to.
  size_t CopiedFloor(size_t position) const;

  const Model model_;
  const SessionOptions options_;
  const bool bounded_;  // global layers: max_tokens is the limit
  Executor& executor_;
  SequenceState state_;
  Words words_;
  std::vector<float> logits_;  // [vocab_size]
  size_t floor_ = 0;  // first position that rings and states can go back to
  std::vector<SavedState> checkpoints_;         // in ascending order
  std::vector<SequenceState::Snapshot> spare_;  // for the next ones
  std::shared_ptr<const TapFunction> tap_;      // a pass keeps it, too
  DraftPolicy draft_policy_;  // what Generate has measured of the text
};

}  // namespace gemma

#endif  // GEMMA_SRC_SESSION_SESSION_IMPL_H_

// Session's implementation.

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
  // Limits of the options of any session.
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

  // OK if Append can take the words.
  absl::Status Check(const WordView& words) const;

  // The segment of the next pass: the first `most` of checked words, fewer if a
  // checkpoint is due before, and fewer or more as WordView::PassSize decides.
  Segment Next(const WordView& words, size_t most, size_t max_rows,
               WantedLogits logits, const NeededLogits* needed = nullptr);

  // Allocates the memory for appending the words. If it fails, nothing has
  // changed.
  absl::Status Reserve(const WordView& words);

  // Computes one segment, made by Next, of each session, and appends its words.
  // If it fails, nothing has changed. Throws what a function of a segment
  // throws. The sessions then hold what they held before or, if states of
  // recurrent layers were overwritten, the part of it that is Reachable.
  static absl::Status RunPass(absl::Span<Impl* const> sessions,
                              absl::Span<const Segment> segments,
                              MatrixView<float> logits);

  // Appends the first of checked words in one pass: at most `most`, or more as
  // WordView::PassSize decides. Returns how many. `out`: room for the wanted
  // logits. FailedPrecondition if the words do not fit, because a function that
  // was called after an earlier pass has appended others. Else fails and throws
  // as RunPass.
  absl::StatusOr<size_t> AppendPass(
      const WordView& words, WantedLogits wanted, float* out,
      const NeededLogits* needed = nullptr,
      size_t most = std::numeric_limits<size_t>::max());

  // Appends checked words, pass by pass. `out`: room for the wanted logits. If
  // it fails, nothing has changed. Throws as RunPass.
  absl::Status Append(WordView words, WantedLogits wanted, float* out,
                      const NeededLogits* needed = nullptr);

  // As Append, but first checks the words and the room for the logits.
  // `on_pass`: as in Session::Append; may be empty.
  absl::Status CheckAndAppend(
      const WordView& words, WantedLogits wanted, absl::Span<float> out,
      const std::function<bool(size_t done)>& on_pass = nullptr);

  // As Session::Forward, if only some logits are needed.
  absl::StatusOr<absl::Span<float>> Forward(const WordView& words,
                                            const NeededLogits& needed);

  // OK if `found`, the room for logits, equals `wanted`.
  static absl::Status CheckRoom(size_t wanted, size_t found);
  // OK if AppendBatch can take the batch, with room for logits_size logits.
  static absl::Status CheckBatch(absl::Span<const Continuation> batch,
                                 size_t logits_size);

  // Appends checked continuations of sessions that share an executor. `logits`:
  // room for those of the last position of each. Fails and throws as Append.
  static absl::Status AppendBatch(absl::Span<const Continuation> batch,
                                  float* logits);

  // OK, or FailedPrecondition if the calling thread is in a pass of the model.
  absl::Status CheckCaller() const { return executor_.CheckCaller(); }

  // Adds a checkpoint at the end, if it is useful and does not exist yet.
  // ResourceExhausted if memory runs out.
  absl::Status AddCheckpoint();
  void DropOldestCheckpoint() { checkpoints_.erase(checkpoints_.begin()); }
  size_t num_checkpoints() const { return checkpoints_.size(); }
  // Bytes of the vectors of its rows. Other lists may share them.
  uint64_t row_bytes() const;
  uint64_t checkpoint_bytes() const { return state_.SnapshotBytes(); }
  // The position of the last checkpoint; 0 if none exists.
  size_t last_checkpoint() const {
    return checkpoints_.empty() ? 0 : checkpoints_.back().position;
  }
  // As SequenceState::rollback.
  size_t rollback() const { return state_.rollback(); }

  // The farthest position, at most `position`, that Rewind and ForkTo reach
  // without computing. It never divides bidirectional rows.
  size_t Reachable(size_t position) const;

  // As Session::Rewind. If memory runs out, nothing has changed.
  absl::Status Rewind(size_t position);

  // Turns `fork`, an empty session with the same options, into one that goes on
  // from `position`, which must be reachable. The fork has no checkpoints.
  void ForkTo(size_t position, Impl& fork) const;
  // As ForkTo at the end, but also copies the checkpoints and the draft policy.
  void CopyTo(Impl& fork) const;

  // The fingerprint that a saved session of the model must have.
  static uint64_t FingerprintOf(const Model& model);

  absl::Status Save(const std::string& path) const;
  // Turns an empty session into the saved one.
  absl::Status Restore(const SessionFile& file);

 private:
  struct SavedState {
    size_t position = 0;
    size_t floor = 0;
    SequenceState::Snapshot snapshot;
  };

  // Whether checkpoints are useful and allowed.
  bool HasCheckpoints() const {
    return state_.Forgets() && options_.max_checkpoints != 0;
  }
  // Whether a checkpoint is missing at the end. The start of the sequence needs
  // none.
  bool WantsCheckpoint() const {
    return HasCheckpoints() && last_checkpoint() != words_.size();
  }

  // Allocates memory for the checkpoints that are due from `begin` to `end`, if
  // the first `kept` checkpoints stay. Throws if memory runs out.
  void ReserveDue(size_t begin, size_t end, size_t kept);
  // As ReserveDue, for `more` checkpoints.
  void ReserveCheckpoints(size_t kept, size_t more);
  // How many checkpoints are at `position` or before.
  size_t NumCheckpoints(size_t position) const;
  // As AddCheckpoint, with memory that is already reserved.
  void KeepCheckpoint();

  // Updates floor_ after a pass that ends at `position`.
  void Reached(size_t position);
  // Appends the words of a computed segment, and a checkpoint if it is due.
  void Commit(const Segment& segment);
  // Undoes a segment whose pass did not end.
  void TakeBack(const Segment& segment);
  // Goes back to a position that is Reachable.
  void GoBack(size_t position);

  // The checkpoint from which `position` is reached without computing, or null.
  const SavedState* CheckpointFor(size_t position) const;

  // The first position that a state copied with ForEachPiece(position) can go
  // back to.
  size_t CopiedFloor(size_t position) const;

  const Model model_;
  const SessionOptions options_;
  const bool bounded_;  // by max_tokens: has global layers
  Executor& executor_;
  SequenceState state_;
  Words words_;
  std::vector<float> logits_;  // [vocab_size]
  size_t floor_ = 0;  // first position that rings and states can go back to
  std::vector<SavedState> checkpoints_;         // in ascending order
  std::vector<SequenceState::Snapshot> spare_;  // memory for new ones
  std::shared_ptr<const TapFunction> tap_;      // a running pass shares it
  DraftPolicy draft_policy_;  // what Generate has measured of this text
};

}  // namespace gemma

#endif  // GEMMA_SRC_SESSION_SESSION_IMPL_H_

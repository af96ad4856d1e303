// The states of a session: checkpoints, going back, forks, files.

#include <algorithm>
#include <span>
#include <utility>

#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/model/describe/fingerprint.h"
#include "src/session/model_impl.h"
#include "src/session/session_impl.h"

namespace gemma {

absl::Status Session::Impl::AddCheckpoint() {
  if (!WantsCheckpoint()) return absl::OkStatus();
  GEMMA_RETURN_IF_ERROR(NoThrow([&] {
    ReserveCheckpoints(checkpoints_.size(), 1);
    return absl::OkStatus();
  }));
  KeepCheckpoint();
  spare_.clear();
  return absl::OkStatus();
}

void Session::Impl::KeepCheckpoint() {
  if (!WantsCheckpoint()) return;
  if (checkpoints_.size() == options_.max_checkpoints) {
    std::rotate(checkpoints_.begin(), checkpoints_.begin() + 1,
                checkpoints_.end());
  } else {
    checkpoints_.push_back({0, 0, std::move(spare_.back())});
    spare_.pop_back();
  }
  SavedState& saved = checkpoints_.back();
  saved.position = words_.size();
  saved.floor = floor_;
  state_.Save(saved.snapshot);
}

const Session::Impl::SavedState* Session::Impl::CheckpointFor(
    size_t position) const {
  for (const SavedState& saved : checkpoints_) {
    if (saved.floor <= position && position <= saved.position) return &saved;
  }
  return nullptr;
}

size_t Session::Impl::Reachable(size_t position) const {
  position = words_.Whole(std::min(position, words_.size()));
  if (!state_.Forgets() || position >= floor_) return position;
  size_t reachable = 0;
  for (const SavedState& saved : checkpoints_) {
    if (saved.floor > position) break;
    reachable = std::min(saved.position, position);
  }
  return reachable;
}

absl::Status Session::Impl::Rewind(size_t position) {
  if (position > words_.size()) {
    return absl::OutOfRangeError(
        FormatText("cannot rewind to %u, the sequence has %u tokens", position,
                   words_.size()));
  }
  if (const size_t whole = words_.Whole(position); whole != position) {
    return absl::InvalidArgumentError(FormatText(
        "cannot rewind to %u, within bidirectional rows that begin at %u",
        position, whole));
  }
  const size_t start = Reachable(position);
  Words again;
  GEMMA_RETURN_IF_ERROR(NoThrow([&] {
    WordView(words_).First(position).From(start).AppendTo(again);
    ReserveDue(start, position, NumCheckpoints(start));
    return absl::OkStatus();
  }));
  GoBack(start);
  return Append(again, WantedLogits::kNone, nullptr);
}

void Session::Impl::GoBack(size_t position) {
  if (state_.Forgets() && position < floor_) {
    // Position 0 needs no state.
    floor_ = 0;
    if (const SavedState* saved = CheckpointFor(position); saved != nullptr) {
      floor_ = saved->floor;
      state_.Restore(saved->snapshot);
    }
  }
  floor_ = std::min(floor_, position);
  checkpoints_.erase(checkpoints_.begin() + NumCheckpoints(position),
                     checkpoints_.end());
  words_.Truncate(position);
}

size_t Session::Impl::NumCheckpoints(size_t position) const {
  size_t count = checkpoints_.size();
  while (count != 0 && checkpoints_[count - 1].position > position) --count;
  return count;
}

size_t Session::Impl::CopiedFloor(size_t position) const {
  return position - std::min(position, options_.max_rollback);
}

void Session::Impl::ForkTo(size_t position, Impl& fork) const {
  std::vector<std::span<const uint8_t>> pieces;
  state_.ForEachPiece(
      position, [&](std::span<uint8_t> piece) { pieces.push_back(piece); });
  auto from = pieces.begin();
  fork.state_.ForEachPiece(position, [&](std::span<uint8_t> piece) {
    std::ranges::copy(*from++, piece.begin());
  });
  size_t floor = floor_;
  if (state_.Forgets() && position < floor_) {
    floor = 0;
    if (const SavedState* saved = CheckpointFor(position); saved != nullptr) {
      floor = saved->floor;
      fork.state_.Restore(saved->snapshot);
    }
  }
  fork.words_.Truncate(0);
  WordView(words_).First(position).AppendTo(fork.words_);
  fork.floor_ = std::max(std::min(floor, position), CopiedFloor(position));
}

void Session::Impl::CopyTo(Impl& fork) const {
  ForkTo(words_.size(), fork);
  fork.checkpoints_ = checkpoints_;
  fork.draft_policy_ = draft_policy_;
}

uint64_t Session::Impl::FingerprintOf(const Model& model) {
  const Model::Impl& impl = model.impl();
  return Fingerprint(impl.config, impl.tensors,
                     impl.tokenizer.ok() ? &*impl.tokenizer : nullptr,
                     impl.weights);
}

absl::Status Session::Impl::Save(const std::string& path) const {
  const size_t floor = std::max(floor_, CopiedFloor(words_.size()));
  return WriteSession(path, FingerprintOf(model_), {options_, words_, floor},
                      state_);
}

absl::Status Session::Impl::Restore(const SessionFile& file) {
  const SavedSession& saved = file.session();
  if (bounded_ && saved.words.size() > options_.max_tokens) {
    return absl::DataLossError(
        FormatText("%s: saved session of %u tokens, wanted at most max_tokens, "
                   "which is %u",
                   file.path(), saved.words.size(), options_.max_tokens));
  }
  // prefill_chunk may be smaller than before, and too small for rows that see
  // each other.
  const absl::Status fit = CheckWords(saved.words, model_.config(),
                                      executor_.max_rows(), "the session");
  if (!fit.ok()) {
    return absl::FailedPreconditionError(
        FormatText("%s: %s", file.path(), fit.message()));
  }
  GEMMA_RETURN_IF_ERROR(file.ReadState(state_));
  WordView(saved.words).AppendTo(words_);
  floor_ = saved.floor;
  return absl::OkStatus();
}

}  // namespace gemma

#include "src/engine/session_impl.h"

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

#include "absl/strings/str_format.h"
#include "src/base/status_macros.h"
#include "src/model/fingerprint.h"

namespace gemma {

Session::Impl::Impl(const Model& model, const SessionOptions& options,
                    Executor& executor, SequenceState state)
    : model_(model),
      options_(options),
      bounded_(HasGlobal(model.config())),
      executor_(executor),
      state_(std::move(state)),
      logits_(model.config().vocab_size) {
  if (bounded_) tokens_.reserve(options.max_tokens);
}

size_t Session::Impl::remaining() const {
  if (!bounded_) return std::numeric_limits<size_t>::max() / 2;
  return options_.max_tokens - tokens_.size();
}

absl::Status Session::Impl::Check(absl::Span<const TokenId> tokens) const {
  if (tokens.empty()) {
    return absl::InvalidArgumentError("there are no tokens, wanted 1 or more");
  }
  if (tokens.size() > remaining()) {
    return absl::OutOfRangeError(absl::StrFormat(
        "%u tokens after %u do not fit in the context of %u tokens",
        tokens.size(), tokens_.size(), options_.max_tokens));
  }
  const size_t vocab_size = model_.config().vocab_size;
  for (const TokenId token : tokens) {
    if (token >= 0 && static_cast<size_t>(token) < vocab_size) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("token is %d, wanted 0 to %u", token, vocab_size - 1));
  }
  return absl::OkStatus();
}

Segment Session::Impl::Next(absl::Span<const TokenId> tokens, size_t max_rows,
                            WantedLogits logits, const NeededLogits* needed) {
  size_t count = std::min(tokens.size(), max_rows);
  if (const size_t interval = options_.checkpoint_interval; interval != 0) {
    count = std::min(count, interval - tokens_.size() % interval);
  }
  if (logits == WantedLogits::kLast && count < tokens.size()) {
    logits = WantedLogits::kNone;
  }
  return {&state_, {tokens.data(), count}, tokens_.size(), logits, &tap_,
          needed};
}

void Session::Impl::Commit(const Segment& segment) {
  tokens_.insert(tokens_.end(), segment.tokens.begin(), segment.tokens.end());
  if (tokens_.size() > state_.rollback()) {
    floor_ = std::max(floor_, tokens_.size() - state_.rollback());
  }
  if (options_.checkpoint_interval != 0 &&
      tokens_.size() % options_.checkpoint_interval == 0) {
    AddCheckpoint();
  }
}

size_t Session::Impl::AppendPass(absl::Span<const TokenId> tokens,
                                 WantedLogits wanted, float* out,
                                 const NeededLogits* needed, size_t max_rows) {
  const Segment segment =
      Next(tokens, std::min(max_rows, executor_.max_rows()), wanted, needed);
  executor_.Forward({&segment, 1}, {out, NumLogits(segment), logits_.size()});
  Commit(segment);
  return segment.tokens.size();
}

void Session::Impl::Append(absl::Span<const TokenId> tokens,
                           WantedLogits wanted, float* out,
                           const NeededLogits* needed) {
  while (!tokens.empty()) {
    const size_t count = AppendPass(tokens, wanted, out, needed);
    if (wanted == WantedLogits::kAll) out += count * logits_.size();
    tokens.remove_prefix(count);
  }
}

absl::StatusOr<absl::Span<float>> Session::Impl::Forward(
    absl::Span<const TokenId> tokens, const NeededLogits& needed) {
  GEMMA_RETURN_IF_ERROR(Check(tokens));
  Append(tokens, WantedLogits::kLast, logits_.data(), &needed);
  return logits();
}

void Session::Impl::AppendBatch(absl::Span<const Continuation> batch,
                                float* logits) {
  Executor& executor = batch[0].session->impl_->executor_;
  const size_t vocab_size = batch[0].session->impl_->logits_.size();
  std::vector<Continuation> left(batch.begin(), batch.end());
  std::vector<Segment> segments;
  for (size_t first = 0; first < left.size();) {
    // As many as fit; the last may be a part, whose rest begins the next
    // pass, so that logits come in order.
    segments.clear();
    size_t rows = 0;
    size_t whole = first;
    while (whole < left.size() && rows < executor.max_rows()) {
      const Continuation& c = left[whole];
      segments.push_back(c.session->impl_->Next(
          c.tokens, executor.max_rows() - rows, WantedLogits::kLast));
      rows += segments.back().tokens.size();
      if (segments.back().logits == WantedLogits::kNone) break;
      ++whole;
    }
    executor.Forward(segments, {logits, whole - first, vocab_size});
    for (size_t i = 0; i < segments.size(); ++i) {
      Continuation& c = left[first + i];
      c.session->impl_->Commit(segments[i]);
      c.tokens.remove_prefix(segments[i].tokens.size());
    }
    logits += (whole - first) * vocab_size;
    first = whole;
  }
}

absl::Status Session::Impl::CheckRoom(size_t wanted, size_t found) {
  if (found == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("there is room for %u logits, wanted %u", found, wanted));
}

absl::Status Session::Impl::CheckBatch(absl::Span<const Continuation> batch,
                                       size_t logits_size) {
  if (batch.empty()) {
    return absl::InvalidArgumentError(
        "there are no continuations, wanted 1 or more");
  }
  std::vector<const Session*> sessions;
  for (const Continuation& c : batch) {
    if (c.session == nullptr) {
      return absl::InvalidArgumentError("a session is null");
    }
    if (&c.session->model().impl() != &batch[0].session->model().impl()) {
      return absl::InvalidArgumentError(
          "the sessions are of different models, wanted one");
    }
    GEMMA_RETURN_IF_ERROR(c.session->impl_->Check(c.tokens));
    sessions.push_back(c.session);
  }
  std::sort(sessions.begin(), sessions.end());
  if (std::adjacent_find(sessions.begin(), sessions.end()) != sessions.end()) {
    return absl::InvalidArgumentError(
        "two continuations are of the same session");
  }
  return CheckRoom(batch.size() * batch[0].session->model().config().vocab_size,
                   logits_size);
}

void Session::Impl::AddCheckpoint() {
  if (!state_.Forgets() || options_.max_checkpoints == 0) return;
  if (!checkpoints_.empty() && checkpoints_.back().position == tokens_.size()) {
    return;
  }
  if (checkpoints_.size() == options_.max_checkpoints) DropOldestCheckpoint();
  checkpoints_.push_back({tokens_.size(), floor_, state_.Save()});
}

const Session::Impl::SavedState* Session::Impl::CheckpointFor(
    size_t position) const {
  for (const SavedState& saved : checkpoints_) {
    if (saved.floor <= position && position <= saved.position) return &saved;
  }
  return nullptr;
}

size_t Session::Impl::Reachable(size_t position) const {
  position = std::min(position, tokens_.size());
  if (!state_.Forgets() || position >= floor_) return position;
  size_t reachable = 0;
  for (const SavedState& saved : checkpoints_) {
    if (saved.floor > position) break;
    reachable = std::min(saved.position, position);
  }
  return reachable;
}

absl::Status Session::Impl::Rewind(size_t position) {
  if (position > tokens_.size()) {
    return absl::OutOfRangeError(
        absl::StrFormat("cannot rewind to %u, the sequence has %u tokens",
                        position, tokens_.size()));
  }
  const size_t start = Reachable(position);
  if (state_.Forgets() && start < floor_) {
    // Nothing is needed to begin at position 0.
    floor_ = 0;
    if (const SavedState* saved = CheckpointFor(start); saved != nullptr) {
      floor_ = saved->floor;
      state_.Restore(saved->snapshot);
    }
  }
  floor_ = std::min(floor_, start);
  while (!checkpoints_.empty() && checkpoints_.back().position > start) {
    checkpoints_.pop_back();
  }
  const std::vector<TokenId> again(tokens_.begin() + start,
                                   tokens_.begin() + position);
  tokens_.resize(start);
  Append(again, WantedLogits::kNone, nullptr);
  return absl::OkStatus();
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
  fork.tokens_.assign(tokens_.begin(), tokens_.begin() + position);
  fork.floor_ = std::max(std::min(floor, position), CopiedFloor(position));
}

void Session::Impl::CopyTo(Impl& fork) const {
  ForkTo(tokens_.size(), fork);
  fork.checkpoints_ = checkpoints_;
  fork.draft_policy_ = draft_policy_;
}

absl::Status Session::Impl::Save(const std::string& path) const {
  const size_t floor = std::max(floor_, CopiedFloor(tokens_.size()));
  return WriteSession(path, Fingerprint(model_.impl()),
                      {options_, tokens_, floor}, state_);
}

absl::Status Session::Impl::Restore(const SessionFile& file) {
  const SavedSession& saved = file.session();
  if (bounded_ && saved.tokens.size() > options_.max_tokens) {
    return absl::DataLossError(
        absl::StrFormat("a saved session has %u tokens, its context is of %u",
                        saved.tokens.size(), options_.max_tokens));
  }
  GEMMA_RETURN_IF_ERROR(file.ReadState(state_));
  tokens_.assign(saved.tokens.begin(), saved.tokens.end());
  floor_ = saved.floor;
  return absl::OkStatus();
}

}  // namespace gemma

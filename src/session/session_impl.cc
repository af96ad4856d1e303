#include "src/session/session_impl.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "gemma/limits.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/sizes.h"
#include "src/base/status_macros.h"
#include "src/session/model_impl.h"

namespace gemma {

Session::Impl::Impl(const Model& model, const SessionOptions& options,
                    Executor& executor, SequenceState state)
    : model_(model),
      options_(options),
      bounded_(HasGlobal(model.config())),
      executor_(executor),
      state_(std::move(state)),
      logits_(model.config().vocab_size),
      draft_policy_(executor.pass_costs()) {
  if (bounded_) words_.Reserve(options.max_tokens);
}

absl::Status Session::Impl::CheckOptions(const SessionOptions& options) {
  if (options.max_tokens < 1 || options.max_tokens > kMaxSessionTokens) {
    return absl::InvalidArgumentError(
        FormatText("max_tokens is %u, wanted 1 to %u", options.max_tokens,
                   kMaxSessionTokens));
  }
  for (const auto& [name, value, most] :
       {std::tuple("max_rollback", options.max_rollback, kMaxRollback),
        std::tuple("checkpoint_interval", options.checkpoint_interval,
                   kMaxSessionTokens),
        std::tuple("max_checkpoints", options.max_checkpoints,
                   kMaxCheckpoints)}) {
    if (value <= most) continue;
    return absl::InvalidArgumentError(
        FormatText("%s is %u, wanted 0 to %u", name, value, most));
  }
  return absl::OkStatus();
}

size_t Session::Impl::remaining() const {
  if (!bounded_) return std::numeric_limits<size_t>::max() / 2;
  return options_.max_tokens - words_.size();
}

absl::Status Session::Impl::Check(const WordView& words) const {
  if (words.empty()) {
    return absl::InvalidArgumentError("there are no tokens, wanted 1 or more");
  }
  if (words.size() > remaining()) {
    return absl::OutOfRangeError(
        FormatText("%u tokens after %u do not fit in the context of %u tokens",
                   words.size(), words_.size(), options_.max_tokens));
  }
  return CheckWords(words, model_.config(), executor_.max_rows(), "the input");
}

Segment Session::Impl::Next(const WordView& words, size_t most, size_t max_rows,
                            WantedLogits logits, const NeededLogits* needed) {
  if (const size_t interval = options_.checkpoint_interval; interval != 0) {
    most = std::min(most, interval - words_.size() % interval);
  }
  const size_t count = words.PassSize(most, max_rows);
  if (logits == WantedLogits::kLast && count < words.size()) {
    logits = WantedLogits::kNone;
  }
  return {&state_, words.First(count), words_.size(),
          logits,  tap_.get(),         needed};
}

void Session::Impl::set_tap(TapFunction tap) {
  tap_ = tap ? std::make_shared<const TapFunction>(std::move(tap)) : nullptr;
}

absl::Status Session::Impl::Reserve(const WordView& words) {
  return NoThrow([&] {
    words.ReserveIn(words_);
    ReserveDue(words_.size(), words_.size() + words.size(),
               checkpoints_.size());
    return absl::OkStatus();
  });
}

void Session::Impl::ReserveDue(size_t begin, size_t end, size_t kept) {
  const size_t interval = options_.checkpoint_interval;
  if (interval == 0) return;
  ReserveCheckpoints(kept, end / interval - begin / interval);
}

void Session::Impl::ReserveCheckpoints(size_t kept, size_t more) {
  if (!HasCheckpoints()) return;
  // Beyond this number, a new checkpoint reuses the memory of the oldest.
  more = std::min(more, options_.max_checkpoints - kept);
  GrowTo(kept + more, checkpoints_);
  GrowTo(more, spare_);
  while (spare_.size() < more) spare_.push_back(state_.NewSnapshot());
}

absl::Status Session::Impl::RunPass(absl::Span<Impl* const> sessions,
                                    absl::Span<const Segment> segments,
                                    MatrixView<float> logits) {
  for (size_t i = 0; i < segments.size(); ++i) {
    GEMMA_RETURN_IF_ERROR(sessions[i]->Reserve(segments[i].words));
  }
  try {
    GEMMA_RETURN_IF_ERROR(sessions[0]->executor_.Forward(segments, logits));
  } catch (...) {
    for (size_t i = 0; i < segments.size(); ++i) {
      sessions[i]->TakeBack(segments[i]);
    }
    throw;
  }
  for (size_t i = 0; i < segments.size(); ++i) {
    sessions[i]->Commit(segments[i]);
  }
  return absl::OkStatus();
}

void Session::Impl::Reached(size_t position) {
  if (position <= state_.rollback()) return;
  floor_ = std::max(floor_, position - state_.rollback());
}

void Session::Impl::Commit(const Segment& segment) {
  segment.words.AppendTo(words_);
  Reached(words_.size());
  // A checkpoint may come late, because bidirectional rows may end after the
  // position where it was due.
  const size_t interval = options_.checkpoint_interval;
  if (interval != 0 &&
      words_.size() / interval != segment.position / interval) {
    KeepCheckpoint();
  }
}

void Session::Impl::TakeBack(const Segment& segment) {
  Reached(segment.position + segment.words.size());
  GoBack(Reachable(segment.position));
}

absl::StatusOr<size_t> Session::Impl::AppendPass(const WordView& words,
                                                 WantedLogits wanted,
                                                 float* out,
                                                 const NeededLogits* needed,
                                                 size_t most) {
  if (words.size() > remaining()) {
    return absl::FailedPreconditionError(FormatText(
        "%u tokens no longer fit: a function that is called after each pass "
        "has appended to the session",
        words.size()));
  }
  // Keep the tap alive, because it may set another.
  const std::shared_ptr<const TapFunction> tap = tap_;
  const size_t max_rows = executor_.max_rows();
  const Segment segment =
      Next(words, std::min(most, max_rows), max_rows, wanted, needed);
  Impl* const session = this;
  GEMMA_RETURN_IF_ERROR(RunPass({&session, 1}, {&segment, 1},
                                {out, NumLogits(segment), logits_.size()}));
  return segment.words.size();
}

absl::Status Session::Impl::Append(WordView words, WantedLogits wanted,
                                   float* out, const NeededLogits* needed) {
  GEMMA_RETURN_IF_ERROR(Reserve(words));
  while (!words.empty()) {
    GEMMA_ASSIGN_OR_RETURN(const size_t count,
                           AppendPass(words, wanted, out, needed));
    if (wanted == WantedLogits::kAll) out += count * logits_.size();
    words = words.From(count);
  }
  return absl::OkStatus();
}

absl::Status Session::Impl::CheckAndAppend(
    const WordView& words, WantedLogits wanted, absl::Span<float> out,
    const std::function<bool(size_t done)>& on_pass) {
  GEMMA_RETURN_IF_ERROR(Check(words));
  const size_t rows = wanted == WantedLogits::kAll ? words.size() : 0;
  GEMMA_RETURN_IF_ERROR(CheckRoom(rows * logits_.size(), out.size()));
  GEMMA_RETURN_IF_ERROR(Reserve(words));
  for (size_t done = 0; done < words.size();) {
    float* const row = rows == 0 ? nullptr : out.data() + done * logits_.size();
    GEMMA_ASSIGN_OR_RETURN(const size_t count,
                           AppendPass(words.From(done), wanted, row));
    done += count;
    if (on_pass && !on_pass(done)) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::Span<float>> Session::Impl::Forward(
    const WordView& words, const NeededLogits& needed) {
  GEMMA_RETURN_IF_ERROR(Check(words));
  GEMMA_RETURN_IF_ERROR(
      Append(words, WantedLogits::kLast, logits_.data(), &needed));
  return logits();
}

namespace {

WordView WordsOf(const Session::Continuation& continuation) {
  if (continuation.words != nullptr) return *continuation.words;
  return continuation.tokens;
}

}  // namespace

absl::Status Session::Impl::AppendBatch(absl::Span<const Continuation> batch,
                                        float* logits) {
  Executor& executor = batch[0].session->impl_->executor_;
  const size_t vocab_size = batch[0].session->impl_->logits_.size();
  std::vector<WordView> left;
  for (const Continuation& c : batch) left.push_back(WordsOf(c));
  std::vector<Segment> segments;
  std::vector<Impl*> sessions;
  // Keep the taps alive, because they may set others.
  std::vector<std::shared_ptr<const TapFunction>> taps;
  segments.reserve(batch.size());
  for (const Continuation& c : batch) {
    Impl& session = *c.session->impl_;
    sessions.push_back(&session);
    taps.push_back(session.tap_);
    GEMMA_RETURN_IF_ERROR(session.Reserve(WordsOf(c)));
  }
  for (size_t first = 0; first < left.size();) {
    // Take as many continuations as fit. The last one may be cut; its rest
    // begins the next pass, so that logits come in order.
    segments.clear();
    size_t rows = 0;
    size_t whole = first;
    while (whole < left.size() && rows < executor.max_rows()) {
      Impl& session = *batch[whole].session->impl_;
      const size_t room = executor.max_rows() - rows;
      const Segment next =
          session.Next(left[whole], room, room, WantedLogits::kLast);
      if (next.words.empty()) break;
      segments.push_back(next);
      rows += next.words.size();
      if (segments.back().logits == WantedLogits::kNone) break;
      ++whole;
    }
    GEMMA_RETURN_IF_ERROR(
        RunPass(absl::MakeSpan(sessions).subspan(first, segments.size()),
                segments, {logits, whole - first, vocab_size}));
    for (size_t i = 0; i < segments.size(); ++i) {
      left[first + i] = left[first + i].From(segments[i].words.size());
    }
    logits += (whole - first) * vocab_size;
    first = whole;
  }
  return absl::OkStatus();
}

absl::Status Session::Impl::CheckRoom(size_t wanted, size_t found) {
  if (found == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(
      FormatText("there is room for %u logits, wanted %u", found, wanted));
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
    if (c.words != nullptr && !c.tokens.empty()) {
      return absl::InvalidArgumentError(
          "a continuation has tokens and words, wanted one of them");
    }
    GEMMA_RETURN_IF_ERROR(c.session->impl_->Check(WordsOf(c)));
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

uint64_t Session::Impl::row_bytes() const {
  uint64_t bytes = 0;
  for (const PlacedRows& placed : words_.rows()) {
    bytes += placed.rows.values().size() * sizeof(float);
  }
  return bytes;
}

}  // namespace gemma

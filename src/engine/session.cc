#include "gemma/session.h"

#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "src/engine/draft_policy.h"
#include "src/engine/executor.h"
#include "src/engine/session_file.h"
#include "src/formats/status_macros.h"
#include "src/model/fingerprint.h"

namespace gemma {
namespace {

constexpr size_t kMaxTokens = size_t{1} << 24;
constexpr size_t kMaxRollback = size_t{1} << 16;

absl::Status CheckOptions(const SessionOptions& options) {
  if (options.max_tokens < 1 || options.max_tokens > kMaxTokens) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "max_tokens is %u, wanted 1 to %u", options.max_tokens, kMaxTokens));
  }
  if (options.max_rollback > kMaxRollback) {
    return absl::InvalidArgumentError(
        absl::StrFormat("max_rollback is %u, wanted 0 to %u",
                        options.max_rollback, kMaxRollback));
  }
  return absl::OkStatus();
}

bool HasGlobal(const ModelConfig& config) {
  return std::count(config.blocks.begin(), config.blocks.end(),
                    BlockType::kGlobalAttention) != 0;
}

absl::Status CheckRoom(size_t wanted, size_t found) {
  if (found == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("there is room for %u logits, wanted %u", found, wanted));
}

}  // namespace

class Session::Impl {
 public:
  Impl(const Model& model, const SessionOptions& options, Executor& executor,
       SequenceState state)
      : model_(model),
        options_(options),
        bounded_(HasGlobal(model.config())),
        executor_(executor),
        state_(std::move(state)),
        logits_(model.config().vocab_size) {
    if (bounded_) tokens_.reserve(options.max_tokens);
  }

  const Model& model() const { return model_; }
  const SessionOptions& options() const { return options_; }
  DraftPolicy& draft_policy() { return draft_policy_; }
  absl::Span<const TokenId> tokens() const { return tokens_; }
  absl::Span<float> logits() { return absl::MakeSpan(logits_); }
  void set_tap(TapFunction tap) { tap_ = std::move(tap); }
  bool has_tap() const { return tap_ != nullptr; }

  size_t remaining() const {
    if (!bounded_) return std::numeric_limits<size_t>::max() / 2;
    return options_.max_tokens - tokens_.size();
  }

  absl::Status Check(absl::Span<const TokenId> tokens) const {
    if (tokens.empty()) {
      return absl::InvalidArgumentError(
          "there are no tokens, wanted 1 or more");
    }
    if (tokens.size() > remaining()) {
      return absl::OutOfRangeError(absl::StrFormat(
          "%u tokens after %u do not fit in the context of %u tokens",
          tokens.size(), tokens_.size(), options_.max_tokens));
    }
    const size_t vocab_size = model_.config().vocab_size;
    for (const TokenId token : tokens) {
      if (token >= 0 && static_cast<size_t>(token) < vocab_size) continue;
      return absl::InvalidArgumentError(absl::StrFormat(
          "token is %d, wanted 0 to %u", token, vocab_size - 1));
    }
    return absl::OkStatus();
  }

  // The first of checked tokens that the next pass may take, at most
  // `max_rows`: the pass ends where a checkpoint is due.
  Segment Next(absl::Span<const TokenId> tokens, size_t max_rows,
               WantedLogits logits, size_t top_k = 0) {
    size_t count = std::min(tokens.size(), max_rows);
    if (const size_t interval = options_.checkpoint_interval; interval != 0) {
      count = std::min(count, interval - tokens_.size() % interval);
    }
    if (logits == WantedLogits::kLast && count < tokens.size()) {
      logits = WantedLogits::kNone;
    }
    return {&state_, {tokens.data(), count}, tokens_.size(), logits, &tap_,
            top_k};
  }

  // The executor has computed the segment.
  void Commit(const Segment& segment) {
    tokens_.insert(tokens_.end(), segment.tokens.begin(), segment.tokens.end());
    if (tokens_.size() > options_.max_rollback) {
      floor_ = std::max(floor_, tokens_.size() - options_.max_rollback);
    }
    if (options_.checkpoint_interval != 0 &&
        tokens_.size() % options_.checkpoint_interval == 0) {
      AddCheckpoint();
    }
  }

  // Appends checked tokens. `out`: of the wanted logits.
  void Append(absl::Span<const TokenId> tokens, WantedLogits wanted, float* out,
              size_t top_k = 0) {
    while (!tokens.empty()) {
      const Segment segment = Next(tokens, executor_.max_rows(), wanted, top_k);
      const size_t rows = NumLogits(segment);
      executor_.Forward({&segment, 1}, {out, rows, logits_.size()});
      out += rows * logits_.size();
      Commit(segment);
      tokens.remove_prefix(segment.tokens.size());
    }
  }

  // Appends checked continuations of sessions of this engine. `logits`: of the
  // last position of each.
  static void AppendBatch(absl::Span<const Continuation> batch, float* logits) {
    const Executor& executor = batch[0].session->impl_->executor_;
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
      batch[0].session->impl_->executor_.Forward(
          segments, {logits, whole - first, vocab_size});
      for (size_t i = 0; i < segments.size(); ++i) {
        Continuation& c = left[first + i];
        c.session->impl_->Commit(segments[i]);
        c.tokens.remove_prefix(segments[i].tokens.size());
      }
      logits += (whole - first) * vocab_size;
      first = whole;
    }
  }

  static absl::Status CheckBatch(absl::Span<const Continuation> batch,
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
    if (std::adjacent_find(sessions.begin(), sessions.end()) !=
        sessions.end()) {
      return absl::InvalidArgumentError(
          "two continuations are of the same session");
    }
    return CheckRoom(
        batch.size() * batch[0].session->model().config().vocab_size,
        logits_size);
  }

  void AddCheckpoint() {
    if (!state_.Forgets() || options_.max_checkpoints == 0) return;
    if (!checkpoints_.empty() &&
        checkpoints_.back().position == tokens_.size()) {
      return;
    }
    if (checkpoints_.size() == options_.max_checkpoints) {
      checkpoints_.erase(checkpoints_.begin());
    }
    checkpoints_.push_back({tokens_.size(), floor_, state_.Save()});
  }

  // A session that has nothing yet becomes one that goes on from this one.
  void ForkTo(Impl& fork) const {
    std::vector<std::span<const uint8_t>> pieces;
    state_.ForEachPiece(tokens_.size(), [&](std::span<uint8_t> piece) {
      pieces.push_back(piece);
    });
    auto from = pieces.begin();
    fork.state_.ForEachPiece(tokens_.size(), [&](std::span<uint8_t> piece) {
      std::ranges::copy(*from++, piece.begin());
    });
    fork.tokens_.assign(tokens_.begin(), tokens_.end());
    fork.floor_ = floor_;
    fork.checkpoints_ = checkpoints_;
    fork.draft_policy_ = draft_policy_;
  }

  absl::Status Save(const std::string& path) const {
    return WriteSession(path, Fingerprint(model_.impl()),
                        {options_, tokens_, floor_}, state_);
  }

  // A session that has nothing yet becomes the one that was saved.
  absl::Status Restore(const SessionFile& file) {
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

  absl::Status Rewind(size_t position) {
    if (position > tokens_.size()) {
      return absl::OutOfRangeError(
          absl::StrFormat("cannot rewind to %u, the sequence has %u tokens",
                          position, tokens_.size()));
    }
    while (!checkpoints_.empty() && checkpoints_.back().position > position) {
      checkpoints_.pop_back();
    }
    if (position == tokens_.size()) return absl::OkStatus();
    if (!state_.Forgets() || position >= floor_) {
      tokens_.resize(position);
      floor_ = std::min(floor_, position);
      return absl::OkStatus();
    }
    // Nothing is needed to begin at position 0.
    size_t start = 0;
    floor_ = 0;
    if (!checkpoints_.empty()) {
      start = checkpoints_.back().position;
      floor_ = checkpoints_.back().floor;
      state_.Restore(checkpoints_.back().snapshot);
    }
    const std::vector<TokenId> again(tokens_.begin() + start,
                                     tokens_.begin() + position);
    tokens_.resize(start);
    Append(again, WantedLogits::kNone, nullptr);
    return absl::OkStatus();
  }

 private:
  struct SavedState {
    size_t position = 0;
    size_t floor = 0;
    SequenceState::Snapshot snapshot;
  };

  const Model& model_;
  const SessionOptions options_;
  const bool bounded_;  // global layers: max_tokens is the limit
  Executor& executor_;
  SequenceState state_;
  std::vector<TokenId> tokens_;
  std::vector<float> logits_;  // [vocab_size]
  size_t floor_ = 0;  // first position that rings and states can go back to
  std::vector<SavedState> checkpoints_;  // in ascending order
  TapFunction tap_;
  DraftPolicy draft_policy_;  // what Generate has measured
};

absl::StatusOr<Session> Session::Create(const Model& model,
                                        SessionOptions options) {
  GEMMA_RETURN_IF_ERROR(CheckOptions(options));
  if (!model.impl().has_weights) {
    return absl::FailedPreconditionError(
        "the model was loaded without its weights");
  }
  GEMMA_ASSIGN_OR_RETURN(Executor * executor, Executor::For(model.impl()));
  const SequenceLimits limits = {
      options.max_tokens, options.max_rollback, executor->max_rows(),
      Executor::CacheTypeOf(options.cache_format, model.impl().weights)};
  GEMMA_ASSIGN_OR_RETURN(SequenceState state,
                         SequenceState::Create(model.config(), limits));
  return Session(
      std::make_unique<Impl>(model, options, *executor, std::move(state)));
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

absl::StatusOr<absl::Span<float>> Session::Forward(
    absl::Span<const TokenId> tokens) {
  return ForwardTop(tokens, 0);
}

absl::StatusOr<absl::Span<float>> Session::ForwardTop(
    absl::Span<const TokenId> tokens, size_t top_k) {
  GEMMA_RETURN_IF_ERROR(impl_->Check(tokens));
  const absl::Span<float> logits = impl_->logits();
  impl_->Append(tokens, WantedLogits::kLast, logits.data(), top_k);
  return logits;
}

absl::Status Session::Append(absl::Span<const TokenId> tokens) {
  GEMMA_RETURN_IF_ERROR(impl_->Check(tokens));
  impl_->Append(tokens, WantedLogits::kNone, nullptr);
  return absl::OkStatus();
}

absl::Status Session::ForwardAll(absl::Span<const TokenId> tokens,
                                 absl::Span<float> logits) {
  GEMMA_RETURN_IF_ERROR(impl_->Check(tokens));
  GEMMA_RETURN_IF_ERROR(
      CheckRoom(tokens.size() * model().config().vocab_size, logits.size()));
  impl_->Append(tokens, WantedLogits::kAll, logits.data());
  return absl::OkStatus();
}

absl::Status Session::ForwardBatch(absl::Span<const Continuation> batch,
                                   absl::Span<float> logits) {
  GEMMA_RETURN_IF_ERROR(Impl::CheckBatch(batch, logits.size()));
  Impl::AppendBatch(batch, logits.data());
  return absl::OkStatus();
}

absl::StatusOr<Session> Session::Fork() const {
  GEMMA_ASSIGN_OR_RETURN(Session fork, Create(model(), options()));
  impl_->ForkTo(*fork.impl_);
  return fork;
}

absl::Status Session::Save(std::string_view path) const {
  return impl_->Save(std::string(path));
}

absl::StatusOr<Session> Session::Restore(const Model& model,
                                         std::string_view path) {
  GEMMA_ASSIGN_OR_RETURN(
      const SessionFile file,
      SessionFile::Open(std::string(path), Fingerprint(model.impl()),
                        model.config()));
  GEMMA_ASSIGN_OR_RETURN(Session session,
                         Create(model, file.session().options));
  GEMMA_RETURN_IF_ERROR(session.impl_->Restore(file));
  return session;
}

absl::Span<const TokenId> Session::tokens() const { return impl_->tokens(); }
size_t Session::remaining() const { return impl_->remaining(); }
absl::Status Session::Rewind(size_t position) {
  return impl_->Rewind(position);
}
void Session::Checkpoint() { impl_->AddCheckpoint(); }
void Session::SetTap(TapFunction tap) { impl_->set_tap(std::move(tap)); }
bool Session::has_tap() const { return impl_->has_tap(); }
const Model& Session::model() const { return impl_->model(); }
const SessionOptions& Session::options() const { return impl_->options(); }
DraftPolicy& Session::draft_policy() const { return impl_->draft_policy(); }

}  // namespace gemma

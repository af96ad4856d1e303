#include "gemma/session.h"

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/forward/executor.h"
#include "src/session/model_impl.h"
#include "src/session/session_file.h"
#include "src/session/session_impl.h"

namespace gemma {
namespace {

// OK if the model can have sessions.
absl::Status CheckModel(const Model& model) {
  if (model.config().pooling != Pooling::kNone) {
    return absl::FailedPreconditionError(
        "the model embeds texts (Embedder), wanted one that continues them");
  }
  if (!model.impl().has_weights) {
    return absl::FailedPreconditionError(
        "the model was loaded without its weights");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Session> Session::Create(const Model& model,
                                        SessionOptions options) {
  return NoThrow([&]() -> absl::StatusOr<Session> {
    GEMMA_RETURN_IF_ERROR(Impl::CheckOptions(options));
    GEMMA_RETURN_IF_ERROR(CheckModel(model));
    GEMMA_ASSIGN_OR_RETURN(Executor * executor, model.impl().executor());
    const SequenceLimits limits = {
        options.max_tokens, options.max_rollback, executor->max_rows(),
        model.impl().CacheTypeOf(options.cache_format)};
    GEMMA_ASSIGN_OR_RETURN(SequenceState state,
                           SequenceState::Create(model.config(), limits));
    return Session(
        std::make_unique<Impl>(model, options, *executor, std::move(state)));
  });
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
  return NoThrow([&] { return impl_->Forward(tokens, {top_k}); });
}

absl::StatusOr<absl::Span<float>> Session::Forward(const Words& words) {
  return ForwardTop(words, 0);
}

absl::StatusOr<absl::Span<float>> Session::ForwardTop(const Words& words,
                                                      size_t top_k) {
  return NoThrow([&] { return impl_->Forward(words, {top_k}); });
}

absl::Status Session::Append(absl::Span<const TokenId> tokens) {
  return Append(tokens, nullptr);
}

absl::Status Session::Append(absl::Span<const TokenId> tokens,
                             const std::function<bool(size_t done)>& on_pass) {
  return NoThrow([&] {
    return impl_->CheckAndAppend(tokens, WantedLogits::kNone, {}, on_pass);
  });
}

absl::Status Session::Append(const Words& words,
                             const std::function<bool(size_t done)>& on_pass) {
  return NoThrow([&] {
    return impl_->CheckAndAppend(words, WantedLogits::kNone, {}, on_pass);
  });
}

absl::Status Session::ForwardAll(absl::Span<const TokenId> tokens,
                                 absl::Span<float> logits) {
  return NoThrow([&] {
    return impl_->CheckAndAppend(tokens, WantedLogits::kAll, logits);
  });
}

absl::Status Session::ForwardAll(const Words& words, absl::Span<float> logits) {
  return NoThrow(
      [&] { return impl_->CheckAndAppend(words, WantedLogits::kAll, logits); });
}

absl::Status Session::ForwardBatch(absl::Span<const Continuation> batch,
                                   absl::Span<float> logits) {
  return NoThrow([&]() -> absl::Status {
    GEMMA_RETURN_IF_ERROR(Impl::CheckBatch(batch, logits.size()));
    return Impl::AppendBatch(batch, logits.data());
  });
}

absl::StatusOr<Session> Session::Fork() const {
  return NoThrow([&]() -> absl::StatusOr<Session> {
    GEMMA_RETURN_IF_ERROR(impl_->CheckCaller());
    GEMMA_ASSIGN_OR_RETURN(Session fork, Create(model(), options()));
    impl_->CopyTo(*fork.impl_);
    return fork;
  });
}

absl::Status Session::Save(std::string_view path) const {
  return NoThrow([&]() -> absl::Status {
    GEMMA_RETURN_IF_ERROR(impl_->CheckCaller());
    return impl_->Save(std::string(path));
  });
}

absl::StatusOr<Session> Session::Restore(const Model& model,
                                         std::string_view path) {
  return NoThrow([&]() -> absl::StatusOr<Session> {
    GEMMA_RETURN_IF_ERROR(CheckModel(model));
    GEMMA_ASSIGN_OR_RETURN(
        const SessionFile file,
        SessionFile::Open(std::string(path), Impl::FingerprintOf(model),
                          model.config()));
    const SessionOptions& options = file.session().options;
    if (const absl::Status status = Impl::CheckOptions(options); !status.ok()) {
      return absl::DataLossError(
          absl::StrCat(path, ": not a saved session: ", status.message()));
    }
    GEMMA_ASSIGN_OR_RETURN(Session session, Create(model, options));
    GEMMA_RETURN_IF_ERROR(session.impl_->Restore(file));
    return session;
  });
}

absl::Status Session::Rewind(size_t position) {
  return NoThrow([&]() -> absl::Status {
    GEMMA_RETURN_IF_ERROR(impl_->CheckCaller());
    return impl_->Rewind(position);
  });
}

absl::Status Session::Checkpoint() {
  return NoThrow([&]() -> absl::Status {
    GEMMA_RETURN_IF_ERROR(impl_->CheckCaller());
    return impl_->AddCheckpoint();
  });
}

absl::Span<const TokenId> Session::tokens() const {
  return impl_->words().tokens();
}
const Words& Session::words() const { return impl_->words(); }
size_t Session::remaining() const { return impl_->remaining(); }
void Session::SetTap(TapFunction tap) { impl_->set_tap(std::move(tap)); }
bool Session::has_tap() const { return impl_->has_tap(); }
const Model& Session::model() const { return impl_->model(); }
const SessionOptions& Session::options() const { return impl_->options(); }

}  // namespace gemma

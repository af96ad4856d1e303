// Implements gemma/c_session.h and gemma/c_taps.h.

#include "gemma/c_session.h"

#include <utility>

#include "gemma/c_taps.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

namespace gemma::internal {

absl::Status ReadCacheFormat(const gemma_cache_format& from, CacheFormat& to) {
  return ReadEnum(from, "cache_format", GEMMA_CACHE_INT8 + 1, to);
}

TapFunction TapOf(gemma_tap_function tap, void* user) {
  if (tap == nullptr) return {};
  return [tap, user](const TapSite& from, absl::Span<float> activations) {
    const gemma_tap_site site = {
        .struct_size = sizeof(site),
        .point = static_cast<gemma_tap_point>(from.point),
        .layer = from.layer,
        .position = from.position,
        .num_rows = from.num_rows};
    tap(&site, activations.data(), activations.size(), user);
  };
}

namespace {

absl::Status ReadSessionOptions(const gemma_session_options* options,
                                SessionOptions& to) {
  gemma_session_options from;
  gemma_session_options_init(&from, sizeof(from));
  GEMMA_RETURN_IF_ERROR(ReadSized(options, "gemma_session_options", from));
  to.max_tokens = from.max_tokens;
  to.max_rollback = from.max_rollback;
  to.checkpoint_interval = from.checkpoint_interval;
  to.max_checkpoints = from.max_checkpoints;
  return ReadCacheFormat(from.cache_format, to.cache_format);
}

gemma_session_options SessionOptionsOf(const SessionOptions& from) {
  return {.max_tokens = from.max_tokens,
          .max_rollback = from.max_rollback,
          .checkpoint_interval = from.checkpoint_interval,
          .max_checkpoints = from.max_checkpoints,
          .cache_format = static_cast<gemma_cache_format>(from.cache_format)};
}

// Checks that `logits` has room for `rows` rows before anything is computed.
absl::Status CheckRows(const Model& model, size_t rows, const float* logits,
                       size_t capacity, size_t* size) {
  const size_t columns = model.config().vocab_size;
  if (rows > SIZE_MAX / sizeof(float) / columns) {
    return absl::InvalidArgumentError(
        absl::StrCat(rows, " rows of logits are more than memory can hold"));
  }
  GEMMA_RETURN_IF_ERROR(WriteSize(rows * columns, capacity, size));
  if (rows != 0) GEMMA_C_REQUIRE(logits);
  return absl::OkStatus();
}

// What the functions for tokens and for words share. `added`: tokens or words.

template <class Added>
absl::Status ForwardTop(gemma_session* session, const Added& added,
                        size_t top_k, const float** logits) {
  GEMMA_ASSIGN_OR_RETURN(const auto computed,
                         session->session.ForwardTop(added, top_k));
  *logits = computed.data();
  return absl::OkStatus();
}

template <class Added>
absl::Status ForwardAll(gemma_session* session, const Added& added,
                        float* logits, size_t capacity, size_t* size) {
  GEMMA_RETURN_IF_ERROR(CheckRows(session->session.model(), added.size(),
                                  logits, capacity, size));
  return session->session.ForwardAll(added, {logits, *size});
}

template <class Added>
absl::Status AppendAll(gemma_session* session, const Added& added,
                       bool (*on_pass)(size_t done, void* user), void* user) {
  if (on_pass == nullptr) return session->session.Append(added);
  return session->session.Append(
      added, [&](size_t done) { return on_pass(done, user); });
}

absl::Status ForwardBatch(const std::vector<Session::Continuation>& batch,
                          float* logits, size_t capacity, size_t* size) {
  if (batch.empty()) {
    return absl::InvalidArgumentError("batch_size is 0, wanted 1 or more");
  }
  GEMMA_RETURN_IF_ERROR(CheckRows(batch[0].session->model(), batch.size(),
                                  logits, capacity, size));
  return Session::ForwardBatch(batch, {logits, *size});
}

}  // namespace
}  // namespace gemma::internal

using gemma::internal::Reported;

void gemma_session_options_init(gemma_session_options* options, size_t size) {
  gemma::internal::InitSized(options, size,
                             gemma::internal::SessionOptionsOf({}));
}

gemma_status gemma_session_memory(const gemma_model* model,
                                  const gemma_session_options* options,
                                  size_t num_sessions, gemma_memory_use* use) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(use);
    gemma::SessionOptions session;
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadSessionOptions(options, session));
    return gemma::internal::WriteMemory(
        model->model.MemoryFor(session, num_sessions), use);
  });
}

gemma_status gemma_session_create(const gemma_model* model,
                                  const gemma_session_options* options,
                                  gemma_session** session) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(session);
    gemma::SessionOptions create;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadSessionOptions(options, create));
    GEMMA_ASSIGN_OR_RETURN(auto created,
                           gemma::Session::Create(model->model, create));
    *session = new gemma_session{std::move(created)};
    return absl::OkStatus();
  });
}

void gemma_session_free(gemma_session* session) { delete session; }

size_t gemma_session_position(const gemma_session* session) {
  return session == nullptr ? 0 : session->session.position();
}

size_t gemma_session_remaining(const gemma_session* session) {
  return session == nullptr ? 0 : session->session.remaining();
}

gemma_status gemma_session_tokens(const gemma_session* session, int32_t* tokens,
                                  size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    GEMMA_C_REQUIRE(size);
    return gemma::internal::Write(session->session.tokens(), tokens, capacity,
                                  size);
  });
}

gemma_status gemma_session_words(const gemma_session* session,
                                 gemma_words** words) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    GEMMA_C_REQUIRE(words);
    *words = new gemma_words{session->session.words()};
    return absl::OkStatus();
  });
}

gemma_status gemma_session_get_options(const gemma_session* session,
                                       gemma_session_options* options) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    GEMMA_C_REQUIRE(options);
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::CheckSize(*options, "gemma_session_options"));
    gemma::internal::WriteSized(
        gemma::internal::SessionOptionsOf(session->session.options()), options);
    return absl::OkStatus();
  });
}

gemma_status gemma_session_forward(gemma_session* session,
                                   const int32_t* tokens, size_t num_tokens,
                                   const float** logits) {
  if (logits != nullptr) {
    return gemma_session_forward_top(session, tokens, num_tokens, 0, logits);
  }
  return gemma_session_append(session, tokens, num_tokens, nullptr, nullptr);
}

gemma_status gemma_session_forward_top(gemma_session* session,
                                       const int32_t* tokens, size_t num_tokens,
                                       size_t top_k, const float** logits) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    if (num_tokens != 0) GEMMA_C_REQUIRE(tokens);
    GEMMA_C_REQUIRE(logits);
    return gemma::internal::ForwardTop(
        session, absl::Span<const int32_t>(tokens, num_tokens), top_k, logits);
  });
}

gemma_status gemma_session_forward_all(gemma_session* session,
                                       const int32_t* tokens, size_t num_tokens,
                                       float* logits, size_t capacity,
                                       size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    if (num_tokens != 0) GEMMA_C_REQUIRE(tokens);
    GEMMA_C_REQUIRE(size);
    return gemma::internal::ForwardAll(
        session, absl::Span<const int32_t>(tokens, num_tokens), logits,
        capacity, size);
  });
}

gemma_status gemma_session_append(gemma_session* session, const int32_t* tokens,
                                  size_t num_tokens,
                                  bool (*on_pass)(size_t done, void* user),
                                  void* user) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    if (num_tokens != 0) GEMMA_C_REQUIRE(tokens);
    return gemma::internal::AppendAll(
        session, absl::Span<const int32_t>(tokens, num_tokens), on_pass, user);
  });
}

gemma_status gemma_session_forward_batch(const gemma_continuation* batch,
                                         size_t batch_size, float* logits,
                                         size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    if (batch_size != 0) GEMMA_C_REQUIRE(batch);
    GEMMA_C_REQUIRE(size);
    std::vector<gemma::Session::Continuation> read;
    for (size_t i = 0; i < batch_size; ++i) {
      const auto& [session, tokens, num_tokens] = batch[i];
      if (session == nullptr) {
        return gemma::internal::NullError(
            absl::StrCat("batch[", i, "].session"));
      }
      if (tokens == nullptr && num_tokens != 0) {
        return gemma::internal::NullError(
            absl::StrCat("batch[", i, "].tokens"));
      }
      read.push_back(
          {.session = &session->session, .tokens = {tokens, num_tokens}});
    }
    return gemma::internal::ForwardBatch(read, logits, capacity, size);
  });
}

gemma_status gemma_session_forward_words(gemma_session* session,
                                         const gemma_words* words, size_t top_k,
                                         const float** logits) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    GEMMA_C_REQUIRE(words);
    GEMMA_C_REQUIRE(logits);
    return gemma::internal::ForwardTop(session, words->words, top_k, logits);
  });
}

gemma_status gemma_session_forward_all_words(gemma_session* session,
                                             const gemma_words* words,
                                             float* logits, size_t capacity,
                                             size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    GEMMA_C_REQUIRE(words);
    GEMMA_C_REQUIRE(size);
    return gemma::internal::ForwardAll(session, words->words, logits, capacity,
                                       size);
  });
}

gemma_status gemma_session_append_words(
    gemma_session* session, const gemma_words* words,
    bool (*on_pass)(size_t done, void* user), void* user) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    GEMMA_C_REQUIRE(words);
    return gemma::internal::AppendAll(session, words->words, on_pass, user);
  });
}

gemma_status gemma_session_forward_batch_words(
    const gemma_words_continuation* batch, size_t batch_size, float* logits,
    size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    if (batch_size != 0) GEMMA_C_REQUIRE(batch);
    GEMMA_C_REQUIRE(size);
    std::vector<gemma::Session::Continuation> read;
    for (size_t i = 0; i < batch_size; ++i) {
      const auto& [session, words] = batch[i];
      if (session == nullptr) {
        return gemma::internal::NullError(
            absl::StrCat("batch[", i, "].session"));
      }
      if (words == nullptr) {
        return gemma::internal::NullError(absl::StrCat("batch[", i, "].words"));
      }
      read.push_back({.session = &session->session, .words = &words->words});
    }
    return gemma::internal::ForwardBatch(read, logits, capacity, size);
  });
}

gemma_status gemma_session_rewind(gemma_session* session, size_t position) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    return session->session.Rewind(position);
  });
}

void gemma_session_checkpoint(gemma_session* session) {
  Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    return session->session.Checkpoint();
  });
}

gemma_status gemma_session_fork(const gemma_session* session,
                                gemma_session** copy) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    GEMMA_C_REQUIRE(copy);
    GEMMA_ASSIGN_OR_RETURN(auto forked, session->session.Fork());
    *copy = new gemma_session{std::move(forked)};
    return absl::OkStatus();
  });
}

gemma_status gemma_session_save(const gemma_session* session,
                                const char* path) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    GEMMA_C_REQUIRE(path);
    return session->session.Save(path);
  });
}

gemma_status gemma_session_restore(const gemma_model* model, const char* path,
                                   gemma_session** session) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(path);
    GEMMA_C_REQUIRE(session);
    GEMMA_ASSIGN_OR_RETURN(auto restored,
                           gemma::Session::Restore(model->model, path));
    *session = new gemma_session{std::move(restored)};
    return absl::OkStatus();
  });
}

gemma_status gemma_session_set_tap(gemma_session* session,
                                   gemma_tap_function tap, void* user) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    session->session.SetTap(gemma::internal::TapOf(tap, user));
    return absl::OkStatus();
  });
}

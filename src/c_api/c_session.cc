// Implements the parts of gemma/c_api.h that concern sessions.

#include "gemma/c_api.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

namespace gemma {
namespace {

absl::Status ReadCacheFormat(const gemma_session_options& from,
                             CacheFormat& format) {
  constexpr CacheFormat kFormats[] = {CacheFormat::kAuto, CacheFormat::kFloat32,
                                      CacheFormat::kBFloat16,
                                      CacheFormat::kInt8};
  const unsigned number = NumberOf(from.cache_format);
  if (number >= std::size(kFormats)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cache_format is ", number, ", wanted 0 to 3"));
  }
  format = kFormats[number];
  return absl::OkStatus();
}

}  // namespace
}  // namespace gemma

using gemma::internal::Reported;

void gemma_session_options_init(gemma_session_options* options) {
  if (options == nullptr) return;
  const gemma::SessionOptions defaults;
  *options = {};
  options->struct_size = sizeof(*options);
  options->max_tokens = defaults.max_tokens;
  options->max_rollback = defaults.max_rollback;
  options->checkpoint_interval = defaults.checkpoint_interval;
  options->max_checkpoints = defaults.max_checkpoints;
  options->cache_format = GEMMA_CACHE_AUTO;
}

gemma_status gemma_session_create(const gemma_model* model,
                                  const gemma_session_options* options,
                                  gemma_session** session) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(session);
    gemma_session_options from;
    gemma_session_options_init(&from);
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadSized(options, "gemma_session_options", from));
    gemma::SessionOptions create;
    create.max_tokens = from.max_tokens;
    create.max_rollback = from.max_rollback;
    create.checkpoint_interval = from.checkpoint_interval;
    create.max_checkpoints = from.max_checkpoints;
    GEMMA_RETURN_IF_ERROR(gemma::ReadCacheFormat(from, create.cache_format));
    auto created = gemma::Session::Create(model->model, create);
    GEMMA_RETURN_IF_ERROR(created.status());
    *session = new gemma_session{*std::move(created)};
    return absl::OkStatus();
  });
}

void gemma_session_free(gemma_session* session) { delete session; }

size_t gemma_session_position(const gemma_session* session) {
  if (session == nullptr) return 0;
  return session->session.position();
}

size_t gemma_session_remaining(const gemma_session* session) {
  if (session == nullptr) return 0;
  return session->session.remaining();
}

gemma_status gemma_session_forward(gemma_session* session,
                                   const int32_t* tokens, size_t num_tokens,
                                   const float** logits) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    if (num_tokens != 0) GEMMA_C_REQUIRE(tokens);
    if (logits == nullptr) return session->session.Append({tokens, num_tokens});
    const auto computed = session->session.Forward({tokens, num_tokens});
    GEMMA_RETURN_IF_ERROR(computed.status());
    *logits = computed->data();
    return absl::OkStatus();
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

#include "gemma/sparse_autoencoder.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ops/targets.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/scope/autoencoder_impl.h"
#include "src/scope/load_autoencoder.h"

namespace gemma {
namespace {

absl::Status CheckSize(std::string_view what, size_t found, size_t wanted) {
  if (found == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, " has ", found, " values, wanted ", wanted));
}

}  // namespace

SparseAutoencoder::SparseAutoencoder(std::shared_ptr<const Impl> impl)
    : impl_(std::move(impl)) {}
SparseAutoencoder::~SparseAutoencoder() = default;
SparseAutoencoder::SparseAutoencoder(const SparseAutoencoder&) noexcept =
    default;
SparseAutoencoder& SparseAutoencoder::operator=(
    const SparseAutoencoder&) noexcept = default;
SparseAutoencoder::SparseAutoencoder(SparseAutoencoder&&) noexcept = default;
SparseAutoencoder& SparseAutoencoder::operator=(SparseAutoencoder&&) noexcept =
    default;

absl::StatusOr<SparseAutoencoder> SparseAutoencoder::Load(
    std::string_view path, const SparseAutoencoderOptions& options) {
  return NoThrow([&]() -> absl::StatusOr<SparseAutoencoder> {
    FixSimd();
    GEMMA_ASSIGN_OR_RETURN(std::unique_ptr<Impl> impl,
                           LoadAutoencoder(std::string(path), options));
    return SparseAutoencoder(std::move(impl));
  });
}

const FeatureSite& SparseAutoencoder::site() const { return impl_->site; }
size_t SparseAutoencoder::input_dim() const { return impl_->input_dim; }
size_t SparseAutoencoder::output_dim() const { return impl_->output_dim; }
size_t SparseAutoencoder::num_features() const { return impl_->num_features; }
size_t SparseAutoencoder::memory_bytes() const { return impl_->MemoryBytes(); }
bool SparseAutoencoder::has_affine_skip() const {
  return impl_->skip.view.rows != 0;
}

absl::StatusOr<std::vector<std::vector<Feature>>> SparseAutoencoder::Encode(
    absl::Span<const float> x, size_t top_k) const {
  return NoThrow([&]() -> absl::StatusOr<std::vector<std::vector<Feature>>> {
    if (x.size() % input_dim() != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "x has ", x.size(), " values, wanted whole rows of ", input_dim()));
    }
    Workers calling_thread(1);
    return impl_->Encode(x, top_k, calling_thread);
  });
}

absl::Status SparseAutoencoder::Decode(absl::Span<const Feature> features,
                                       absl::Span<const float> x,
                                       absl::Span<float> out) const {
  return NoThrow([&]() -> absl::Status {
    GEMMA_RETURN_IF_ERROR(CheckSize("out", out.size(), output_dim()));
    if (!x.empty()) {
      GEMMA_RETURN_IF_ERROR(CheckSize("x", x.size(), input_dim()));
    }
    for (const Feature& feature : features) {
      GEMMA_RETURN_IF_ERROR(impl_->CheckFeature(feature.index));
    }
    impl_->Decode(features, x, out);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<float>> SparseAutoencoder::Direction(
    size_t feature) const {
  return NoThrow([&]() -> absl::StatusOr<std::vector<float>> {
    GEMMA_RETURN_IF_ERROR(impl_->CheckFeature(feature));
    std::vector<float> direction(output_dim());
    impl_->AddDirection(feature, 1.0f, absl::MakeSpan(direction));
    return direction;
  });
}

}  // namespace gemma

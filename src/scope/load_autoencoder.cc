#include "src/scope/load_autoencoder.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "src/model/config/num_threads.h"
#include "src/scope/autoencoder_file.h"
#include "src/scope/feature_site.h"
#include "src/scope/pack_array.h"

namespace gemma::internal {
namespace {

Format FormatOf(FeatureWeights weights) {
  switch (weights) {
    case FeatureWeights::kFloat32:
      return Format::kF32;
    case FeatureWeights::kBFloat16:
      return Format::kBF16;
    case FeatureWeights::kInt8:
      return Format::kQ8_0;
  }
  return Format::kBF16;
}

absl::StatusOr<std::vector<float>> ReadVector(ArrayInFile& array) {
  std::vector<float> values(array.shape[0]);
  GEMMA_RETURN_IF_ERROR(array.values->Read(absl::MakeSpan(values)));
  GEMMA_RETURN_IF_ERROR(array.values->Finish());
  const auto bad = std::find_if(values.begin(), values.end(), [](float value) {
    return !std::isfinite(value);
  });
  if (bad != values.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(array.where, ": value ", bad - values.begin(), " is ",
                     *bad, ", wanted a finite number"));
  }
  return values;
}

absl::StatusOr<FeatureSite> SiteOf(const AutoencoderFile& file,
                                   const SparseAutoencoderOptions& options) {
  if (file.config.has_value()) {
    GEMMA_RETURN_IF_ERROR(
        CheckConfig(*file.config, file.num_features(), file.skip.has_value()));
  }
  FeatureSite site;
  if (options.site.has_value()) {
    site = *options.site;
  } else if (file.config.has_value()) {
    GEMMA_ASSIGN_OR_RETURN(site, SiteOfConfig(*file.config));
  } else {
    GEMMA_ASSIGN_OR_RETURN(site, SiteOfPath(file.path));
  }
  if (site.input == site.output && file.input_dim() != file.output_dim()) {
    return absl::InvalidArgumentError(absl::StrCat(
        file.path, ": encodes ", file.input_dim(), " columns and decodes ",
        file.output_dim(), ", which one site cannot have"));
  }
  return site;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SparseAutoencoder::Impl>> LoadAutoencoder(
    const std::string& path, const SparseAutoencoderOptions& options) {
  GEMMA_RETURN_IF_ERROR(CheckThreads("num_threads", options.num_threads));
  GEMMA_ASSIGN_OR_RETURN(AutoencoderFile file, OpenAutoencoder(path));
  auto impl = std::make_unique<SparseAutoencoder::Impl>();
  GEMMA_ASSIGN_OR_RETURN(impl->site, SiteOf(file, options));
  impl->input_dim = file.input_dim();
  impl->num_features = file.num_features();
  impl->output_dim = file.output_dim();
  if (impl->site.normalize) impl->ones.assign(impl->input_dim, 1.0f);

  // Check the small arrays first: they are cheap and may be wrong too.
  GEMMA_ASSIGN_OR_RETURN(impl->encoder_bias, ReadVector(file.b_enc));
  GEMMA_ASSIGN_OR_RETURN(impl->decoder_bias, ReadVector(file.b_dec));
  GEMMA_ASSIGN_OR_RETURN(impl->threshold, ReadVector(file.threshold));
  for (float& threshold : impl->threshold) {
    threshold = std::max(threshold, 0.0f);
  }
  const Format format = FormatOf(options.weights);
  Workers workers(NumThreads(options.num_threads));
  GEMMA_ASSIGN_OR_RETURN(impl->encoder,
                         PackTransposed(file.w_enc, format, workers));
  GEMMA_ASSIGN_OR_RETURN(impl->decoder, PackRows(file.w_dec, format, workers));
  if (file.skip.has_value()) {
    GEMMA_ASSIGN_OR_RETURN(impl->skip,
                           PackTransposed(*file.skip, format, workers));
  }
  return impl;
}

}  // namespace gemma::internal

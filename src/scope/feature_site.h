// Finds the site of an autoencoder from its files.

#ifndef GEMMA_SRC_SCOPE_FEATURE_SITE_H_
#define GEMMA_SRC_SCOPE_FEATURE_SITE_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/sparse_autoencoder.h"
#include "src/base/json.h"

namespace gemma::internal {

// Returns the site that Gemma Scope 2 gives in config.json: the modules of
// transformers whose input or output the autoencoder reads and reconstructs.
absl::StatusOr<FeatureSite> SiteOfConfig(const Json& config);

// Returns an error if config.json describes an autoencoder other than JumpReLU,
// one of several layers, or one with other shapes than the arrays.
absl::Status CheckConfig(const Json& config, size_t num_features,
                         bool has_skip);

// Returns the site that a path of Gemma Scope 1 gives: the repository, whose
// name contains the site, and the layer, as in
//   gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71/params.npz
// A relative path is relative to the working directory. FailedPrecondition if
// the path gives no site.
absl::StatusOr<FeatureSite> SiteOfPath(std::string_view path);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SCOPE_FEATURE_SITE_H_

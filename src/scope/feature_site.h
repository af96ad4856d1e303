// Where autoencoders are attached, as their files tell.

#ifndef GEMMA_SRC_SCOPE_FEATURE_SITE_H_
#define GEMMA_SRC_SCOPE_FEATURE_SITE_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/sparse_autoencoder.h"
#include "src/base/json.h"

namespace gemma {

// What Gemma Scope 2 says in config.json: the modules of transformers whose
// input or output is read and reconstructed.
absl::StatusOr<FeatureSite> SiteOfConfig(const Json& config);

// OK, or an error if config.json tells of another kind of autoencoder than
// JumpReLU, one of several layers, or one of another shape than the arrays
// have.
absl::Status CheckConfig(const Json& config, size_t num_features,
                         bool has_skip);

// What the path of Gemma Scope 1 says: the repository, whose name ends with
// the site, and the layer, as in
//   gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71/params.npz
// A relative path is that of the working directory. FailedPrecondition if it
// says nothing.
absl::StatusOr<FeatureSite> SiteOfPath(std::string_view path);

}  // namespace gemma

#endif  // GEMMA_SRC_SCOPE_FEATURE_SITE_H_

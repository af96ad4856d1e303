// Features of a session while it computes: read, strengthened, taken away.

#ifndef GEMMA_FEATURE_TAP_H_
#define GEMMA_FEATURE_TAP_H_

#include <cstddef>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/model.h"
#include "gemma/sparse_autoencoder.h"
#include "gemma/taps.h"

namespace gemma {

// The active features of one token at one site.
struct TokenFeatures {
  size_t reader = 0;    // index into FeatureTapOptions::readers
  size_t position = 0;  // of the token in its sequence
  // In the order that FeatureReader tells; valid during the call.
  absl::Span<const Feature> features;
};

// An autoencoder whose features are told.
struct FeatureReader {
  const SparseAutoencoder* autoencoder = nullptr;  // the tap keeps a copy
  // So many, the strongest first, of equals the lower index; 0: all, their
  // indices ascending.
  size_t top_k = 0;
  // If there are some: of these only. Each costs a few dot products, and all
  // others nothing.
  std::vector<size_t> features = {};
};

// What happens to one feature, at every position but the first of a sequence:
// the activations of BOS are an outlier, which models depend on.
struct FeatureChange {
  const SparseAutoencoder* autoencoder = nullptr;  // the tap keeps a copy
  size_t feature = 0;                              // its index
  // Is added, times the feature's direction, to what the site's output is. A
  // feature's value counts in the same unit.
  float strength = 0.0f;
  // Whether what the feature contributes, its value times its direction, is
  // taken away first.
  bool ablate = false;
};

// What a tap does.
struct FeatureTapOptions {
  std::vector<FeatureReader> readers;  // any number, also at one site
  std::vector<FeatureChange> changes;  // as above
  // Receives what the readers see, from the thread that called Forward: of each
  // pass site by site, in the order in which they are computed, readers of one
  // site in the order above, positions ascending. Readers and ablations see
  // what is at their site before anything is changed there; changes at earlier
  // sites and tokens have had their effect. It may do what a TapFunction may.
  std::function<void(const TokenFeatures& features)> on_features;
};

// OK, or InvalidArgument: the model has no such layer, or activations of
// another width at the autoencoder's site.
GEMMA_EXPORT absl::Status CheckFits(const Model& model,
                                    const SparseAutoencoder& autoencoder);

// A function for Session::SetTap of the model's sessions. InvalidArgument names
// the reader or change whose autoencoder does not fit the model, whose feature
// does not exist, whose strength is not finite, or that would ablate values
// computed before the feature is read.
GEMMA_EXPORT absl::StatusOr<TapFunction> FeatureTap(const Model& model,
                                                    FeatureTapOptions options);

}  // namespace gemma

#endif  // GEMMA_FEATURE_TAP_H_

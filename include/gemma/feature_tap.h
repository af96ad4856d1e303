// Reads, strengthens or removes features of a session while it computes.

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
  // In the order that FeatureReader describes; valid during the call.
  absl::Span<const Feature> features;
};

// An autoencoder, and which of its features to report.
struct FeatureReader {
  const SparseAutoencoder* autoencoder = nullptr;  // the tap keeps a copy
  // Report only this many features, the strongest first; of equally strong
  // features the one with the lower index comes first. 0: report all active
  // features, by ascending index.
  size_t top_k = 0;
  // If not empty, report only these features. Each costs a few dot products;
  // all other features cost nothing.
  std::vector<size_t> features = {};
};

// The largest strength of a change, in size. Norms of larger activations
// overflow, and then logits are 0.
inline constexpr float kMaxFeatureStrength = 1e15f;

// A change of one feature. It applies to every position except the first of a
// sequence: the activations of BOS are an outlier, which models depend on.
struct FeatureChange {
  const SparseAutoencoder* autoencoder = nullptr;  // the tap keeps a copy
  size_t feature = 0;                              // its index
  // This multiple of the feature's direction is added to the activations at the
  // site's output. A feature's value has the same unit.
  float strength = 0.0f;
  // Whether to subtract first what the feature contributes: its value times its
  // direction.
  bool ablate = false;
};

// The readers and changes of a tap.
struct FeatureTapOptions {
  std::vector<FeatureReader> readers;  // any number, also several at a site
  std::vector<FeatureChange> changes;  // likewise
  // Receives the features that the readers find, on the thread that called
  // Forward. Within a pass, calls come site by site in the order of
  // computation, at one site in the order of `readers`, then by ascending
  // position. Readers and ablations see the activations before any change at
  // their own site, and after changes at earlier sites and tokens. The function
  // may do whatever a TapFunction may.
  std::function<void(const TokenFeatures& features)> on_features;
};

// Returns OK, or InvalidArgument if the model lacks the autoencoder's layer or
// has activations of a different width there.
GEMMA_EXPORT absl::Status CheckFits(const Model& model,
                                    const SparseAutoencoder& autoencoder);

// Returns a function for Session::SetTap of the model's sessions. It shares the
// model and the autoencoders. InvalidArgument names the reader or change if its
// autoencoder does not fit the model, its feature does not exist, its strength
// is not within kMaxFeatureStrength, or it would ablate values that are
// computed before the feature is read.
GEMMA_EXPORT absl::StatusOr<TapFunction> FeatureTap(const Model& model,
                                                    FeatureTapOptions options);

}  // namespace gemma

#endif  // GEMMA_FEATURE_TAP_H_

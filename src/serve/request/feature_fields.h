// The autoencoders of a model in requests and responses.

#ifndef GEMMA_SRC_SERVE_REQUEST_FEATURE_FIELDS_H_
#define GEMMA_SRC_SERVE_REQUEST_FEATURE_FIELDS_H_

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "gemma/feature_tap.h"
#include "gemma/taps.h"
#include "src/serve/answer/json_writer.h"
#include "src/serve/request/fields.h"
#include "src/serve/served.h"

namespace gemma::internal {

// Returns the index of the autoencoder that a field names.
absl::StatusOr<size_t> AutoencoderOf(const Served& served, const Json& name);

// Reads the field
//   steer  [{"autoencoder", "feature", "strength", "ablate"}]: changes of
//          features, as FeatureChange has them. A model with one autoencoder
//          needs no name. Each has a strength, or "ablate": true, or both
// as changes of the autoencoders of `served`, which must outlive them.
absl::StatusOr<std::vector<FeatureChange>> ReadSteer(const Served& served,
                                                     Fields& fields);

// Reads the field steer as a tap for Request, which is empty without it.
absl::StatusOr<TapFunction> ReadSteering(const Served& served, Fields& fields);

// Writes members of the open object: name, site, layer, features.
void WriteAutoencoder(const ServedAutoencoder& served, JsonWriter& json);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_REQUEST_FEATURE_FIELDS_H_

// Fields that config.json states in the same way for several families. A field
// that is missing leaves the draft's value, the family's default.

#ifndef GEMMA_SRC_MODEL_CONFIG_JSON_FIELDS_H_
#define GEMMA_SRC_MODEL_CONFIG_JSON_FIELDS_H_

#include <cstddef>

#include "absl/status/status.h"
#include "src/base/json.h"
#include "src/model/config/read_config.h"

namespace gemma::internal {

// Reads the sizes that all families have. `num_layers` becomes 1 to kMaxLayers.
absl::Status ReadSizes(const Json& json, size_t& num_layers, ConfigDraft& c);

// As ReadSizes, but leaves intermediate_size.
absl::Status ReadSizesButFfw(const Json& json, size_t& num_layers,
                             ConfigDraft& c);

// Reads the sizes, the size of a head, and the activation, which each family
// states under its own key.
absl::Status ReadSizesAndHeads(const Json& json, const char* activation,
                               size_t& num_layers, ConfigDraft& c);

// Reads the activation. In files of Gemma 1, "gelu" means the tanh form, which
// the models were trained with.
absl::Status ReadActivation(const Json& json, const char* key, ConfigDraft& c);

// Reads the window of local layers. null means no window.
absl::Status ReadWindow(const Json& json, ConfigDraft& c);

// Reads the blocks from layer_types, or derives them from `period` if the file
// has no layer_types. Refuses local layers whose window the file sets to none.
absl::Status ReadLayerTypes(const Json& json, size_t num_layers, size_t period,
                            ConfigDraft& c);

// Reads one layer in how many is global. Fails for 0.
absl::Status ReadPeriod(const Json& json, const char* key, size_t& period);

// Reads both soft caps. null means no cap.
absl::Status ReadSoftCaps(const Json& json, ConfigDraft& c);

// Reads the soft cap of the logits, as ReadSoftCaps, of models whose attention
// has none: adds a note if the file states one.
absl::Status ReadFinalSoftCap(const Json& json, ConfigDraft& c);

// Adds a note if the file states a number other than 0 under a key that
// transformers ignores in this model.
absl::Status NoteIgnored(const Json& json, const char* key, ConfigDraft& c);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_JSON_FIELDS_H_

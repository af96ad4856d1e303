#include "src/model/config/shared_layers.h"

#include "src/base/format_text.h"

namespace gemma::internal {

absl::Status ShareKeys(size_t num_shared, std::string_view where,
                       std::vector<LayerConfig>& layers) {
  if (num_shared == 0) return absl::OkStatus();
  if (num_shared >= layers.size()) {
    return absl::InvalidArgumentError(
        FormatText("%s is %u, wanted fewer than the %u layers", where,
                   num_shared, layers.size()));
  }
  const size_t first = layers.size() - num_shared;
  for (size_t l = first; l < layers.size(); ++l) {
    size_t source = first;
    while (source > 0 && layers[source - 1].type != layers[l].type) --source;
    if (source == 0) {
      return absl::InvalidArgumentError(FormatText(
          "%s is %u, but no layer before layer %u has the type of layer %u, "
          "whose keys and values it could read",
          where, num_shared, first, l));
    }
    layers[l].kv_source = source - 1;
  }
  return absl::OkStatus();
}

}  // namespace gemma::internal

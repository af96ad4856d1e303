// The configuration of gemma.cpp files that do not state it.

#ifndef GEMMA_SRC_MODEL_CONFIG_SBS_SIZES_H_
#define GEMMA_SRC_MODEL_CONFIG_SBS_SIZES_H_

#include "absl/status/statusor.h"
#include "src/formats/sbs.h"
#include "src/model/config/read_config.h"

namespace gemma::internal {

// A model's configuration from a gemma.cpp file: from its blob "config" or from
// the sizes of its tensors. ConfigFromSbs adds the fixed values of its family.
struct SbsConfig {
  ConfigDraft model;
  bool scale_by_model_dim = false;  // queries by (width / heads)^-0.5
};

// Derives the sizes from the names of the tensors and their numbers of values.
// The head size of Gemma 1 and 2 does not follow from them: assumes that of the
// published models (128 for the 27B, 256 for all others). Fails if a tensor is
// missing or a size is not divisible as required; the error names it.
absl::StatusOr<SbsConfig> ConfigFromSizes(const SbsFile& file);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_SBS_SIZES_H_

// The configuration of gemma.cpp's files that have none.

#ifndef GEMMA_SRC_MODEL_SBS_SIZES_H_
#define GEMMA_SRC_MODEL_SBS_SIZES_H_

#include "absl/status/statusor.h"
#include "src/formats/sbs.h"
#include "src/model/read_config.h"

namespace gemma {

// What a file of gemma.cpp tells of its model, by itself or by its sizes.
// ConfigFromSbs adds what a family always has.
struct SbsConfig {
  ConfigDraft model;
  bool scale_by_model_dim = false;  // queries by (width / heads)^-0.5
};

// Works the sizes out from which tensors there are and how many values each
// has. Fails, naming them, where they leave more than one possibility: the size
// of a head of Gemma 1 and 2 is taken to be what it is in all published models
// (256, in the 27B 128), and the rest must divide.
absl::StatusOr<SbsConfig> ConfigFromSizes(const SbsFile& file);

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_SBS_SIZES_H_

// Writes a checkpoint's model to a file, weight by weight.

#ifndef GEMMA_SRC_QUANTIZE_WRITE_MODEL_H_
#define GEMMA_SRC_QUANTIZE_WRITE_MODEL_H_

#include <string>

#include "absl/status/status.h"
#include "gemma/quantize.h"
#include "ops/workers.h"
#include "src/formats/checkpoint.h"

namespace gemma::internal {

// As Quantize. The caller must have checked the options and the target.
absl::Status WriteModel(Checkpoint checkpoint, std::string target,
                        const QuantizeOptions& options, Workers& workers);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_QUANTIZE_WRITE_MODEL_H_

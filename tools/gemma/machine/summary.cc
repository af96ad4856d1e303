#include "tools/gemma/machine/summary.h"

namespace gemma::tools {

Totals Summarize(const std::vector<TensorSummary>& tensors) {
  Totals totals;
  for (const TensorSummary& tensor : tensors) {
    uint64_t values = 1;
    for (const size_t extent : tensor.shape) values *= extent;
    for (TypeTotal* total : {&totals.types[tensor.format], &totals.all}) {
      ++total->tensors;
      total->values += values;
      total->bytes += tensor.bytes;
    }
  }
  return totals;
}

}  // namespace gemma::tools

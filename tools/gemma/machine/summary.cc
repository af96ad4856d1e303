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
  uint64_t most = 0;
  for (const auto& [name, total] : totals.types) {
    if (total.values <= most) continue;
    most = total.values;
    totals.main_type = name;
  }
  return totals;
}

}  // namespace gemma::tools

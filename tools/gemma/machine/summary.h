// Totals of a model's tensors.

#ifndef GEMMA_TOOLS_GEMMA_MACHINE_SUMMARY_H_
#define GEMMA_TOOLS_GEMMA_MACHINE_SUMMARY_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "gemma/model.h"

namespace gemma::tools {

struct TypeTotal {
  size_t tensors = 0;
  uint64_t values = 0;
  uint64_t bytes = 0;

  double bits_per_weight() const {
    return values == 0
               ? 0
               : 8 * static_cast<double>(bytes) / static_cast<double>(values);
  }
};

struct Totals {
  std::map<std::string, TypeTotal> types;
  TypeTotal all;
};

Totals Summarize(const std::vector<TensorSummary>& tensors);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MACHINE_SUMMARY_H_

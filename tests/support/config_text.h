// Configurations as text, for comparison.

#ifndef GEMMA_TESTS_SUPPORT_CONFIG_TEXT_H_
#define GEMMA_TESTS_SUPPORT_CONFIG_TEXT_H_

#include <string>

#include "gemma/model_config.h"

namespace gemma::internal {

// Returns each field on its own line. Stop tokens are sorted and listed once;
// floats are printed with all their bits.
std::string ConfigText(const ModelConfig& config);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_CONFIG_TEXT_H_

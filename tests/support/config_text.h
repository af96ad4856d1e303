// Configurations as text, to compare.

#ifndef GEMMA_TESTS_SUPPORT_CONFIG_TEXT_H_
#define GEMMA_TESTS_SUPPORT_CONFIG_TEXT_H_

#include <string>

#include "gemma/model_config.h"

namespace gemma {

// Every field, a line each; of the stop tokens, the set. Floats with all their
// bits.
std::string ConfigText(const ModelConfig& config);

}  // namespace gemma

#endif  // GEMMA_TESTS_SUPPORT_CONFIG_TEXT_H_

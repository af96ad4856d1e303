// The smallest models of Gemma 4's family and of Gemma 3n, built in memory as
// those of hostile_model.h. Their logits mean nothing.

#ifndef GEMMA_TESTS_SUPPORT_HOSTILE_GEMMA4_H_
#define GEMMA_TESTS_SUPPORT_HOSTILE_GEMMA4_H_

#include <string>

#include "nlohmann/json.hpp"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {

// Each has what one kind of published model has:
//   gemma4      per-layer embeddings; its third layer reads the keys and values
//               of its second, and has a wider feed-forward layer
//   gemma4_moe  experts; the values of its global layer are its keys
//   embedding2  per-layer embeddings; pools, and has a dense layer
//   gemma3n     as gemma4, but all feed-forward layers are alike, and the gates
//               of the first are sparse; two streams, and LAuReL of rank 2
inline constexpr const char* kGemma4Forms[] = {"gemma4", "gemma4_moe",
                                               "embedding2", "gemma3n"};
inline constexpr const char* kGemma4Generators[] = {"gemma4", "gemma4_moe",
                                                    "gemma3n"};

// All models are 8 wide, with 2 heads of 4 values, 1 key/value head, a window
// of 2 and 8 tokens. Layer 0 is local, the others are global.
GgufWriter Gemma4GgufKeys(const std::string& form);
TinyTensors Gemma4GgufTensors(const std::string& form);
Bytes Gemma4GgufModel(const std::string& form);

// The same model as a Hugging Face directory, for WriteTinyDirectory.
nlohmann::json Gemma4Config(const std::string& form);
TinyTensors Gemma4HfTensors(const std::string& form);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_HOSTILE_GEMMA4_H_

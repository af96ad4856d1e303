// What a model is, as JSON.

#ifndef GEMMA_TOOLS_GEMMA_MACHINE_MODEL_JSON_H_
#define GEMMA_TOOLS_GEMMA_MACHINE_MODEL_JSON_H_

#include <cstddef>
#include <nlohmann/json.hpp>

#include "gemma/gemma.h"

namespace gemma::tools {

// Returns the fields of a configuration. Those that differ between layers are
// lists.
nlohmann::ordered_json ConfigJson(const ModelConfig& config);

// Returns an object with the configuration, and how many weights of which types
// the files hold.
nlohmann::ordered_json ContentsJson(const Model& model);

// Returns the memory of the model with this many sessions.
nlohmann::ordered_json MemoryJson(const Model& model,
                                  const SessionOptions& session,
                                  size_t num_sessions = 1);

// Returns a list of the files' tensors.
nlohmann::ordered_json TensorsJson(const Model& model);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MACHINE_MODEL_JSON_H_

// Whether a model fits in memory.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_MEMORY_H_
#define GEMMA_TOOLS_PYTHON_BINDING_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "gemma/engine.h"
#include "gemma/model.h"

namespace gemma::python {

// Returns the most tokens of a sequence if nobody chooses them: 4096, or what
// the model was made for if that is less.
size_t DefaultContext(const Model& model);

// What is left once a model and its engine are in memory.
struct MemoryLeft {
  uint64_t bytes = UINT64_MAX;  // or that, if it is unknown
  std::string note;  // if mapped weights do not fit beside the rest, else ""
};

// Checks, before weights are loaded, that the model and an engine with these
// options fit in memory when all sequences run, as the command does.
// ResourceExhausted, with the numbers and the arguments of LLM that help, if
// they do not. `name` names the model.
absl::Status CheckMemory(const Model& model, const std::string& name,
                         const EngineOptions& options, MemoryLeft* left);

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_MEMORY_H_

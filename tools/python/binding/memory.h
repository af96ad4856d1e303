// Whether models fit in memory.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_MEMORY_H_
#define GEMMA_TOOLS_PYTHON_BINDING_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gemma/engine.h"
#include "gemma/model.h"

namespace gemma::python {

// Returns the most tokens of a sequence if nobody chooses them: 4096, or what
// the model was made for if that is less.
size_t DefaultContext(const Model& model);

// A model, and the engine that it is to have.
struct PlannedEngine {
  const Model* model = nullptr;  // may be without weights
  std::string name;              // in messages
  EngineOptions options;
  // Whether the weights are in memory already. The options then stay.
  bool is_loaded = false;
  bool moderates = false;  // a guard, whose classifier has a sequence, too
};

// What is left once models and their engines are in memory.
struct MemoryLeft {
  uint64_t bytes = UINT64_MAX;  // or that, if it is unknown
  std::string note;  // if mapped weights do not fit beside the rest, else ""
};

// Checks, before weights are loaded, that all models and engines fit in memory
// together when all sequences run, as the command does. A model without a
// tokenizer has no engine: of it, only what a sequence of one token needs is
// counted. ResourceExhausted, with the numbers and the arguments of LLM that
// help, if they do not fit. max_bytes: a limit of weights, caches and scratch
// of all; 0: none. Only for one model, `left` has a note.
absl::Status CheckMemory(const std::vector<PlannedEngine>& engines,
                         uint64_t max_bytes, MemoryLeft* left);

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_MEMORY_H_

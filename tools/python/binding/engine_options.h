// The options of engines, as LLM has them.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_ENGINE_OPTIONS_H_
#define GEMMA_TOOLS_PYTHON_BINDING_ENGINE_OPTIONS_H_

#include "gemma/engine.h"
#include "tools/python/binding/arguments.h"

namespace gemma::python {

// Reads context, cache, sequences, reuse_bytes, memory, budget, max_queued and
// max_queued_per_client. Those that are missing have the library's defaults.
// between_passes is Inbox::WakeAll.
EngineOptions ReadEngineOptions(Arguments& arguments);

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_ENGINE_OPTIONS_H_

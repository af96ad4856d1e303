// The parts of the module libgemma._core.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_MODULE_H_
#define GEMMA_TOOLS_PYTHON_BINDING_MODULE_H_

#include <nanobind/nanobind.h>

#endif  // GEMMA_TOOLS_PYTHON_BINDING_MODULE_H_

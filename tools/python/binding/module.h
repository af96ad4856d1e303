// The parts of the module libgemma._core.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_MODULE_H_
#define GEMMA_TOOLS_PYTHON_BINDING_MODULE_H_

#include <nanobind/nanobind.h>

namespace gemma::python {

namespace nb = nanobind;

// Each adds the classes and functions of one file to the module.
void AddErrors(nb::module_& m);
void AddModel(nb::module_& m);
void AddWords(nb::module_& m);
void AddAnswer(nb::module_& m);
void AddEngine(nb::module_& m);
void AddServer(nb::module_& m);
void AddSession(nb::module_& m);
void AddTap(nb::module_& m);
void AddFeatures(nb::module_& m);
void AddMeasure(nb::module_& m);
void AddFiles(nb::module_& m);

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_MODULE_H_

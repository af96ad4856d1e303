// The module libgemma._core. Each file of this folder adds one part of it.

#include "tools/python/binding/module.h"

#include <nanobind/nanobind.h>

#include "gemma/version.h"

NB_MODULE(_core, m) {
  m.doc() = "The C++ part of libgemma.";
  m.attr("__version__") = GEMMA_VERSION_STRING;
  // Python may end while objects exist; a library does not print.
  nanobind::set_leak_warnings(false);
  gemma::python::AddErrors(m);
  gemma::python::AddModel(m);
  gemma::python::AddWords(m);
  gemma::python::AddAnswer(m);
  gemma::python::AddFeatures(m);
  gemma::python::AddTap(m);
  gemma::python::AddEngine(m);
  gemma::python::AddServer(m);
  gemma::python::AddSession(m);
  gemma::python::AddMeasure(m);
  gemma::python::AddFiles(m);
}

// Computing without Python's lock.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_GIL_H_
#define GEMMA_TOOLS_PYTHON_BINDING_GIL_H_

#include <nanobind/nanobind.h>

namespace gemma::python {

// Releases the GIL in a scope, as nanobind's gil_scoped_release. When Python
// ends, it ends the daemon threads that ask for the GIL, wherever they are,
// which C++ does not survive. So once EndThreads was called, other threads stay
// here until the process ends.
class WithoutGil {
 public:
  WithoutGil();
  ~WithoutGil();
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

// Takes the GIL in a scope, as nanobind's gil_scoped_acquire, on a thread that
// is in a WithoutGil, that C++ started, or that has the GIL. After EndThreads,
// the first two stay here, as in WithoutGil.
class WithGil {
 public:
  WithGil();
  ~WithGil();
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;

 private:
  bool outside_;  // whether the thread was in a WithoutGil
  PyGILState_STATE state_;
};

// Called once, by the thread that ends Python: waits until no other thread asks
// for the GIL, and lets none ask for it again.
void EndThreads();

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_GIL_H_

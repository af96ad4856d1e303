// Signals, such as that of Ctrl-C, and progress, while the library computes.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_SIGNALS_H_
#define GEMMA_TOOLS_PYTHON_BINDING_SIGNALS_H_

#include <nanobind/nanobind.h>

#include <chrono>
#include <exception>
#include <utility>

#include "tools/python/binding/gil.h"

namespace gemma::python {

// Runs Python's handlers of signals for a thread that computes without the GIL:
// every 100 ms, however often it is asked.
class SignalCheck {
 public:
  // Returns whether a handler raised an exception: the caller then stops, and
  // calls Throw once it has the GIL again. Takes the GIL.
  bool Raised() {
    using std::chrono::steady_clock;
    if (raised_ != nullptr) return true;
    const steady_clock::time_point now = steady_clock::now();
    if (now < next_) return false;
    next_ = now + std::chrono::milliseconds(100);
    const WithGil gil;
    if (PyErr_CheckSignals() == 0) return false;
    raised_ = std::make_exception_ptr(nanobind::python_error());
    return true;
  }

  // Throws the handler's exception, if there was one.
  void Throw() const {
    if (raised_ != nullptr) std::rethrow_exception(raised_);
  }

 private:
  std::chrono::steady_clock::time_point next_ =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
  std::exception_ptr raised_;
};

// A call of Python from C++ that computes without the GIL. Keeps what it
// raised.
class ProgressCall {
 public:
  explicit ProgressCall(nanobind::object function)
      : function_(std::move(function)) {}

  // Returns false if the work should end: the function or a handler of a signal
  // raised an exception.
  template <class... Counts>
  bool operator()(Counts... counts) {
    if (signals_.Raised()) return false;
    if (function_.is_none()) return true;
    const WithGil gil;
    try {
      function_(counts...);
      return true;
    } catch (const nanobind::python_error&) {
      raised_ = std::current_exception();
      return false;
    }
  }

  // Throws what was raised. Needs the GIL.
  void Throw() const {
    signals_.Throw();
    if (raised_ != nullptr) std::rethrow_exception(raised_);
  }

 private:
  nanobind::object function_;
  SignalCheck signals_;
  std::exception_ptr raised_;
};

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_SIGNALS_H_

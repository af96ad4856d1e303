// Objects of the library that Python holds.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_BOUND_H_
#define GEMMA_TOOLS_PYTHON_BINDING_BOUND_H_

#include <nanobind/nanobind.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "tools/python/binding/errors.h"
#include "tools/python/binding/gil.h"

namespace gemma::python {

// A fork copies the memory of a process, but not its threads. So objects of
// before a fork cannot compute in the child, nor end there.
class Birth {
 public:
  // Returns whether this process is not the one that created the object.
  bool forked() const;
  // Throws FailedPrecondition if forked. `what` names the object: "the model".
  void Check(const char* what) const;

 private:
  static uint64_t NumForks();
  uint64_t num_forks_ = NumForks();
};

// Holds an object of the library until Close. Use it with the GIL.
template <typename T>
class Bound {
 public:
  // `what` names the object in errors, for example "the model".
  Bound(const char* what, T value)
      : what_(what), value_(new T(std::move(value)), Deleter()) {}

  // Returns the object, which stays until the pointer is gone, even if another
  // thread closes it. Let the pointer go with the GIL. FailedPrecondition after
  // Close or in a forked process.
  std::shared_ptr<T> get() const {
    birth_.Check(what_);
    if (value_ != nullptr) return value_;
    throw StatusError(
        absl::FailedPreconditionError(std::string(what_) + " is closed"));
  }

  // Lets the object go. Returns once it has ended, unless other threads use it.
  void Close() { value_ = nullptr; }
  bool closed() const { return value_ == nullptr; }

 private:
  // Ends an object without the GIL, which its threads may wait for. In a forked
  // process, where it would wait for threads that are not there, leaks it.
  struct Deleter {
    Birth birth;
    void operator()(T* value) const {
      if (birth.forked()) return;
      const WithoutGil release;
      delete value;
    }
  };

  const char* what_;
  Birth birth_;
  std::shared_ptr<T> value_;
};

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_BOUND_H_

// The library's errors as exceptions of Python.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_ERRORS_H_
#define GEMMA_TOOLS_PYTHON_BINDING_ERRORS_H_

#include <exception>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::python {

// Becomes the class of libgemma/_errors.py for the status's code. The message
// has the cure, if the status has one (tools/gemma/io/errors.h). Any thread
// that Python called may throw it, with or without the GIL.
class StatusError : public std::exception {
 public:
  explicit StatusError(absl::Status status) : status_(std::move(status)) {}
  const absl::Status& status() const { return status_; }
  const char* what() const noexcept override { return "an error of libgemma"; }

 private:
  absl::Status status_;
};

// Throws a StatusError unless the status is OK.
inline void ThrowIfError(absl::Status status) {
  if (!status.ok()) throw StatusError(std::move(status));
}

// Returns the value, or throws its error as a StatusError.
template <typename T>
T ValueOrThrow(absl::StatusOr<T> value) {
  ThrowIfError(value.status());
  return *std::move(value);
}

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_ERRORS_H_

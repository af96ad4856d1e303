// Helpers of commands that run Python.

#ifndef GEMMA_TOOLS_GEMMA_IO_PYTHON_H_
#define GEMMA_TOOLS_GEMMA_IO_PYTHON_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace gemma::tools {

inline constexpr char kPython[] = "python3";

// Returns the cause of a Python program's failure from its standard error: the
// last line that begins with "ERROR: ", without that, else the last line.
std::string PythonCause(std::string_view errors);

// Returns an error of RunChild. If Python is not installed, adds the cure: to
// install it and `package`.
absl::Status PythonError(const absl::Status& status, std::string_view package);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_PYTHON_H_

// Python, where the command needs it.

#ifndef GEMMA_TOOLS_GEMMA_IO_PYTHON_H_
#define GEMMA_TOOLS_GEMMA_IO_PYTHON_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace gemma::tools {

inline constexpr char kPython[] = "python3";

// What a Python program says of its failure: its last error, or last line.
std::string PythonCause(std::string_view errors);

// Why Python could not be run, as RunChild says; where there is none, with the
// cure. `package`: what is wanted besides.
absl::Status PythonError(const absl::Status& status, std::string_view package);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_PYTHON_H_

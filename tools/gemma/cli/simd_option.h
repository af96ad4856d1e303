// The option --simd: which of the CPU's instructions the process may use.

#ifndef GEMMA_TOOLS_GEMMA_CLI_SIMD_OPTION_H_
#define GEMMA_TOOLS_GEMMA_CLI_SIMD_OPTION_H_

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/status.h"

namespace gemma::tools {

// Adds --simd. Its value is "" for all instructions, or one of SimdNames
// (gemma/simd.h).
void AddSimd(CLI::App& app, std::string* simd);

// Calls CapSimd, unless `simd` is "". Commands call it before they load
// anything that computes; LoadModel calls it, too. An error is a usage error.
// Unless `quiet`, prints a note if the cap has no kernels of its own.
absl::Status ApplySimd(const std::string& simd, bool quiet = false);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_SIMD_OPTION_H_

// The vector instructions that the kernels use.

#ifndef GEMMA_OPS_TARGETS_H_
#define GEMMA_OPS_TARGETS_H_

#include <string>
#include <vector>

namespace gemma::internal {

// Returns Highway's names of the targets that kernels were compiled for, the
// best first.
std::vector<std::string> CompiledTargets();

// Returns the name of the target that kernels use on this CPU.
std::string ChosenTarget();

// Returns Highway's version, for example "1.2.0".
std::string HighwayVersion();

}  // namespace gemma::internal

#endif  // GEMMA_OPS_TARGETS_H_

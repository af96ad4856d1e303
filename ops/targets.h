// Which vector instructions the kernels use.

#ifndef GEMMA_OPS_TARGETS_H_
#define GEMMA_OPS_TARGETS_H_

#include <string>
#include <vector>

namespace gemma {

// Highway's names of the targets that kernels were compiled for, best first.
std::vector<std::string> CompiledTargets();

// Of these, the one that this CPU gets.
std::string ChosenTarget();

// Of Highway, as "1.2.0".
std::string HighwayVersion();

}  // namespace gemma

#endif  // GEMMA_OPS_TARGETS_H_

// How many processors this process may keep busy.

#ifndef GEMMA_SRC_OS_CPUS_H_
#define GEMMA_SRC_OS_CPUS_H_

#include <cstddef>
#include <string>

namespace gemma::internal {

// Those that the system lets it run on (taskset, cpusets), at least 1.
size_t AllowedCpus();

// Of those, no more than the quota of its control group, as containers have
// one, pays for: threads beyond that stop all others. At least 1.
size_t UsableCpus();

// The quota alone, in processors rounded down, at least 1; 0: there is none.
// Reads the files of control groups below `root`.
size_t CpuQuota(const std::string& root = "/");

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_CPUS_H_

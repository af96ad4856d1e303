// The number of processors that this process may keep busy.

#ifndef GEMMA_SRC_OS_CPUS_H_
#define GEMMA_SRC_OS_CPUS_H_

#include <cstddef>
#include <string>

namespace gemma::internal {

// Returns the number of processors that the system lets this process run on
// (taskset, cpusets), at least 1.
size_t AllowedCpus();

// Returns the smaller of AllowedCpus and the quota of the control groups, which
// containers use. More threads than the quota allows would stop all others. At
// least 1.
size_t UsableCpus();

// Returns the quota in processors, rounded down, but at least 1; or 0 without a
// quota. Reads the files of control groups below `root`.
size_t CpuQuota(const std::string& root = "/");

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_CPUS_H_

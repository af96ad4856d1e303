#include "src/os/cpus.h"

#ifdef __linux__
#include <sched.h>
#endif

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <string>
#include <thread>

#include "src/os/control_groups.h"

namespace gemma::internal {
namespace {

// No quota: more processors than any system has.
constexpr double kNoQuota = 1e9;

// Reads the microseconds of processor time allowed in each period. Other texts
// mean no quota ("max" in version 2, -1 in version 1).
double Quota(std::istream&& allowed, std::istream&& period) {
  double quota = 0;
  double length = 0;
  if (!(allowed >> quota) || !(period >> length)) return kNoQuota;
  return quota > 0 && length > 0 ? quota / length : kNoQuota;
}

// Returns the quota in a group's directory, from files of either version.
double QuotaOf(const std::string& directory) {
  // Version 2: "150000 100000".
  std::ifstream both(directory + "/cpu.max");
  double quota = 0;
  double length = 0;
  if (both >> quota >> length && quota > 0 && length > 0) return quota / length;
  return Quota(std::ifstream(directory + "/cpu.cfs_quota_us"),
               std::ifstream(directory + "/cpu.cfs_period_us"));
}

}  // namespace

size_t CpuQuota(const std::string& root) {
  double least = kNoQuota;
  for (const ControlGroup& group : ControlGroups("cpu", root)) {
    least = std::min(least, QuotaOf(group.directory));
  }
  if (least >= kNoQuota) return 0;
  return static_cast<size_t>(std::max(1.0, std::floor(least)));
}

size_t AllowedCpus() {
#ifdef __linux__
  // hardware_concurrency() counts all processors that are online. 16 sets hold
  // more processors than a system has; the system refuses too small a buffer.
  std::array<cpu_set_t, 16> sets = {};
  if (sched_getaffinity(0, sizeof(sets), sets.data()) == 0) {
    return std::max(1, CPU_COUNT_S(sizeof(sets), sets.data()));
  }
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

size_t UsableCpus() {
  const size_t quota = CpuQuota();
  return quota == 0 ? AllowedCpus() : std::min(AllowedCpus(), quota);
}

}  // namespace gemma::internal
